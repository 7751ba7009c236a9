import { connect, GrapevineError, json, type Grapevine, type Key, type StandardSchema } from '@grapevine/client'
import { connect as connectAdmin } from '@grapevine/client/admin'
import {
  decodeBase64Url,
  encodeBase64,
  encodeUtf8,
  keyFieldsOf,
  type BatchRequest,
  type ListItem,
} from '@grapevine/contract'
import { assert as assertProperty, asyncProperty, oneof, string, uint8Array } from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { bytesOfKey } from '../src/key.ts'
import { FakeNode, json as sendJson, problem } from './fake-node.ts'

let node: FakeNode
let grapevine: Grapevine
beforeAll(async () => {
  node = await FakeNode.start()
  grapevine = await connect(node.url, { discover: false, token: 'secret', writeIds: true })
})
beforeEach(() => {
  node.seen.length = 0
  node.handler = (_, response) =>
    void response.writeHead(204, { etag: '"v1"', 'grapevine-acks': '2/3', 'grapevine-served-by': 'n1' }).end()
})
afterAll(async () => {
  await grapevine.close()
  await node.stop()
})

/** The key's bytes as a server reads them from the request. */
function keySeen(): Uint8Array | undefined {
  const url = new URL(node.seen.at(-1)?.url ?? '', node.url)
  const segment = decodeURIComponent(url.pathname.split('/').slice(4).join('/'))
  return url.searchParams.get('key_encoding') === 'base64url' ? decodeBase64Url(segment) : encodeUtf8(segment)
}

describe('a bucket', () => {
  it('puts with all that was asked for', async () => {
    const receipt = await grapevine
      .bucket('b')
      .put('a/b', { x: 1 }, { ttl: '30s', w: 'quorum', ifMatch: 'v0', timeoutMs: 1_000 })
    expect(receipt).toMatchObject({ etag: 'v1', acks: { count: 2, of: 3 }, servedBy: 'n1' })
    expect(node.seen).toMatchObject([
      {
        method: 'PUT',
        url: expect.stringMatching(/^\/v1\/kv\/b\/a%2Fb\?timeout=\d+ms&w=quorum&ttl=30s$/),
        headers: { 'content-type': 'application/json', 'if-match': '"v0"', authorization: 'Bearer secret' },
      },
    ])
    expect(node.seen[0]?.body.toString()).toBe('{"x":1}')
  })

  it('asks for its policy and sets it', async () => {
    const sessions = grapevine.bucket('sessions')
    await sessions.setPolicy({ ttl: 90_000 }, { w: 'all', timeoutMs: 1_000 })
    await sessions.setPolicy({})
    expect(node.seen).toMatchObject([
      {
        method: 'PUT',
        url: '/v1/buckets/sessions?timeout=900ms&w=all',
        headers: { 'content-type': 'application/json' },
      },
      { method: 'PUT', url: expect.stringMatching(/^\/v1\/buckets\/sessions\?timeout=/) },
    ])
    expect(node.seen.map(({ body }) => body.toString())).toEqual(['{"ttl":"90s"}', '{"ttl":null}'])
    await expect(sessions.setPolicy({ ttl: 'soon' })).rejects.toMatchObject({ code: 'bad_argument' })
    node.handler = (_, response) => sendJson(response, { ttl: '90s' })
    expect(await sessions.policy()).toEqual({ ttl: '90s' })
    expect(node.seen.at(-1)).toMatchObject({ method: 'GET', url: '/v1/buckets/sessions' })
  })

  it('puts for ever against the policy', async () => {
    await grapevine.bucket('b').put('k', 1, { ttl: 'none', timeoutMs: 1_000 })
    expect(node.seen[0]?.url).toMatch(/^\/v1\/kv\/b\/k\?timeout=\d+ms&ttl=none$/)
  })

  it('deletes', async () => {
    await grapevine.bucket('b').delete('k', { ifAbsent: true })
    expect(node.seen).toMatchObject([{ method: 'DELETE', headers: { 'if-none-match': '*' } }])
  })

  it('gets, and a missing key is undefined', async () => {
    node.handler = (_, response) => {
      const headers = {
        etag: '"v1"',
        'grapevine-expires-at': '2030-01-01T00:00:00Z',
        'content-type': 'application/json',
      }
      response.writeHead(200, headers).end('[1]')
    }
    await expect(grapevine.bucket('b').get('k')).resolves.toEqual([1])
    const entry = await grapevine.bucket('b', { codec: 'text' }).entry('k', { consistency: 'quorum' })
    expect(entry).toMatchObject({
      value: '[1]',
      etag: 'v1',
      contentType: 'application/json',
      expiresAt: new Date('2030-01-01'),
    })
    expect(node.seen.at(-1)?.url).toContain('consistency=quorum')
    node.handler = (_, response) => problem(response, 404, 'not_found')
    await expect(grapevine.bucket('b').get('k')).resolves.toBeUndefined()
  })

  it('sends every byte string and every text with bytes as the same key', async () => {
    const key = oneof(
      uint8Array({ minLength: 1, maxLength: 40 }),
      string({ unit: 'binary', minLength: 1, maxLength: 40 }),
    )
    await assertProperty(
      asyncProperty(key, async (anyKey: Key) => {
        await grapevine.bucket('b').delete(anyKey)
        expect(keySeen()).toEqual(bytesOfKey(anyKey))
      }),
    )
  })

  it.each(['', 'x'.repeat(1025), '\ud800'.repeat(342), new Uint8Array()])(
    'refuses the key %j before it is sent',
    async (key) => {
      await expect(grapevine.bucket('b').get(key)).rejects.toMatchObject({ code: 'bad_key' })
      expect(node.seen).toHaveLength(0)
    },
  )

  it('refuses what cannot be right', async () => {
    expect(() => grapevine.bucket('No')).toThrow(GrapevineError)
    await expect(grapevine.bucket('b').put('k', undefined)).rejects.toMatchObject({ code: 'bad_value' })
    await expect(grapevine.bucket('b').put('k', 1, { ttl: 'soon' })).rejects.toMatchObject({ code: 'bad_argument' })
    for (const wrong of [{ id: 'a b' }, { ifMatch: 'x\ny' }, { ifMatch: 'é' }, { contentType: 'a\nb' }])
      await expect(grapevine.bucket('b').put('k', 1, wrong)).rejects.toMatchObject({
        code: 'bad_argument',
        outcome: 'not-applied',
      })
    await expect(connect('127.0.0.1:7700')).rejects.toMatchObject({ code: 'bad_argument' })
    expect(node.seen).toHaveLength(0)
  })

  it('doubts what it reads by a schema', async () => {
    const schema: StandardSchema<number> = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value) =>
          typeof value === 'number' ? { value } : { issues: [{ message: 'no number', path: ['a', { key: 1 }] }] },
      },
    }
    const numbers = grapevine.bucket('b', { codec: json(schema) })
    node.handler = (_, response) => sendJson(response, 3)
    await expect(numbers.get('k')).resolves.toBe(3)
    node.handler = (_, response) => sendJson(response, 'three')
    await expect(numbers.get('k')).rejects.toMatchObject({
      code: 'bad_value',
      message: expect.stringContaining('a.1: no number'),
    })
  })
})

describe('a list', () => {
  it('goes on over pages, empty ones too, and stops at the limit', async () => {
    node.handler = ({ url }, response) => {
      const cursor = new URL(url, node.url).searchParams.get('cursor')
      if (cursor === null) sendJson(response, { items: [item(Buffer.from('a'))], cursor: '1', complete: false })
      else if (cursor === '1') sendJson(response, { items: [], cursor: '2', complete: false })
      else sendJson(response, { items: [item(Uint8Array.of(0xff))], cursor: null, complete: true })
    }
    const found = await collect(grapevine.bucket('b').list({ prefix: 'p', reverse: true }))
    expect(found.map(({ key, value }) => [key, value])).toEqual([
      ['a', 7],
      [Uint8Array.of(0xff), 7],
    ])
    expect(node.seen[0]?.url).toBe('/v1/kv/b?prefix=p&reverse=true&include=value&limit=100')
    const one = await collect(grapevine.bucket('b').list({ limit: 1 }))
    expect(one).toHaveLength(1)
  })

  it('sends bounds that are not text as base64url, all of them', async () => {
    node.handler = (_, response) => sendJson(response, { items: [], cursor: null, complete: true })
    await collect(grapevine.keys('b', { start: 'a', end: Uint8Array.of(0xff) }))
    expect(node.seen[0]?.url).toBe('/v1/kv/b?start=YQ&end=_w&key_encoding=base64url&limit=1000')
  })
})

describe('a batch', () => {
  it('tells of each operation what became of it', async () => {
    node.handler = (_, response) =>
      sendJson(response, {
        results: [
          { status: 204, etag: 'v1', acks: { count: 1, of: 3 } },
          { status: 404, problem: { code: 'not_found', status: 404, detail: 'nothing', title: 'x', retryable: false } },
          { status: 200, etag: 'v2', value: 'Nw==', contentType: 'text/plain' },
        ],
      })
    const outcomes = await grapevine.batch(
      [
        { op: 'put', bucket: 'b', key: Uint8Array.of(0xff), value: Uint8Array.of(1), ttl: 30_000 },
        { op: 'get', bucket: 'b', key: 'k' },
        { op: 'get', bucket: 'b', key: 'l' },
      ],
      { w: 2 },
    )
    expect(outcomes).toMatchObject([
      { etag: 'v1', acks: { count: 1, of: 3 } },
      { error: { code: 'not_found' } },
      { value: Uint8Array.of(0x37), contentType: 'text/plain' },
    ])
    expect(JSON.parse(String(node.seen[0]?.body))).toEqual({
      ops: [
        {
          op: 'put',
          bucket: 'b',
          key: '_w',
          keyEncoding: 'base64url',
          value: 'AQ==',
          ttl: '30s',
          id: expect.stringMatching(/^\w+-\w+$/),
        },
        { op: 'get', bucket: 'b', key: 'k' },
        { op: 'get', bucket: 'b', key: 'l' },
      ],
      w: 2,
      timeout: expect.stringMatching(/^(9s|8\d\d\dms)$/),
    })
  })

  it('is split at 1000 operations, and each part has its own fate', async () => {
    let asked = 0
    node.handler = ({ body }, response) => {
      const { ops }: BatchRequest = JSON.parse(String(body))
      if (++asked === 2) problem(response, 507, 'disk_full', { outcome: 'not-applied' })
      else sendJson(response, { results: ops.map(() => ({ status: 204 })) })
    }
    const operations = Array.from({ length: 1_500 }, (_, index) => ({
      op: 'delete' as const,
      bucket: 'b',
      key: `k${index}`,
    }))
    const outcomes = await grapevine.batch(operations)
    expect(outcomes.map(({ error }) => error?.code)).toEqual([
      ...Array(1_000).fill(undefined),
      ...Array(500).fill('disk_full'),
    ])
  })

  it('stays below 4 MiB for each request, whatever is in it', async () => {
    node.handler = ({ url, body }, response) => {
      expect(body.length).toBeLessThan(4 * 1024 * 1024)
      if (url !== '/v1/batch') return void response.writeHead(204).end()
      const { ops }: BatchRequest = JSON.parse(String(body))
      sendJson(response, { results: ops.map(() => ({ status: 204 })) })
    }
    const value = new Uint8Array(40_000)
    const op = { op: 'put' as const, bucket: 'b', key: '\0'.repeat(1024), value }
    const outcomes = await grapevine.batch([
      ...Array.from({ length: 150 }, () => op),
      { ...op, value: new Uint8Array(1_000_000) },
    ])
    expect(outcomes.every(({ error }) => error === undefined)).toBe(true)
    expect(node.seen.length).toBeLessThan(5)
    await expect(grapevine.batch([])).resolves.toEqual([])
  })
})

describe('administration', () => {
  it('asks where the contract says', async () => {
    node.handler = (_, response) => sendJson(response, {})
    await using administered = await connectAdmin(node.url, { discover: false })
    const { admin } = administered
    await admin.cluster()
    await admin.members()
    await admin.divergence({ depth: 2 })
    await admin.diff('n 2', { cursor: 'c', limit: 5 })
    await admin.inspect('b', '.')
    await admin.antiEntropy('n2')
    await admin.exchanges()
    await admin.config()
    await admin.pause('rumors')
    await admin.resume('all')
    await new Response(await admin.snapshot()).text()
    expect(node.seen.map(({ method, url, body }) => `${method} ${url} ${String(body)}`.trim())).toEqual([
      'GET /v1/cluster',
      'GET /v1/cluster/members',
      'GET /v1/admin/divergence?depth=2',
      'GET /v1/admin/diff?with=n+2&cursor=c&limit=5',
      'GET /v1/admin/keys/b/Lg?key_encoding=base64url',
      'POST /v1/admin/anti-entropy {"with":"n2"}',
      'GET /v1/admin/anti-entropy',
      'GET /v1/admin/config',
      'POST /v1/admin/pause {"what":"rumors"}',
      'POST /v1/admin/resume {"what":"all"}',
      'GET /v1/admin/snapshot',
    ])
  })
})

function item(key: Uint8Array): ListItem {
  const value = encodeBase64(Uint8Array.of(0x37))
  return { ...keyFieldsOf(key), etag: 'v1', size: 1, contentType: 'application/json', value }
}

async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = []
  for await (const each of items) all.push(each)
  return all
}
