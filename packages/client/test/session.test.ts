import { connect } from '@grapevine/client'
import type { ServerResponse } from 'node:http'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { FakeNode, json } from './fake-node.ts'

let node: FakeNode
beforeEach(async () => {
  node = await FakeNode.start()
})
afterEach(() => node.stop())

function tokensSent(): (string | string[] | undefined)[] {
  return node.seen.map(({ headers }) => headers['grapevine-session'])
}

function answer(response: ServerResponse, token: string): void {
  response.writeHead(204, { etag: '"v"', 'grapevine-session': token }).end()
}

it('sends what two answers learnt apart, until one answer contains both', async () => {
  const waiting: ServerResponse[] = []
  node.handler = (_, response) => void waiting.push(response)
  await using grapevine = await connect(node.url, { discover: false })
  const bucket = grapevine.bucket('b')
  // With different time-outs they do not share a request.
  const calls = [bucket.put('a', 1), bucket.put('b', 1, { timeoutMs: 5_000 })]
  await expect.poll(() => waiting.length).toBe(2)
  for (const [index, response] of waiting.entries()) answer(response, `t${index}`)
  await Promise.all(calls)
  expect(grapevine.sessionToken).toBe('t0,t1')
  node.handler = (_, response) => answer(response, 't2')
  await bucket.put('c', 1)
  expect(tokensSent()).toEqual([undefined, undefined, 't0,t1'])
  expect(grapevine.sessionToken).toBe('t2')
})

it('joins more tokens than a header holds before it asks on', async () => {
  const large = ['a', 'b', 'c'].map((letter) => letter.repeat(4_000))
  await using grapevine = await connect(node.url, { discover: false, session: large.join(',') })
  node.handler = ({ url, body }, response) => {
    if (url !== '/v1/session') return answer(response, 'after')
    expect(JSON.parse(String(body))).toEqual({ tokens: large })
    json(response, { token: 'joined' })
  }
  await grapevine.bucket('b').put('k', 1)
  expect(tokensSent()).toEqual([undefined, 'joined'])
  expect(grapevine.sessionToken).toBe('after')
})

it('joins again when another answer came while it joined', async () => {
  const waiting: ServerResponse[] = []
  const joined: unknown[] = []
  node.handler = (_, response) => void waiting.push(response)
  await using grapevine = await connect(node.url, { discover: false })
  const bucket = grapevine.bucket('b')
  const calls = [1, 2, 3].map(async (timeout) => bucket.put('k', 1, { timeoutMs: timeout * 5_000 }))
  await expect.poll(() => waiting.length).toBe(3)
  const [first, second, third] = waiting
  const [a, b, c] = ['a', 'b', 'c'].map((letter) => letter.repeat(5_000))
  if (first !== undefined) answer(first, a ?? '')
  if (second !== undefined) answer(second, b ?? '')
  await Promise.race(calls)
  await expect.poll(() => grapevine.sessionToken?.length).toBe(10_001)

  node.handler = ({ url, body }, response) => {
    if (url !== '/v1/session') return answer(response, 'after')
    joined.push(JSON.parse(String(body)))
    if (joined.length > 1) return json(response, { token: 'all' })
    if (third !== undefined) answer(third, c ?? '')
    void Promise.all(calls).then(() => json(response, { token: 'j'.repeat(5_000) }))
  }
  await bucket.put('k', 1)
  expect(joined).toEqual([{ tokens: [a, b] }, { tokens: [c, 'j'.repeat(5_000)] }])
  expect(tokensSent().at(-1)).toBe('all')
})

it('learns from a missing key and a condition that does not hold as well', async () => {
  node.handler = (_, response) => {
    response.writeHead(404, { 'content-type': 'application/problem+json', 'grapevine-session': 'seen' })
    response.end(JSON.stringify({ code: 'not_found', status: 404, detail: 'nothing', title: '', retryable: false }))
  }
  await using grapevine = await connect(node.url, { discover: false })
  await grapevine.bucket('b').get('k')
  expect(grapevine.sessionToken).toBe('seen')
})

it('takes nothing away for a text that is no token', async () => {
  node.handler = (_, response) => answer(response, 'no token!')
  await using grapevine = await connect(node.url, { discover: false, session: 'saved' })
  await grapevine.bucket('b').put('k', 1)
  expect(grapevine.sessionToken).toBe('saved')
})

it('can be turned off', async () => {
  node.handler = (_, response) => answer(response, 't')
  await using grapevine = await connect(node.url, { discover: false, session: false, writeIds: false })
  await grapevine.bucket('b').put('k', 1)
  await grapevine.bucket('b').put('k', 1)
  expect(tokensSent()).toEqual([undefined, undefined])
  expect(node.seen.some(({ headers }) => 'idempotency-key' in headers)).toBe(false)
})
