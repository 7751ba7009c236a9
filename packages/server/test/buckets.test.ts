import { addressOf, isReserved } from '@grapevine/core'
import { describe, expect, it } from 'vitest'
import { testServer, type TestServer } from './serve.ts'

type App = TestServer['app']

function setPolicy(app: App, bucket: string, payload: string) {
  return app.inject({ method: 'PUT', url: `/v1/buckets/${bucket}`, payload })
}

describe('the policy of a bucket', () => {
  it('is empty until somebody sets one, and comes back as it was set', async () => {
    const { app } = testServer()
    const before = await app.inject('/v1/buckets/sessions')
    expect(before.statusCode).toBe(200)
    expect(before.json()).toEqual({})
    expect(before.headers.etag).toBeUndefined()

    const put = await setPolicy(app, 'sessions', '{"ttl":"90s"}')
    expect(put.statusCode).toBe(204)
    expect(put.headers).toMatchObject({ 'grapevine-acks': '1/2', 'grapevine-served-by': 'n1' })
    const after = await app.inject('/v1/buckets/sessions')
    expect(after.json()).toEqual({ ttl: '90s' })
    expect(after.headers.etag).toBe(put.headers.etag)
    expect((await app.inject('/v1/buckets/other')).json()).toEqual({})

    for (const none of ['{"ttl":null}', '{}']) {
      await setPolicy(app, 'sessions', '{"ttl":"90s"}')
      expect((await setPolicy(app, 'sessions', none)).statusCode).toBe(204)
      expect((await app.inject('/v1/buckets/sessions')).json()).toEqual({})
    }
  })

  it.each([
    ['', 'bad_body', 'empty'],
    ['{', 'bad_body', 'JSON'],
    ['[]', 'bad_body', 'object'],
    ['{"ttl":"soon"}', 'bad_body', 'soon'],
    ['{"ttl":"0s"}', 'bad_body', 'ttl'],
    ['{"ttl":30}', 'bad_body', 'ttl'],
    ['{"ttl":"9999999999999d"}', 'bad_body', 'ttl'],
    ['{"tll":"30s"}', 'bad_body', 'tll'],
  ])('%s is refused, with what is wrong', async (payload, code, part) => {
    const { app, replica } = testServer()
    const answer = await setPolicy(app, 'b', payload)
    expect(answer.statusCode).toBe(400)
    expect(answer.json()).toMatchObject({ code, outcome: 'not-applied', detail: expect.stringContaining(part) })
    expect(replica.writes).toBe(0)
  })

  it.each(['B', '_buckets', '.b', '%5Fbuckets'])('bucket %s has none', async (bucket) => {
    const { app } = testServer()
    expect((await app.inject(`/v1/buckets/${bucket}`)).json()).toMatchObject({ status: 400, code: 'bad_bucket' })
    expect((await setPolicy(app, bucket, '{}')).json()).toMatchObject({ status: 400, code: 'bad_bucket' })
  })

  it('gives its time to each write that names none, and to no other', async () => {
    const { app, replica } = testServer()
    await setPolicy(app, 'b', '{"ttl":"1m"}')
    const put = async (query: string): Promise<unknown> => {
      const { headers } = await app.inject({ method: 'PUT', url: `/v1/kv/b/k${query}`, payload: 'x' })
      return headers['grapevine-expires-at']
    }
    expect(await put('')).toBe('2026-01-01T00:01:00.000Z')
    expect(await put('?w=1')).toBe('2026-01-01T00:01:00.000Z')
    expect(await put('?ttl=5s')).toBe('2026-01-01T00:00:05.000Z')
    expect(await put('?ttl=none')).toBeUndefined()
    expect((await app.inject('/v1/kv/b/k')).headers['grapevine-expires-at']).toBeUndefined()
    const other = await app.inject({ method: 'PUT', url: '/v1/kv/other/k', payload: 'x' })
    expect(other.headers['grapevine-expires-at']).toBeUndefined()

    await app.inject({ method: 'DELETE', url: '/v1/kv/b/k' })
    expect(replica.rows.get(addressOf('b', 'k'))?.expiresAtMs).toBe(0)

    const batch = await app.inject({
      method: 'POST',
      url: '/v1/batch',
      payload: {
        ops: [
          { op: 'put', bucket: 'b', key: 'a', value: '' },
          { op: 'put', bucket: 'b', key: 'b', value: '', ttl: 'none' },
          { op: 'put', bucket: 'b', key: 'c', value: '', ttl: '2s' },
          { op: 'delete', bucket: 'b', key: 'd' },
        ],
      },
    })
    const { results } = batch.json<{ results: { expiresAt?: string }[] }>()
    expect(results.map(({ expiresAt }) => expiresAt)).toEqual([
      '2026-01-01T00:01:00.000Z',
      undefined,
      '2026-01-01T00:00:02.000Z',
      undefined,
    ])
  })

  it('cannot be reached, nor seen, as a key', async () => {
    const { app, replica } = testServer()
    await setPolicy(app, 'b', '{"ttl":"1m"}')
    const [address = ''] = replica.rows.keys()
    expect(isReserved(address)).toBe(true)
    for (const url of ['/v1/kv/_buckets/b', '/v1/kv/_buckets', '/v1/kv/%5Fbuckets/b', '/v1/admin/keys/_buckets/b'])
      expect((await app.inject(url)).json()).toMatchObject({ status: 400, code: 'bad_bucket' })
    const overwrite = await app.inject({ method: 'PUT', url: '/v1/kv/_buckets/b', payload: 'x' })
    expect(overwrite.json()).toMatchObject({ code: 'bad_bucket', outcome: 'not-applied' })
    for (const bucket of ['b', 'a', '0'])
      expect((await app.inject(`/v1/kv/${bucket}`)).json()).toMatchObject({ items: [], complete: true })
  })
})

describe('a value whose time is up', () => {
  const expired = async (): Promise<TestServer> => {
    const server = testServer()
    await server.app.inject({ method: 'PUT', url: '/v1/kv/b/k?ttl=10s', payload: 'x' })
    await server.app.inject({ method: 'PUT', url: '/v1/kv/b/other', payload: 'y' })
    server.replica.wallMs += 10_000
    return server
  }

  it('is gone for every kind of read', async () => {
    const { app } = await expired()
    expect((await app.inject('/v1/kv/b/k')).statusCode).toBe(404)
    expect((await app.inject({ method: 'HEAD', url: '/v1/kv/b/k' })).statusCode).toBe(404)
    const batch = await app.inject({
      method: 'POST',
      url: '/v1/batch',
      payload: { ops: [{ op: 'get', bucket: 'b', key: 'k' }] },
    })
    expect(batch.json()).toMatchObject({ results: [{ status: 404 }] })
    const lines = await app.inject({ url: '/v1/kv/b?include=value', headers: { accept: 'application/x-ndjson' } })
    expect(lines.body.trim().split('\n')).toHaveLength(1)
    // It takes none of the page's places, and the cursor passes by it.
    const page = await app.inject('/v1/kv/b?limit=1')
    expect(page.json()).toMatchObject({ items: [{ key: 'other' }], cursor: null })
    const inspected = await app.inject('/v1/admin/keys/b/k')
    expect(inspected.json<{ replicas: unknown[] }>().replicas[0]).toMatchObject({ state: 'expired' })
  })

  it('fails If-Match and meets If-None-Match: *', async () => {
    const { app, replica } = await expired()
    const etag = replica.etagAt(addressOf('b', 'k'))
    for (const match of [etag, '*']) {
      const kept = await app.inject({ method: 'PUT', url: '/v1/kv/b/k', headers: { 'if-match': match }, payload: 'z' })
      expect(kept.statusCode).toBe(412)
    }
    const made = await app.inject({
      method: 'PUT',
      url: '/v1/kv/b/k',
      headers: { 'if-none-match': '*' },
      payload: 'z',
    })
    expect(made.statusCode).toBe(204)
    expect((await app.inject('/v1/kv/b/k')).body).toBe('z')
  })
})
