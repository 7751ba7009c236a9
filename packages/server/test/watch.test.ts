import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { setImmediate } from 'node:timers/promises'
import { WATCH_HEARTBEAT_MS, type Problem } from '@grapevine/contract'
import { addressOf, HLC_ZERO, PARTITIONS, type WatchChange, type WatchPosition } from '@grapevine/core'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { CLUSTER_ID, OTHER_ID } from './fake-replica.ts'
import { send } from './send.ts'
import { listening, testServer, type TestServer } from './serve.ts'

const POSITION: WatchPosition = {
  cluster: CLUSTER_ID,
  frontier: HLC_ZERO,
  expiriesToldMs: 1,
  folded: 'abcdefgh',
  seen: Array.from({ length: PARTITIONS }, (_, partition) => new Map([['00000000000000a1', partition + 1]])),
}
const CHANGE: WatchChange = {
  type: 'put',
  address: addressOf('b', 'k\u00c3\u00a9'),
  version: { hlc: { wallMs: 7, counter: 1 }, replica: OTHER_ID },
  via: 'rumor',
  lagMs: 3,
}

interface Open {
  readonly answer: IncomingMessage
  readonly text: () => string
  /** Waits until the text contains this. */
  readonly until: (part: string) => Promise<void>
  readonly leave: () => void
}

async function open(port: number, path: string, headers: Record<string, string> = {}): Promise<Open> {
  const outgoing = request({ host: '127.0.0.1', port, path, headers, agent: false })
  outgoing.end()
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage]
  answer.setEncoding('utf8')
  answer.on('error', () => {})
  outgoing.on('error', () => {})
  let text = ''
  answer.on('data', (chunk: string) => (text += chunk))
  const leave = (): void => void outgoing.destroy()
  onTestFinished(leave)
  const until = (part: string): Promise<void> => vi.waitFor(() => expect(text).toContain(part), { timeout: 5_000 })
  return { answer, text: () => text, until, leave }
}

async function watched(path = '/v1/watch/b', headers?: Record<string, string>): Promise<Open & TestServer> {
  const server = testServer()
  const port = await listening(server.app)
  return { ...server, ...(await open(port, path, headers)) }
}

describe('a watch', () => {
  it('begins with an id alone, and goes on with one event a change', async () => {
    const { replica, answer, until, text } = await watched('/v1/watch/b?prefix=k')
    expect(answer.statusCode).toBe(200)
    expect(answer.headers).toMatchObject({ 'content-type': 'text/event-stream', 'grapevine-served-by': 'n1' })
    const watch = replica.watches[0]
    expect(watch?.request).toEqual({ bucket: 'b', prefix: addressOf('b', 'k'), after: undefined })
    watch?.tell({ kind: 'position', position: POSITION })
    await until('\n\n')
    expect(text()).toMatch(/^id: [\w-]+\n\n$/)
    watch?.tell(
      { kind: 'change', change: CHANGE },
      { kind: 'change', change: { ...CHANGE, type: 'delete', address: addressOf('b', '\u00ff') } },
    )
    await until('event: delete')
    const [, put, deleted] = text().split('\n\n')
    expect(put).toBe(
      'event: put\ndata: {"key":"ké","etag":"0000000000070001-00000000000000b2","origin":"n2","via":"rumor","lagMs":3}',
    )
    expect(deleted).toContain('{"key":"_w","keyEncoding":"base64url"')
  })

  it('sends an id only when something was told since the last, and with a resync', async () => {
    const { replica, until, text } = await watched()
    const watch = replica.watches[0]
    for (let times = 0; times < 3; times++) watch?.tell({ kind: 'position', position: POSITION })
    watch?.tell({ kind: 'change', change: CHANGE }, { kind: 'position', position: { ...POSITION, expiriesToldMs: 2 } })
    watch?.tell({ kind: 'resync', position: { ...POSITION, expiriesToldMs: 3 } })
    await until('data: {}')
    const blocks = text()
      .split('\n\n')
      .filter((block) => block !== '')
    expect(blocks.map((block) => block.replaceAll(/^id: .*$/gm, 'ID'))).toEqual([
      'ID',
      expect.stringMatching(/^event: put/),
      'ID',
      'event: resync\nID\ndata: {}',
    ])
    expect(new Set(text().match(/^id: .*$/gm)).size).toBe(3)
  })

  it('takes an id that it has sent, also after a restart, and no other', async () => {
    const first = await watched()
    first.replica.watches[0]?.tell({ kind: 'position', position: POSITION })
    await first.until('\n\n')
    const id = first.text().slice(4).trim()
    const server = testServer()
    const port = await listening(server.app)
    await open(port, '/v1/watch/b', { 'last-event-id': id })
    expect(server.replica.watches[0]?.request.after).toEqual(POSITION)

    const foreign = { ...POSITION, cluster: 'f'.repeat(32) }
    first.replica.watches[0]?.tell({ kind: 'resync', position: foreign })
    await first.until('resync')
    const other = first.text().split('id: ').at(-1)?.split('\n')[0] ?? ''
    const refused = await send(port, 'GET', '/v1/watch/b', { headers: { 'last-event-id': other } })
    expect([refused.status, problemOf(refused.body).code]).toEqual([421, 'wrong_cluster'])
    for (const bad of ['7', 'memory.3', id.slice(0, -1), `${id}AA`, id.replace(/.$/, '!'), 'A'.repeat(9_000)]) {
      const answer = await send(port, 'GET', '/v1/watch/b', { headers: { 'last-event-id': bad } })
      expect([answer.status, problemOf(answer.body).code, problemOf(answer.body).retryable]).toEqual([
        400,
        'bad_header',
        false,
      ])
    }
    expect(server.replica.watches).toHaveLength(1)
  })

  it.each([
    ['/v1/watch/B', 400, 'bad_bucket'],
    ['/v1/watch/b?prefx=k', 400, 'bad_query'],
    ['/v1/watch/b?prefix=%FF', 400, 'bad_key'],
    ['/v1/watch/b?prefix=k&key_encoding=hex', 400, 'bad_query'],
  ])('refuses %s', async (path, status, code) => {
    const { app } = testServer()
    const answer = await app.inject({ url: path })
    expect([answer.statusCode, answer.json<Problem>().code]).toEqual([status, code])
  })

  it('is refused where there is no room, by a node that joins, and by one that stops', async () => {
    const { app, replica, state } = testServer()
    replica.watchersMax = 0
    const full = await app.inject({ url: '/v1/watch/b' })
    expect([full.statusCode, full.json<Problem>().code, full.headers['retry-after']]).toEqual([503, 'overloaded', '5'])
    state.draining = true
    expect((await app.inject({ url: '/v1/watch/b' })).json<Problem>()).toMatchObject({
      code: 'draining',
      retryable: true,
    })
    const joining = testServer()
    joining.replica.stage = 'joining'
    expect((await joining.app.inject({ url: '/v1/watch/b' })).json<Problem>()).toMatchObject({ code: 'not_ready' })
  })

  it('lets go when the reader leaves', async () => {
    const { replica, leave } = await watched()
    leave()
    await vi.waitFor(() => expect(replica.watches[0]?.isClosed).toBe(true))
  })

  it('ends, and cleanly, when the server closes and when the replica does', async () => {
    const server = await watched()
    const ended = once(server.answer, 'end')
    await server.app.close()
    await ended
    expect(server.replica.watches[0]?.isClosed).toBe(true)

    const other = await watched()
    const otherEnded = once(other.answer, 'end')
    other.replica.watches[0]?.close()
    await otherEnded
  })

  it('shows that it lives when there is nothing to tell, with the newest id', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    onTestFinished(() => void vi.useRealTimers())
    const { replica, until, text } = await watched()
    replica.watches[0]?.tell({ kind: 'position', position: POSITION })
    replica.watches[0]?.tell({ kind: 'position', position: { ...POSITION, expiriesToldMs: 9 } })
    await until('\n\n')
    await vi.waitFor(() => {
      vi.advanceTimersByTime(WATCH_HEARTBEAT_MS)
      expect(text()).toMatch(/^id: ([\w-]+)\n\n(: still here\nid: [\w-]+\n\n)+$/)
    })
    expect(new Set(text().match(/^id: .*$/gm)).size).toBe(2)
  })

  it('shows it also while there is only news of other buckets', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    onTestFinished(() => void vi.useRealTimers())
    const { replica, until, text } = await watched()
    const watch = replica.watches[0]
    watch?.tell({ kind: 'position', position: POSITION })
    await until('\n\n')
    await vi.waitFor(async () => {
      vi.advanceTimersByTime(WATCH_HEARTBEAT_MS / 4)
      watch?.tell({ kind: 'position', position: { ...POSITION, expiriesToldMs: 2 } })
      await setImmediate()
      expect(text()).toContain(': still here')
    })
  })

  it('is counted', async () => {
    const { app, replica, until } = await watched()
    replica.watches[0]?.tell({ kind: 'change', change: CHANGE })
    await until('event: put')
    expect((await app.inject({ url: '/metrics' })).body).toContain('\ngrapevine_watchers 1\n')
  })
})

function problemOf(body: Buffer): Problem {
  return JSON.parse(body.toString()) as Problem
}
