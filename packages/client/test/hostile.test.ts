import { connect, GrapevineError, type Grapevine } from '@grapevine/client'
import { connect as connectNode } from '@grapevine/client/node'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FakeNode, json, type Handler } from './fake-node.ts'

describe.each([
  ['for every platform', connect],
  ['for Node', connectNode],
])('a hostile node and the client %s', (_, connectTo) => {
  let node: FakeNode
  let grapevine: Grapevine
  beforeEach(async () => {
    node = await FakeNode.start()
    grapevine = await connectTo(node.url, { discover: false, timeoutMs: 400 })
  })
  afterEach(async () => {
    await grapevine.close()
    await node.stop()
  })

  async function failureOf(call: Promise<unknown>): Promise<GrapevineError> {
    const before = performance.now()
    const error: unknown = await call.catch((thrown: unknown) => thrown)
    expect(performance.now() - before).toBeLessThan(1_500)
    if (error instanceof GrapevineError) return error
    throw new Error('no failure of the right kind', { cause: error })
  }

  const halfway: Handler = (__, response) => {
    response.writeHead(200, { 'content-length': 100 })
    response.write('half', () => response.destroy())
  }

  it('never answers', async () => {
    node.handler = () => {}
    expect(await failureOf(grapevine.bucket('b').get('k'))).toMatchObject({ code: 'timeout', outcome: undefined })
    expect(await failureOf(grapevine.bucket('b').put('k', 1))).toMatchObject({ code: 'timeout', outcome: 'unknown' })
    await expect.poll(() => node.connections()).toBe(0)
  })

  it('begins an answer and never ends it', async () => {
    node.handler = (__, response) => void response.writeHead(200).write('{')
    expect(await failureOf(grapevine.bucket('b').get('k'))).toMatchObject({ code: 'timeout' })
    expect(await failureOf(grapevine.bucket('b').delete('k'))).toMatchObject({ code: 'timeout', outcome: 'unknown' })
    await expect.poll(() => node.connections()).toBe(0)
  })

  it('dies in the middle of an answer', async () => {
    node.handler = halfway
    expect(await failureOf(grapevine.bucket('b').get('k'))).toMatchObject({ code: 'unreachable', retryable: true })
    expect(await failureOf(grapevine.bucket('b').put('k', 1))).toMatchObject({
      code: 'unreachable',
      outcome: 'unknown',
    })
    expect(await failureOf(Array.fromAsync(grapevine.keys('b')))).toMatchObject({ code: 'unreachable' })
    await expect.poll(() => node.connections()).toBe(0)
  })

  it.each(['', '<html>', '{', '[]', '{"results":1}', '{"results":[]}', '{"results":[{},{}]}', '\xff\xfe', '\xc1\xc1'])(
    'answers a batch with %j',
    async (text) => {
      node.handler = (__, response) => void response.writeHead(200).end(Buffer.from(text, 'latin1'))
      const bucket = grapevine.bucket('b')
      const [put, get] = [bucket.put('a', 1), bucket.get('b')].map(failureOf)
      expect(await put).toMatchObject({ code: 'bad_answer', outcome: 'unknown' })
      expect(await get).toMatchObject({ code: 'bad_answer', outcome: undefined })
    },
  )

  it.each(['<html>', 'null', '{}', '{"items":[]}', '{"items":[{"key":"k","value":"?"}],"cursor":null}'])(
    'answers a list with %j',
    async (text) => {
      node.handler = (__, response) => void response.writeHead(200).end(text)
      expect(await failureOf(Array.fromAsync(grapevine.bucket('b').list()))).toMatchObject({ code: 'bad_answer' })
    },
  )

  it('answers with a redirect, or a value that is none', async () => {
    node.handler = (__, response) => void response.writeHead(302, { location: 'http://127.0.0.1:9/' }).end()
    expect(await failureOf(grapevine.bucket('b').get('k'))).toMatchObject({ code: 'bad_answer' })
    const headers = { 'content-type': 'application/json', etag: '"v"' }
    node.handler = (__, response) => void response.writeHead(200, headers).end('{')
    expect(await failureOf(grapevine.bucket('b').get('k'))).toMatchObject({ code: 'bad_value' })
  })

  it('answers everything with a page of its own, as portals of networks do', async () => {
    node.handler = (__, response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>')
    const bucket = grapevine.bucket('b', { codec: 'text' })
    expect(await failureOf(bucket.get('k'))).toMatchObject({ code: 'bad_answer', outcome: undefined })
    expect(await failureOf(bucket.put('k', 'v'))).toMatchObject({ code: 'bad_answer', outcome: 'unknown' })
  })

  it('announces more than anybody can hold', async () => {
    node.handler = (__, response) => {
      response.writeHead(200)
      const chunk = Buffer.alloc(1024 * 1024)
      const more = (): void => void (response.destroyed || response.write(chunk, more))
      more()
    }
    const error = await failureOf(grapevine.bucket('b').get('k', { timeoutMs: 1_000 }))
    expect(['unreachable', 'timeout']).toContain(error.code)
    await expect.poll(() => node.connections()).toBe(0)
  })

  it.each([
    ['a page', (__: unknown, response: Parameters<Handler>[1]) => void response.end('<html>')],
    ['an event that is none', events('event: put\ndata: {\n\n')],
    ['an event without a key', events('event: put\ndata: {"etag":"v"}\n\n')],
    ['a key that is none', events('event: put\ndata: {"key":"?","keyEncoding":"base64url","etag":"v"}\n\n')],
  ])('answers a watch with %s', async (__, handler) => {
    node.handler = handler
    expect(await failureOf(grapevine.bucket('b').watch().next())).toMatchObject({ code: 'bad_answer' })
    await grapevine.close()
    await node.stop()
    node = await FakeNode.start()
  })

  it('is not there for a watch', async () => {
    node.handler = (__, response) => void response.destroy()
    expect(await failureOf(grapevine.bucket('b').watch().next())).toMatchObject({ code: 'unreachable' })
  })
})

describe('a watch', () => {
  const nodes: FakeNode[] = []
  afterEach(async () => {
    await Promise.all(nodes.splice(0).map((node) => node.stop()))
  })
  async function start(handler: Handler): Promise<FakeNode> {
    const node = await FakeNode.start(handler)
    nodes.push(node)
    return node
  }

  const put = (key: string) =>
    `event: put\ndata: ${JSON.stringify({ key, etag: 'v', origin: 'n', via: 'local', lagMs: 0 })}\n\n`

  it('goes on at another node with the last id when one falls silent', async () => {
    const silent = await start(events(`id: 1\n\n${put('a')}: comment\nid: 2\n\n`))
    const other = await start(events(put('b')))
    await using grapevine = await connect([silent.url, other.url], { discover: false })
    await using watch = grapevine.bucket('b').watch({ silenceMs: 100 })
    expect(await watch.next()).toMatchObject({ value: { type: 'put', key: 'a', id: '1' } })
    expect(await watch.next()).toMatchObject({ value: { type: 'put', key: 'b', id: '2' } })
    expect(other.seen[0]?.headers['last-event-id']).toBe('2')
    await expect.poll(() => silent.connections()).toBe(0)
  })

  it('goes on when a node sends a line without end', async () => {
    const mad = await start((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('id: 7\n\n')
      const more = (): void => void (response.destroyed || response.write('x'.repeat(65_536), more))
      more()
    })
    const other = await start(events(put('b')))
    await using grapevine = await connect([mad.url, other.url], { discover: false })
    await using watch = grapevine.bucket('b').watch()
    expect(await watch.next()).toMatchObject({ value: { key: 'b', id: '7' } })
  })

  it('tells of what it may have missed when it was never told where it is', async () => {
    const cut = await start((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.end(put('a'))
    })
    await using grapevine = await connect(cut.url, { discover: false })
    await using watch = grapevine.bucket('b').watch()
    expect(await watch.next()).toMatchObject({ value: { key: 'a' } })
    expect(await watch.next()).toMatchObject({ value: { type: 'resync', id: undefined } })
    expect(await watch.next()).toMatchObject({ value: { key: 'a' } })
  })

  it('opens at the next node when one is silent', async () => {
    const silent = await start(() => {})
    const other = await start(events(`id: 1\n\n${put('b')}`))
    await using grapevine = await connect([silent.url, other.url], { discover: false, timeoutMs: 2_000 })
    await using watch = grapevine.bucket('b').watch()
    expect(await watch.next()).toMatchObject({ value: { key: 'b' } })
    expect(silent.seen).toHaveLength(1)
  })

  it('waits for a cluster that is away, and ends at what will not change', async () => {
    let asked = 0
    const node = await start((request, response) => {
      asked++
      if (asked === 1) events(`id: 1\n\n${put('a')}`, true)(request, response)
      else if (asked < 4) response.destroy()
      else json(response, {})
    })
    await using grapevine = await connect(node.url, { discover: false })
    await using watch = grapevine.bucket('b').watch()
    await watch.next()
    await expect(watch.next()).rejects.toMatchObject({ code: 'bad_answer' })
    expect(asked).toBe(4)
  })
})

/** A stream that says this, and then nothing more, or ends. */
function events(text: string, ends = false): Handler {
  return (_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(text)
    if (ends) response.end()
  }
}
