import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runCommandLine } from '@grapevine/cli'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { controlPathOf } from '../src/dev/control.ts'
import type { DevFile } from '../src/dev/dev-file.ts'
import { planNodes } from '../src/dev/layout.ts'
import { runDev, type DevOptions } from '../src/dev/run-dev.ts'
import { Flags } from '../src/flags.ts'
import { FakeShell } from './fake-shell.ts'

let dataDir: string
/** Below the ports that the system gives to others. */
let basePort = 20_000 + (process.pid % 100) * 100
let running: Promise<number> | undefined
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'grapevine-dev-'))
  basePort += 40
})
afterEach(async () => {
  await dev('stop')
  await running?.catch(() => {})
  running = undefined
  await rm(dataDir, { recursive: true, force: true })
})

async function dev(...words: string[]) {
  const shell = new FakeShell({ env: { GRAPEVINE_DATA_DIR: dataDir } })
  const code = await runCommandLine(['dev', ...words], shell)
  return { code, out: shell.stdout.text, err: shell.stderr.text }
}

function runFake(options: Partial<DevOptions> = {}, env: Record<string, string> = {}) {
  const shell = new FakeShell()
  const launcher = {
    program: process.execPath,
    args: [join(import.meta.dirname, 'fixtures', 'fake-server.js')],
    env: { ...process.env, ...env },
  }
  const call = { args: [], flags: new Flags({}), shell, signal: new AbortController().signal }
  const ended = runDev(call, { dataDir, basePort, nodes: 3, fresh: false, launcher, ...options })
  running = ended
  return { shell, ended }
}

async function startFake(options: Partial<DevOptions> = {}) {
  const fake = runFake(options)
  const ready = async (): Promise<void> => {
    await expect.poll(() => existsSync(join(dataDir, 'dev.json')), { timeout: 10_000 }).toBe(true)
  }
  await Promise.race([fake.ended, ready()])
  return fake
}

async function devFile(): Promise<DevFile> {
  return JSON.parse(await readFile(join(dataDir, 'dev.json'), 'utf8'))
}

async function pidOf(name: string): Promise<number | null | undefined> {
  const { nodes } = await devFile()
  return nodes.find((node) => node.name === name)?.pid
}

describe('grapevine dev', { timeout: 30_000 }, () => {
  it('runs nodes that know each other, and says where they are', async () => {
    const { shell, ended } = await startFake()
    const file = await devFile()
    expect(file.clusterId).toBe('c1')
    expect(file.nodes.map(({ pid: _pid, ...node }) => node)).toEqual(
      [1, 2, 3].map((number) => ({
        name: `n${number}`,
        url: `http://127.0.0.1:${basePort + 10 * (number - 1)}`,
        peerUrl: `http://127.0.0.1:${basePort + 10 * (number - 1) + 1}`,
        dataDir: join(dataDir, `n${number}`),
      })),
    )
    for (const { url, pid } of file.nodes) {
      expect(pid).toBeGreaterThan(0)
      expect(await (await fetch(`${url}/readyz`)).text()).toBe('ready')
    }
    await expect.poll(() => shell.stdout.text).toContain(`curl -X PUT http://127.0.0.1:${basePort}/v1/kv/demo/hello`)
    expect(await readFile(join(dataDir, 'n2.log'), 'utf8')).toBe('n2 speaks\n')

    expect(await dev('stop')).toMatchObject({ code: 0 })
    expect(await ended).toBe(0)
    expect((await readdir(dataDir)).filter((name) => name.startsWith('dev.'))).toEqual([])
    expect(await dev('list')).toMatchObject({ code: 5 })
  })

  it('lives on when nodes die, and starts them again when it is told to', async () => {
    const { shell } = await startFake()
    for (const name of ['n1', 'n2', 'n3']) process.kill((await pidOf(name)) ?? 0, 'SIGKILL')
    await expect.poll(() => Promise.all(['n1', 'n2', 'n3'].map(pidOf))).toEqual([null, null, null])
    expect(shell.stderr.text).toContain('n3 ended (SIGKILL). Start it again with: grapevine dev restart n3')
    expect(await dev('restart', 'n3')).toMatchObject({
      code: 0,
      err: expect.stringMatching(/^n3: ready \(process \d+\)/),
    })
    expect(await pidOf('n3')).toBeGreaterThan(0)
    const before = await pidOf('n3')
    expect(await dev('restart', 'n3')).toMatchObject({ code: 0 })
    expect(await pidOf('n3')).not.toBe(before)
    const { nodes } = JSON.parse((await dev('list', '-o', 'json')).out)
    expect(nodes).toMatchObject([{ state: 'down' }, { state: 'down' }, { name: 'n3', state: 'running' }])
  })

  it('stops, starts, pauses and resumes nodes', async () => {
    await startFake({ nodes: 2 })
    expect(await dev('stop', 'n2')).toMatchObject({ code: 0 })
    expect(await pidOf('n2')).toBeNull()
    expect(await dev('pause', 'n2')).toMatchObject({
      code: 1,
      err: expect.stringContaining('grapevine dev restart n2'),
    })
    expect(await dev('start', 'n2')).toMatchObject({ code: 0 })
    expect(await dev('pause', 'n1')).toMatchObject({ code: 0 })
    await expect(fetch(`http://127.0.0.1:${basePort}/readyz`, { signal: AbortSignal.timeout(300) })).rejects.toThrow(
      'timeout',
    )
    expect((await dev('list')).out).toMatch(/^paused +n1/m)
    expect(await dev('resume', 'n1')).toMatchObject({ code: 0 })
    expect((await fetch(`http://127.0.0.1:${basePort}/readyz`)).status).toBe(200)
    expect(await dev('stop', 'n9')).toMatchObject({ code: 3, err: expect.stringContaining('there are n1, n2') })
    // A paused one ends all the same.
    expect(await dev('pause', 'n1')).toMatchObject({ code: 0 })
    expect(await dev('stop')).toMatchObject({ code: 0 })
  })

  it('ends in order at Ctrl-C', async () => {
    const { ended } = await startFake({ nodes: 1 })
    const pid = (await pidOf('n1')) ?? 0
    // As the process would be told; other listeners are the test runner's.
    for (const listener of process.listeners('SIGINT').slice(-1)) listener('SIGINT')
    expect(await ended).toBe(0)
    expect(() => process.kill(pid, 0)).toThrow('ESRCH')
    expect(existsSync(join(dataDir, 'dev.json'))).toBe(false)
  })

  it('shows the end of the log of a node that fails, and leaves nobody behind', async () => {
    const { ended } = runFake({}, { FAIL: 'n2' })
    await expect(ended).rejects.toThrow(
      /n2 ended before it was ready\. Its log ends with:\n {2}n2 speaks\n {2}n2 will not/,
    )
    expect(existsSync(join(dataDir, 'dev.json'))).toBe(false)
    await expect(fetch(`http://127.0.0.1:${basePort}/readyz`)).rejects.toThrow('fetch failed')
  })

  it('refuses a taken port and a second run on the directory', async () => {
    const server: Server = createServer()
    await new Promise<void>((resolve) => server.listen(basePort + 11, '127.0.0.1', resolve))
    await expect(runFake().ended).rejects.toThrow(`Somebody listens already on 127.0.0.1:${basePort + 11}.`)
    await new Promise((resolve) => server.close(resolve))
    const first = await startFake({ nodes: 1 })
    await expect(runFake({ nodes: 1, basePort: basePort + 20 }).ended).rejects.toThrow('Another `grapevine dev` runs')
    running = first.ended
  })

  it('goes by the state of the directory when the last run was killed', async () => {
    await writeFile(join(dataDir, 'dev.json'), '{"clusterId":"old","nodes":[]}')
    await writeFile(controlPathOf(dataDir), '')
    runFake({ nodes: 1 })
    await expect.poll(async () => (await devFile()).clusterId, { timeout: 10_000 }).toBe('c1')
  })

  it('tells all nodes where the others are now', async () => {
    const first = await startFake({ nodes: 2 })
    await dev('stop')
    await first.ended
    await startFake({ nodes: 2, basePort: basePort + 20 })
    const lines = (await readFile(join(dataDir, 'started.ndjson'), 'utf8')).trimEnd().split('\n')
    const starts: string[][] = lines.map((line) => JSON.parse(line))
    expect(starts.filter((args) => args.includes(`--seed=127.0.0.1:${basePort + 31}`))).toHaveLength(1)
    expect(starts.filter((args) => args.includes(`--seed=127.0.0.1:${basePort + 21}`))).toHaveLength(1)
    expect(starts.filter((args) => args.includes('--found')).every((args) => args.includes('--name=n1'))).toBe(true)
  })
})

describe('the directory', () => {
  it('is cleared of what dev made, and of nothing else', async () => {
    const first = await startFake({ nodes: 1 })
    await dev('stop')
    await first.ended
    await writeFile(join(dataDir, 'mine.txt'), '')
    await writeFile(join(dataDir, 'n1', 'old'), '')
    await startFake({ nodes: 1, fresh: true })
    expect(await readdir(join(dataDir, 'n1'))).toEqual(['data'])
    expect(existsSync(join(dataDir, 'mine.txt'))).toBe(true)
  })

  it('is left alone when dev did not make it', async () => {
    await mkdir(join(dataDir, 'n1'))
    await expect(runFake({ fresh: true }).ended).rejects.toThrow('--fresh deletes nothing')
    await expect(runFake().ended).rejects.toThrow('did not make')
  })

  it('decides who founds: never n1 beside others that hold data', async () => {
    const founders = () =>
      planNodes({ dataDir, basePort: 7700, nodes: 2 })
        .filter(({ args }) => args.includes('--found'))
        .map(({ name }) => name)
    expect(founders()).toEqual(['n1'])
    await mkdir(join(dataDir, 'n2'))
    await writeFile(join(dataDir, 'n2', 'data'), '')
    expect(founders()).toEqual([])
    await mkdir(join(dataDir, 'n1'))
    await writeFile(join(dataDir, 'n1', 'data'), '')
    expect(founders()).toEqual(['n1'])
  })

  it('has its socket elsewhere when its path is long', async () => {
    const deep = join(dataDir, 'x'.repeat(100))
    await mkdir(deep)
    expect(controlPathOf(deep)).toMatch(/grapevine-dev-[0-9a-f]{16}\.sock$/)
    expect(controlPathOf(dataDir)).toBe(join(dataDir, 'dev.sock'))
    expect(() => planNodes({ dataDir, basePort: 65_530, nodes: 2 })).toThrow('not enough')
  })
})
