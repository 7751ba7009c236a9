import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { StoreError } from '@grapevine/core'
import { describe, expect, it } from 'vitest'
import { runServer, type OpenNode, type RunOptions } from '../src/index.ts'
import { FakeReplica } from './fake-replica.ts'
import { send } from './send.ts'

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}

function node(replica = new FakeReplica()): OpenNode & { replica: FakeReplica; closed: boolean } {
  const opened = {
    replica,
    failed: new Promise<never>(() => {}),
    closed: false,
    beginsAnewAfter: () => Promise.resolve(false),
    close: () => {
      opened.closed = true
      return Promise.resolve()
    },
  }
  return opened
}

async function run(argv: readonly string[], options: RunOptions = {}) {
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  const code = await runServer([...argv, '--log-level', 'silent'], {}, { stdout, stderr, ...options })
  const text = (stream: PassThrough): string => String(stream.read() ?? '')
  return { code, out: text(stdout), err: text(stderr) }
}

describe('the server', () => {
  it('runs until it is told to stop, and puts everything away', async () => {
    const opened = node()
    const stop = new AbortController()
    const port = await freePort()
    const running = run(['--name', 'n1', '--listen', `127.0.0.1:${port}`], {
      open: () => Promise.resolve(opened),
      signal: stop.signal,
    })
    await expect
      .poll(() =>
        send(port, 'GET', '/readyz').then(
          ({ status }) => status,
          () => 0,
        ),
      )
      .toBe(200)
    stop.abort()
    expect((await running).code).toBe(0)
    expect(opened.replica.stopped).toBe(true)
    expect(opened.closed).toBe(true)
    await expect(send(port, 'GET', '/livez')).rejects.toThrow('ECONNREFUSED')
  })

  it('lets requests under way finish', async () => {
    const opened = node()
    const gate = Promise.withResolvers<void>()
    const write = opened.replica.write.bind(opened.replica)
    opened.replica.write = async (request) => {
      await gate.promise
      expect(opened.replica.stopped).toBe(false)
      return write(request)
    }
    const stop = new AbortController()
    const port = await freePort()
    const running = run(['--listen', `127.0.0.1:${port}`], { open: () => Promise.resolve(opened), signal: stop.signal })
    await expect
      .poll(() =>
        send(port, 'GET', '/livez').then(
          ({ status }) => status,
          () => 0,
        ),
      )
      .toBe(200)
    // A client that keeps its connection must not keep the server.
    const put = fetch(`http://127.0.0.1:${port}/v1/kv/b/k`, { method: 'PUT', body: 'x' })
    // The request has arrived when a later one is answered.
    await expect.poll(async () => (await send(port, 'GET', '/livez')).status).toBe(200)
    stop.abort()
    gate.resolve()
    expect((await put).status).toBe(204)
    const answeredMs = performance.now()
    expect((await running).code).toBe(0)
    // The time for draining is ten seconds.
    expect(performance.now() - answeredMs).toBeLessThan(5_000)
  })

  it('cuts off what takes too long', async () => {
    const opened = node()
    opened.replica.write = () => new Promise(() => {})
    const stop = new AbortController()
    const port = await freePort()
    const running = run(['--listen', `127.0.0.1:${port}`, '--drain-timeout', '50ms'], {
      open: () => Promise.resolve(opened),
      signal: stop.signal,
    })
    await expect
      .poll(() =>
        send(port, 'GET', '/livez').then(
          ({ status }) => status,
          () => 0,
        ),
      )
      .toBe(200)
    const put = send(port, 'PUT', '/v1/kv/b/k', { body: 'x' })
    put.catch(() => {})
    await expect.poll(async () => (await send(port, 'GET', '/livez')).status).toBe(200)
    stop.abort()
    await expect(put).rejects.toThrow('socket hang up')
    expect((await running).code).toBe(0)
  })

  it('ends with what is wrong when the node cannot go on', async () => {
    const opened = { ...node(), failed: Promise.reject(new StoreError('data_missing', 'half of it is gone')) }
    opened.failed.catch(() => {})
    const { code, err } = await run(['--listen', '127.0.0.1:0'], { open: () => Promise.resolve(opened) })
    expect(code).toBe(1)
    expect(err).toContain('--rebuild')
  })

  it.each([
    ['locked', 'Stop that one first'],
    ['data_missing', 'start with --rebuild'],
    ['wrong_directory', 'nothing in it was changed'],
    ['permission', 'may not read and write'],
    ['disk_full', 'Make room there'],
    ['too_many_files', 'ulimit -n'],
    ['io_error', 'space and health'],
  ] as const)('explains a store that is %s', async (code, advice) => {
    const open = () => Promise.reject(new StoreError(code, 'the reason'))
    const found = await run(['--data-dir', '/somewhere'], { open })
    expect(found.code).toBe(code === 'locked' ? 7 : 1)
    expect(found.err).toContain('the reason')
    if (code !== 'too_many_files') expect(found.err).toContain('/somewhere')
    expect(found.err).toContain(advice)
    expect(found.err.trimEnd().split('\n')).toHaveLength(1)
  })

  it('explains a port that is taken, and puts the node away', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo
    const opened = node()
    const { code, err } = await run(['--listen', `127.0.0.1:${port}`], { open: () => Promise.resolve(opened) })
    expect(code).toBe(1)
    expect(err).toContain(`Another process listens on 127.0.0.1:${port}`)
    expect(opened.replica.stopped).toBe(true)
    other.close()
  })

  it('tells mistakes in the configuration, and help', async () => {
    const { code, err } = await run(['--lisen', 'x'])
    expect(code).toBe(2)
    expect(err).toContain('did you mean --listen?')
    const help = await run(['--help'])
    expect(help.code).toBe(0)
    expect(help.out).toContain('--data-dir <text>')
  })
})
