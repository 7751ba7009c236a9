import * as fc from 'fast-check'
import { addressOf, byteStringOf, bytesOf } from '@grapevine/core'
import type { ListBody, ListItem } from '@grapevine/contract'
import { decodeBase64Url, encodeBase64Url } from '@grapevine/contract'
import { describe, expect, it } from 'vitest'
import type { FakeReplica } from './fake-replica.ts'
import { rawExchange } from './raw-http.ts'
import { send } from './send.ts'
import { listening, testServer, type TestServer } from './serve.ts'

function fill(replica: FakeReplica, ...keys: string[]): void {
  for (const key of keys) replica.put({ address: addressOf('b', key), value: Buffer.from(`value of ${key}`) })
}

async function page({ app }: TestServer, query = '', bucket = 'b'): Promise<ListBody> {
  const answer = await app.inject(`/v1/kv/${bucket}${query}`)
  expect(answer.statusCode).toBe(200)
  return answer.json<ListBody>()
}

const keysOf = ({ items }: ListBody): string[] => items.map(({ key }) => key)

describe('a list', () => {
  it('is in order of the bytes and holds what a reader would see', async () => {
    const server = testServer()
    const { replica } = server
    fill(replica, 'b', 'a', 'a/b', 'Z', '\u00c3\u00a9')
    replica.put({ address: addressOf('b', 'deleted'), value: undefined })
    replica.put({ address: addressOf('b', 'expired'), value: Buffer.of(1), expiresAtMs: replica.wallMs - 1 })
    replica.put({ address: addressOf('b', 'expiring'), value: Buffer.of(1), expiresAtMs: replica.wallMs + 1_000 })
    replica.put({ address: addressOf('other', 'x'), value: Buffer.of(1) })
    replica.put({ address: addressOf('b0', 'x'), value: Buffer.of(1) })
    const body = await page(server)
    expect(keysOf(body)).toEqual(['Z', 'a', 'a/b', 'b', 'expiring', 'é'])
    expect(body).toMatchObject({ cursor: null, complete: true })
    expect(body.items[1]).toEqual({
      key: 'a',
      etag: replica.etagAt(addressOf('b', 'a')).slice(1, -1),
      size: 10,
      contentType: '',
    })
    expect(body.items[4]).toMatchObject({ expiresAt: '2026-01-01T00:00:01.000Z' })
    expect(await page(server, '', 'empty')).toEqual({ items: [], cursor: null, complete: true })
  })

  it('takes bounds, either way round', async () => {
    const server = testServer()
    fill(server.replica, 'a', 'b', 'ba', 'bb', 'c')
    expect(keysOf(await page(server, '?prefix=b'))).toEqual(['b', 'ba', 'bb'])
    expect(keysOf(await page(server, '?start=b&end=bb'))).toEqual(['b', 'ba'])
    expect(keysOf(await page(server, '?prefix=b&start=ba'))).toEqual(['ba', 'bb'])
    expect(keysOf(await page(server, '?reverse=true&end=c'))).toEqual(['bb', 'ba', 'b', 'a'])
    expect(keysOf(await page(server, '?start=c&end=a'))).toEqual([])
    expect(keysOf(await page(server, '?prefix=zz'))).toEqual([])
  })

  it('gives values when asked', async () => {
    const server = testServer()
    fill(server.replica, 'a')
    const { items } = await page(server, '?include=value')
    expect(Buffer.from(items[0]?.value ?? '', 'base64').toString()).toBe('value of a')
  })

  it('marks keys that are no text, and takes them as bounds', async () => {
    const server = testServer()
    const key = byteStringOf(Uint8Array.of(0xff, 0x00))
    fill(server.replica, key, 'a')
    expect((await page(server)).items[1]).toMatchObject({ key: '_wA', keyEncoding: 'base64url' })
    expect(keysOf(await page(server, '?prefix=_w&key_encoding=base64url'))).toEqual(['_wA'])
  })

  it('goes on where the page before ended, whatever the keys, and also backwards', async () => {
    const law = fc.asyncProperty(
      fc.uniqueArray(fc.uint8Array({ minLength: 1, maxLength: 6 }).map(byteStringOf), { maxLength: 20 }),
      fc.integer({ min: 1, max: 7 }),
      fc.boolean(),
      async (keys, limit, reverse) => {
        const server = testServer()
        fill(server.replica, ...keys)
        const found: string[] = []
        let cursor: string | null = null
        do {
          const body: ListBody = await page(
            server,
            `?limit=${limit}&reverse=${String(reverse)}${cursor === null ? '' : `&cursor=${cursor}`}`,
          )
          found.push(...body.items.map(bytesText))
          expect(body.complete).toBe(body.cursor === null)
          cursor = body.cursor
        } while (cursor !== null)
        const expected = keys.toSorted((a, b) => (a < b ? -1 : 1))
        expect(found).toEqual(reverse ? expected.toReversed() : expected)
      },
    )
    await fc.assert(law, { numRuns: 30 })
  })

  it('refuses a cursor that it did not give', async () => {
    const server = testServer()
    fill(server.replica, 'a', 'b', 'c')
    const { cursor } = await page(server, '?limit=1')
    const altered = bytesOf(byteStringOf(decodeBase64Url(String(cursor)) ?? new Uint8Array()))
    altered[altered.length - 1] = 0x7a
    for (const query of [
      `cursor=${cursor}&prefix=a`,
      `cursor=${cursor}&reverse=true`,
      `cursor=${encodeBase64Url(altered)}`,
      'cursor=nonsense',
      'cursor=',
    ]) {
      const answer = await server.app.inject(`/v1/kv/b?${query}`)
      expect(answer.statusCode).toBe(400)
      expect(answer.json()).toMatchObject({ code: 'bad_query' })
    }
    expect(keysOf(await page(server, `?limit=2&cursor=${cursor}`))).toEqual(['b', 'c'])
  })

  it.each(['limit=0', 'limit=1001', 'limit=x', 'include=all', 'reverse=maybe', 'prefx=a', 'consistency=strong'])(
    'refuses %s',
    async (query) => {
      const answer = await testServer().app.inject(`/v1/kv/b?${query}`)
      expect(answer.json()).toMatchObject({ code: 'bad_query', status: 400 })
    },
  )

  it('does bounded work for a page, also when there is nothing but tombstones', async () => {
    const server = testServer()
    const { replica } = server
    for (let index = 0; index < 20_005; index++)
      replica.put({ address: addressOf('b', String(index).padStart(5, '0')), value: undefined })
    fill(replica, 'last')
    const first = await page(server)
    expect(first).toMatchObject({ items: [], complete: false })
    expect(keysOf(await page(server, `?cursor=${first.cursor}`))).toEqual(['last'])
    expect(replica.openViews).toBe(0)
  })

  it('bounds the bytes of a page', async () => {
    const server = testServer()
    for (let index = 0; index < 9; index++)
      server.replica.put({ address: addressOf('b', String(index)), value: Buffer.alloc(1024 * 1024) })
    const body = await page(server, '?include=value')
    expect(body.items).toHaveLength(4)
    expect(body.cursor).not.toBeNull()
    expect((await page(server)).items).toHaveLength(9)
  })

  it('says how many rows it could not read', async () => {
    const server = testServer()
    fill(server.replica, 'a')
    server.replica.corrupt.add(addressOf('b', 'bad'))
    const answer = await server.app.inject('/v1/kv/b')
    expect(answer.headers['grapevine-corrupt-rows']).toBe('1')
    expect(keysOf(answer.json<ListBody>())).toEqual(['a'])
  })
})

describe('a stream of lines', () => {
  const accept = { accept: 'application/x-ndjson' }

  it('holds everything, however much', async () => {
    const { app, replica } = testServer()
    for (let index = 0; index < 3_000; index++)
      replica.put({ address: addressOf('b', String(index).padStart(4, '0')), value: Buffer.alloc(100) })
    replica.corrupt.add(addressOf('b', 'bad'))
    const answer = await send(await listening(app), 'GET', '/v1/kv/b?include=value', { headers: accept })
    expect(answer.headers['content-type']).toBe('application/x-ndjson')
    const lines = answer.body.toString().trimEnd().split('\n')
    expect(lines).toHaveLength(3_000)
    const item = JSON.parse(lines[2_999] ?? '') as ListItem
    expect(item).toMatchObject({ key: '2999', size: 100 })
    expect(answer.trailers['grapevine-corrupt-rows']).toBe('1')
    expect(replica.openViews).toBe(0)
  })

  it('is read by HTTP/1.0 as well, which has no trailers', async () => {
    const { app, replica } = testServer()
    fill(replica, 'a')
    const port = await listening(app)
    const answer = await rawExchange(port, [`GET /v1/kv/b HTTP/1.0\r\nAccept: application/x-ndjson\r\n\r\n`])
    expect([answer.status, JSON.parse(answer.body)]).toEqual([200, expect.objectContaining({ key: 'a' })])
  })

  it('takes the same bounds', async () => {
    const { app, replica } = testServer()
    fill(replica, 'a', 'b', 'c')
    const answer = await app.inject({ url: '/v1/kv/b?reverse=true&limit=2', headers: accept })
    expect(
      answer.body
        .split('\n')
        .filter(Boolean)
        .map((line) => (JSON.parse(line) as ListItem).key),
    ).toEqual(['c', 'b'])
  })

  it('lets go of the store when the reader leaves', async () => {
    const { app, replica } = testServer()
    for (let index = 0; index < 200; index++)
      replica.put({ address: addressOf('b', String(index)), value: Buffer.alloc(512 * 1024) })
    const port = await listening(app)
    const leaving = new AbortController()
    const answer = await fetch(`http://127.0.0.1:${port}/v1/kv/b?include=value`, {
      headers: accept,
      signal: leaving.signal,
    })
    expect(replica.openViews).toBe(1)
    await answer.body?.getReader().read()
    leaving.abort()
    await expect.poll(() => replica.openViews).toBe(0)
  })
})

function bytesText({ key, keyEncoding }: ListItem): string {
  return Buffer.from(key, keyEncoding ?? 'utf8').toString('latin1')
}
