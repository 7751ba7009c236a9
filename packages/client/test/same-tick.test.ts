import { connect, type Grapevine } from '@grapevine/client'
import type { BatchRequest } from '@grapevine/contract'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { FakeNode, json, problem } from './fake-node.ts'

let node: FakeNode
let grapevine: Grapevine
beforeEach(async () => {
  node = await FakeNode.start((request, response) => {
    if (request.url !== '/v1/batch') return void response.writeHead(204, { etag: '"v"' }).end()
    json(response, { results: opsOf(request.body).map(() => ({ status: 204, etag: 'v' })) })
  })
  grapevine = await connect(node.url, { discover: false, writeIds: true })
})
afterEach(async () => {
  await grapevine.close()
  await node.stop()
})

function opsOf(body: Buffer): BatchRequest['ops'] {
  const { ops }: BatchRequest = JSON.parse(String(body))
  return ops
}

function urls(): string[] {
  return node.seen.map(({ url }) => url.split('?')[0] ?? '')
}

it('sends what was asked in one tick in one request, over buckets and kinds', async () => {
  const [a, b] = [grapevine.bucket('a'), grapevine.bucket('b', { codec: 'text' })]
  await Promise.all([a.put('k', 1), b.put('k', 'x'), a.delete('l'), b.get('k').catch(() => {})])
  expect(urls()).toEqual(['/v1/batch'])
  expect(opsOf(node.seen[0]?.body ?? Buffer.of()).map(({ op, bucket }) => `${op} ${bucket}`)).toEqual([
    'put a',
    'put b',
    'delete a',
    'get b',
  ])
})

it('lets those share that come from different depths of promises in one tick', async () => {
  const bucket = grapevine.bucket('b')
  const deep = async (depth: number): Promise<unknown> => (depth === 0 ? bucket.put('k', 1) : deep(depth - 1))
  await Promise.all([0, 5, 20].map(deep))
  expect(urls()).toEqual(['/v1/batch'])
})

it('asks for the rest of many reads when one answer holds no more', async () => {
  const tooMany = { code: 'overloaded', status: 503, detail: 'read the rest in another', title: 'no', retryable: true }
  node.handler = ({ url, body }, response) => {
    // The last one has no company any more.
    if (url !== '/v1/batch') return json(response, 7)
    json(response, {
      results: opsOf(body).map((_, index) =>
        index < 3 ? { status: 200, etag: 'v', value: 'Nw==' } : { status: 503, problem: tooMany },
      ),
    })
  }
  const bucket = grapevine.bucket('b')
  const reads = Array.from({ length: 100 }, (_, index) => bucket.get(`k${index}`))
  expect(new Set(await Promise.all(reads))).toEqual(new Set([7]))
})

it('gives each call its own time, whoever it travels with', async () => {
  const held: (() => void)[] = []
  node.handler = ({ url, body }, response) => {
    const answer = (): void => {
      if (url !== '/v1/batch') return void response.writeHead(204, { etag: '"v"' }).end()
      json(response, { results: opsOf(body).map(() => ({ status: 204, etag: 'v' })) })
    }
    if (url.includes('large')) held.push(answer)
    // Longer than the first of the two has left, shorter than the second.
    else setTimeout(answer, 800)
  }
  await using other = await connect(node.url, { discover: false, writeIds: true, timeoutMs: 1_500 })
  const bucket = other.bucket('b', { codec: 'bytes' })
  const large = Array.from({ length: 8 }, (_, index) => bucket.put(`large${index}`, new Uint8Array(100_000)))
  await expect.poll(() => held.length).toBe(8)
  const old = bucket.put('old', new Uint8Array(1)).catch((error: unknown) => error)
  await new Promise((resolve) => setTimeout(resolve, 1_200))
  const young = bucket.put('young', new Uint8Array(1))
  for (const answer of held) answer()
  await Promise.all(large)
  await young
  expect(await old).toMatchObject({ code: 'timeout' })
})

it('keeps apart what is done in different ways, and what is large', async () => {
  const bucket = grapevine.bucket('b', { codec: 'bytes' })
  const small = new Uint8Array(10)
  await Promise.all([
    bucket.put('a', small),
    bucket.put('b', small),
    bucket.put('c', small, { w: 'quorum' }),
    bucket.put('d', new Uint8Array(100_000)),
    bucket.get('e', { consistency: 'quorum' }),
    bucket.get('f', { consistency: 'quorum' }),
  ])
  expect(urls().toSorted()).toEqual(['/v1/batch', ...['c', 'd', 'e', 'f'].map((key) => `/v1/kv/b/${key}`)])
})

it('splits at a thousand, and holds the rest back while eight requests are under way', async () => {
  const held: (() => void)[] = []
  const answerNow = node.handler
  node.handler = (request, response) => void held.push(() => answerNow(request, response))
  const bucket = grapevine.bucket('b')
  const writes = Promise.all(Array.from({ length: 12_500 }, (_, index) => bucket.put(`k${index}`, index)))
  await expect.poll(() => held.length, { timeout: 5_000 }).toBe(8)
  // What asks after them is heard at once, so a ninth would have been heard as well.
  node.handler = (request, response) =>
    request.url === '/livez' ? json(response, {}) : void held.push(() => answerNow(request, response))
  await grapevine.request('/livez')
  expect(held).toHaveLength(8)
  node.handler = answerNow
  for (const answer of held) answer()
  await writes
  // They arrive over eight connections, in whatever order.
  const batches = node.seen.filter(({ url }) => url === '/v1/batch')
  const sizes = batches.map(({ body }) => opsOf(body).length).toSorted((one, other) => other - one)
  expect(sizes).toEqual([...Array(12).fill(1_000), 500])
})

it('tries one operation again that the node could not do for the moment', async () => {
  const busy = { code: 'overloaded', status: 503, detail: 'later', title: '', retryable: true, outcome: 'not-applied' }
  node.handler = (request, response) => {
    if (request.url !== '/v1/batch') return void response.writeHead(204, { etag: '"second"' }).end()
    json(response, {
      results: [
        { status: 204, etag: 'first' },
        { status: 503, problem: busy },
      ],
    })
  }
  const bucket = grapevine.bucket('b')
  const receipts = await Promise.all([bucket.put('a', 1), bucket.put('b', 2)])
  expect(receipts.map(({ etag }) => etag)).toEqual(['first', 'second'])
  expect(node.seen.at(-1)?.headers['idempotency-key']).toBe(
    opsOf(node.seen[0]?.body ?? Buffer.of()).map((op) => ('id' in op ? op.id : ''))[1],
  )
})

it('repeats a batch whose answer was lost, with the same names', async () => {
  const { handler } = node
  node.handler = (_, response) => {
    node.handler = handler
    response.destroy()
  }
  const bucket = grapevine.bucket('b')
  await Promise.all([bucket.put('a', 1), bucket.put('b', 2)])
  expect(urls()).toEqual(['/v1/batch', '/v1/batch'])
  expect(String(node.seen[0]?.body).replace(/"timeout":"\w+"/, '')).toBe(
    String(node.seen[1]?.body).replace(/"timeout":"\w+"/, ''),
  )
})

it('lets one give up without the others, and the request when all do', async () => {
  let closed = 0
  node.handler = (_, response) => void response.on('close', () => closed++)
  const one = new AbortController()
  const two = new AbortController()
  const bucket = grapevine.bucket('b')
  const first = bucket.put('a', 1, { signal: one.signal })
  const second = bucket.get('b', { signal: two.signal })
  await expect.poll(() => node.seen.length).toBe(1)
  one.abort()
  await expect(first).rejects.toMatchObject({ code: 'aborted', outcome: 'unknown' })
  expect(closed).toBe(0)
  two.abort()
  await expect(second).rejects.toMatchObject({ code: 'aborted', outcome: undefined })
  await expect.poll(() => closed).toBe(1)
})

it('gives each the failure of all, and a read no outcome', async () => {
  node.handler = (_, response) => problem(response, 507, 'disk_full', { outcome: 'not-applied' })
  const bucket = grapevine.bucket('b')
  const failures = await Promise.allSettled([bucket.put('a', 1), bucket.get('b')])
  expect(failures).toMatchObject([
    { reason: { code: 'disk_full', outcome: 'not-applied' } },
    { reason: { code: 'disk_full', outcome: undefined } },
  ])
})
