import { createServer } from 'node:net'
import { connect, GrapevineError } from '@grapevine/client'
import { connect as connectAdmin } from '@grapevine/client/admin'
import { connect as connectNode } from '@grapevine/client/node'
import { afterEach, describe, expect, it } from 'vitest'
import { deadUrl, FakeNode, json, problem } from './fake-node.ts'

const nodes: FakeNode[] = []
async function fakeNode(...args: Parameters<typeof FakeNode.start>): Promise<FakeNode> {
  const node = await FakeNode.start(...args)
  nodes.push(node)
  return node
}
afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node[Symbol.asyncDispose]()))
})

async function failureOf(call: Promise<unknown>): Promise<GrapevineError> {
  const error: unknown = await call.then(
    () => new Error('it succeeded'),
    (thrown: unknown) => thrown,
  )
  if (error instanceof GrapevineError) return error
  throw error
}

describe('failover', () => {
  it('writes on another node when no connection was made, and asks the dead one no more', async () => {
    const live = await fakeNode()
    await using grapevine = await connect([await deadUrl(), live.url], { discover: false })
    await grapevine.bucket('b').put('k', 1)
    await grapevine.bucket('b').put('k', 2)
    expect(live.seen).toHaveLength(2)
  })

  it('does not repeat a write without a name of which it is not known what became', async () => {
    const breaking = await fakeNode((_, response) => void response.destroy())
    const other = await fakeNode()
    await using grapevine = await connect([breaking.url, other.url], { discover: false, writeIds: false })
    const error = await failureOf(grapevine.bucket('b').put('k', 1))
    expect(error).toMatchObject({ code: 'unreachable', outcome: 'unknown', retryable: false })
    expect(other.seen).toHaveLength(0)
    // The next write goes elsewhere at once.
    await grapevine.bucket('b').put('k', 1)
    expect(breaking.seen).toHaveLength(1)
    expect(other.seen).toHaveLength(1)
  })

  it('tells a write with a name to the same node again, before it goes elsewhere with the same name', async () => {
    const breaking = await fakeNode((_, response) => void response.destroy())
    const other = await fakeNode()
    await using grapevine = await connect([breaking.url, other.url], { discover: false, writeIds: true })
    await grapevine.bucket('b').put('k', 1)
    expect(nodes.map((node) => node.seen.length)).toEqual([2, 1])
    expect(new Set(nodes.flatMap(({ seen }) => seen.map(({ headers }) => headers['idempotency-key']))).size).toBe(1)
  })

  it('does not call a write not applied that an earlier attempt may have applied', async () => {
    let asked = 0
    const node = await fakeNode((_, response) => {
      if (++asked === 1) response.destroy()
      else problem(response, 412, 'precondition_failed', { outcome: 'not-applied' })
    })
    await using grapevine = await connect(node.url, { discover: false, writeIds: true })
    const error = await failureOf(grapevine.bucket('b').put('k', 1, { ifMatch: 'v' }))
    expect(error).toMatchObject({ code: 'precondition_failed', outcome: 'unknown' })
  })

  it('does not say so of one in a batch either, whatever the next node says', async () => {
    const lost = await fakeNode((_, response) => void response.destroy())
    const refusal = { code: 'precondition_failed', status: 412, detail: 'no', outcome: 'not-applied', title: 'no' }
    const other = await fakeNode((_, response) =>
      json(response, {
        results: [
          { status: 412, problem: refusal },
          { status: 200, etag: 'v', value: 'Nw==' },
        ],
      }),
    )
    await using grapevine = await connect([lost.url, other.url], { discover: false, writeIds: true })
    const bucket = grapevine.bucket('b')
    const write = failureOf(bucket.put('k', 1, { ifMatch: 'v' }))
    await expect(bucket.get('other')).resolves.toBe(7)
    expect(await write).toMatchObject({ code: 'precondition_failed', outcome: 'unknown' })
  })

  it('goes on to working nodes from one that is no node at all', async () => {
    const gateway = await fakeNode((_, response) => void response.writeHead(404).end('<html>'))
    const live = await fakeNode((_, response) => json(response, 7))
    await using grapevine = await connect([gateway.url, live.url], { discover: false })
    await expect(grapevine.bucket('b').get('k')).resolves.toBe(7)
    await grapevine.bucket('b').put('k', 1)
    expect(gateway.seen).toHaveLength(1)
  })

  it('does not use the budget up for what was sent nowhere', async () => {
    const live = await fakeNode((_, response) => json(response, 7))
    await using grapevine = await connect([await deadUrl(), live.url], { discover: false })
    const reads = Array.from({ length: 32 }, (_, index) =>
      grapevine.bucket('b').get(`k${index}`, { consistency: 'quorum' }),
    )
    expect(new Set(await Promise.all(reads))).toEqual(new Set([7]))
  })

  it('reads elsewhere when the connection breaks, the time is half over, or the disk failed', async () => {
    const breaking = await fakeNode((_, response) => void response.destroy())
    const silent = await fakeNode(() => {})
    const sick = await fakeNode((_, response) => problem(response, 500, 'io_error'))
    const live = await fakeNode((_, response) => json(response, 7))
    await using grapevine = await connect([breaking.url, silent.url, sick.url, live.url], {
      discover: false,
      timeoutMs: 1_000,
    })
    await expect(grapevine.bucket('b').get('k')).resolves.toBe(7)
    expect(nodes.map((node) => node.seen.length)).toEqual([1, 1, 1, 1])
  })

  it('waits longer for a report, which waits for silent members itself', async () => {
    const slow = await fakeNode((_, response) => void setTimeout(() => json(response, { nodes: [] }), 600))
    const other = await fakeNode((_, response) => json(response, { nodes: [] }))
    await using grapevine = await connectAdmin([slow.url, other.url], { discover: false, timeoutMs: 1_000 })
    await grapevine.admin.cluster()
    expect(nodes.map((node) => node.seen.length)).toEqual([1, 0])
    expect(other.seen).toHaveLength(0)
  })

  it('writes elsewhere when a node says that it did not', async () => {
    const busy = await fakeNode((_, response) =>
      problem(response, 503, 'overloaded', { retryable: true, outcome: 'not-applied' }),
    )
    const live = await fakeNode()
    await using grapevine = await connect([busy.url, live.url], { discover: false, writeIds: true })
    await grapevine.bucket('b').put('k', 1)
    expect(live.seen).toHaveLength(1)
  })

  it('hands on a time-out of a write with what is known', async () => {
    const late = await fakeNode((_, response) =>
      problem(response, 504, 'timeout', { outcome: 'unknown', acks: { count: 1, of: 3 } }),
    )
    await using grapevine = await connect([late.url, late.url], { discover: false, writeIds: true })
    const error = await failureOf(grapevine.bucket('b').put('k', 1, { w: 'all' }))
    expect(error).toMatchObject({
      code: 'timeout',
      status: 504,
      outcome: 'unknown',
      traceId: 't1',
      acks: { count: 1, of: 3 },
    })
    expect(late.seen).toHaveLength(1)
  })

  it('gives up on a silent write when the time is over', async () => {
    const silent = await fakeNode(() => {})
    await using grapevine = await connect(silent.url)
    const before = performance.now()
    const error = await failureOf(grapevine.bucket('b').put('k', 1, { timeoutMs: 150 }))
    expect(error).toMatchObject({ code: 'timeout', outcome: 'unknown' })
    expect(performance.now() - before).toBeLessThan(1_000)
  })

  it('tries again a few times when nobody is there, and says so', async () => {
    const url = await deadUrl()
    await using grapevine = await connect(url)
    const error = await failureOf(grapevine.bucket('b').put('k', 1))
    expect(error).toMatchObject({ code: 'unreachable', outcome: 'not-applied', retryable: true })
    expect(error.message).toContain(url)
  })

  it('finds a node that comes up meanwhile', async () => {
    let asked = 0
    const waking = await fakeNode((_, response) =>
      ++asked < 3
        ? problem(response, 503, 'not_ready', { retryable: true, outcome: 'not-applied' })
        : void response.writeHead(204, { etag: '"v"' }).end(),
    )
    await using grapevine = await connect(waking.url)
    await grapevine.bucket('b').put('k', 1)
    expect(asked).toBe(3)
  })

  it('does not repeat what is wrong in itself', async () => {
    const node = await fakeNode((_, response) =>
      problem(response, 412, 'precondition_failed', { outcome: 'not-applied' }),
    )
    await using grapevine = await connect([node.url, await deadUrl()])
    expect(await failureOf(grapevine.bucket('b').put('k', 1, { ifAbsent: true }))).toMatchObject({ status: 412 })
    expect(node.seen).toHaveLength(1)
  })

  it('tells a gateway from a node', async () => {
    const gateway = await fakeNode((_, response) => void response.writeHead(403).end('<html>'))
    await using grapevine = await connect(gateway.url)
    expect(await failureOf(grapevine.bucket('b').put('k', 1))).toMatchObject({ code: 'bad_answer', outcome: 'unknown' })
  })

  it('stops at the caller’s signal and when it is closed', async () => {
    const silent = await fakeNode(() => {})
    const grapevine = await connect(silent.url)
    const call = failureOf(grapevine.bucket('b').put('k', 1, { signal: AbortSignal.timeout(50) }))
    expect(await call).toMatchObject({ code: 'aborted', outcome: 'unknown' })
    const second = failureOf(grapevine.bucket('b').get('k'))
    await expect.poll(() => silent.seen.length).toBe(2)
    await grapevine.close()
    expect(await second).toMatchObject({ code: 'aborted' })
    expect(await failureOf(grapevine.bucket('b').get('k'))).toMatchObject({ code: 'closed' })
  })
})

describe('connections of Node', () => {
  const streams = (url: string): boolean => url.startsWith('/v1/watch')

  it('are not used up by watches', async () => {
    const node = await fakeNode(({ url }, response) => {
      if (!streams(url)) return void response.writeHead(204, { etag: '"v"' }).end()
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('id: 1\n\n')
    })
    await using grapevine = await connectNode(node.url, { discover: false, connections: 2 })
    const watches = Array.from({ length: 5 }, () => grapevine.bucket('b').watch({ initial: true }))
    await Promise.all(watches.map((watch) => watch.next()))
    await grapevine.bucket('b').put('k', 1)
    for (const watch of watches) await watch.return?.()
  })

  it('that are all in use do not hold a call beyond its time, nor say that it may have been sent', async () => {
    const busy = await fakeNode(({ url }, response) => {
      if (!url.includes('hold')) response.writeHead(204, { etag: '"v"' }).end()
    })
    await using grapevine = await connectNode(busy.url, { discover: false, connections: 1, timeoutMs: 60_000 })
    const held = failureOf(grapevine.bucket('b').put('hold', 1))
    await expect.poll(() => busy.seen.length).toBe(1)
    const error = await failureOf(grapevine.bucket('b').put('k', 1, { timeoutMs: 100 }))
    expect(error).toMatchObject({ outcome: 'not-applied', retryable: true })
    await grapevine.close()
    expect(await held).toMatchObject({ outcome: 'unknown' })
    expect(busy.seen).toHaveLength(1)
  })

  it('that cannot be made in time leave the time for the next node', async () => {
    // It never answers what TLS begins with.
    const mute = createServer().listen(0, '127.0.0.1')
    await expect.poll(() => mute.listening).toBe(true)
    const address = mute.address()
    const port = typeof address === 'object' ? address?.port : undefined
    const live = await fakeNode()
    await using grapevine = await connectNode([`https://127.0.0.1:${port}`, live.url], {
      discover: false,
      writeIds: true,
      timeoutMs: 1_000,
    })
    await grapevine.bucket('b').put('k', 1)
    expect(live.seen).toHaveLength(1)
    mute.close()
  })
})

describe('discovery', () => {
  it('learns of the others from whoever answers, and goes to them', async () => {
    const second = await fakeNode((_, response) => json(response, 'second'))
    const first = await fakeNode((_, response) => json(response, 'first'))
    first.routing = (_, response) => {
      response.setHeader('etag', '"7"')
      json(response, { epoch: 7, nodes: [{ name: 'n2', nodeId: 'x', url: `${second.url}/`, state: 'alive', rank: 0 }] })
    }
    await using grapevine = await connect(first.url)
    const bucket = grapevine.bucket('b')
    await expect(bucket.get('k')).resolves.toBe('first')
    await expect.poll(() => first.routingAsked.length).toBe(1)
    await new Promise((resolve) => setTimeout(resolve, 30))
    await expect(bucket.get('k')).resolves.toBe('first')
    await first.stop()
    await expect(bucket.get('k')).resolves.toBe('second')
    expect(first.routingAsked).toHaveLength(1)
  })

  it('does without a table that is none', async () => {
    const node = await fakeNode((_, response) => json(response, 1))
    node.routing = (_, response) => json(response, { nodes: [{ url: 'file:///etc/passwd' }] })
    await using grapevine = await connect(node.url)
    await grapevine.bucket('b').get('k')
    await expect.poll(() => node.routingAsked.length).toBe(1)
    await expect(grapevine.bucket('b').get('k')).resolves.toBe(1)
  })
})
