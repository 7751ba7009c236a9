import { setImmediate } from 'node:timers/promises'
import { addressOf, WriteError } from '@grapevine/core'
import type { BatchBody } from '@grapevine/contract'
import { pack, unpack } from 'msgpackr'
import { describe, expect, it } from 'vitest'
import { testServer, type TestServer } from './serve.ts'

const JSON_TYPE = { 'content-type': 'application/json' }
const MSGPACK_TYPE = { 'content-type': 'application/vnd.msgpack' }
const base64 = (text: string): string => Buffer.from(text).toString('base64')

function post({ app }: TestServer, payload: unknown) {
  return app.inject({ method: 'POST', url: '/v1/batch', headers: JSON_TYPE, payload: JSON.stringify(payload) })
}

async function results(server: TestServer, payload: unknown): Promise<BatchBody['results']> {
  const answer = await post(server, payload)
  expect(answer.statusCode).toBe(200)
  return answer.json<BatchBody>().results
}

describe('a batch', () => {
  it('answers each operation as it would have been answered alone', async () => {
    const server = testServer()
    const found = await results(server, {
      ops: [
        { op: 'put', bucket: 'b', key: 'a', value: base64('1'), contentType: 'text/plain', ttl: '30s' },
        { op: 'get', bucket: 'b', key: 'a' },
        { op: 'get', bucket: 'b', key: 'nothing' },
        { op: 'put', bucket: 'b', key: 'a', value: base64('2'), ifAbsent: true },
        { op: 'delete', bucket: 'b', key: 'a' },
        { op: 'get', bucket: 'b', key: 'a' },
        { op: 'put', bucket: 'b', key: '_w', keyEncoding: 'base64url', value: '' },
      ],
      w: 'all',
      timeout: '2s',
    })
    expect(found.map(({ status }) => status)).toEqual([204, 200, 404, 412, 204, 404, 204])
    expect(found[0]).toMatchObject({ acks: { count: 2, of: 2 }, expiresAt: '2026-01-01T00:00:30.000Z' })
    expect(found[1]).toEqual({
      status: 200,
      etag: found[0]?.etag,
      value: base64('1'),
      contentType: 'text/plain',
      lastModified: expect.stringMatching(/^2026-01-01T/),
      expiresAt: '2026-01-01T00:00:30.000Z',
    })
    expect(found[2]?.problem).toMatchObject({ code: 'not_found' })
    expect(found[2]).not.toHaveProperty('etag')
    expect(found[3]).toMatchObject({ etag: found[0]?.etag, problem: { outcome: 'not-applied' } })
    expect(found[5]?.etag).toBe(found[4]?.etag)
    expect(server.replica.read(addressOf('b', '\u00ff'))).toMatchObject({ value: { length: 0 } })
  })

  it('lets a write wait for a read of its key that takes long', async () => {
    const server = testServer()
    const { replica } = server
    const address = addressOf('b', 'k')
    const done: string[] = []
    replica.corrupt.add(address)
    replica.heal = async () => {
      await setImmediate()
      done.push('read')
      return undefined
    }
    const write = replica.write.bind(replica)
    replica.write = (request) => {
      done.push('write')
      return write(request)
    }
    const found = await results(server, {
      ops: [
        { op: 'get', bucket: 'b', key: 'k' },
        { op: 'put', bucket: 'b', key: 'k', value: base64('1') },
      ],
    })
    expect(found.map(({ status }) => status)).toEqual([404, 204])
    expect(done).toEqual(['read', 'write'])
  })

  it('keeps the order of operations on one key', async () => {
    const server = testServer()
    const ops = Array.from({ length: 300 }, (_, index) => ({
      op: 'put',
      bucket: 'b',
      key: 'k',
      value: base64(String(index)),
    }))
    const found = await results(server, { ops: [...ops, { op: 'get', bucket: 'b', key: 'k' }] })
    expect(found.at(-1)?.value).toBe(base64('299'))
  })

  it('takes conditions by ETag, with quotes or without', async () => {
    const server = testServer()
    const { version: _version } = server.replica.put({ address: addressOf('b', 'k'), value: Buffer.of(1) })
    const etag = server.replica.etagAt(addressOf('b', 'k'))
    const put = (ifMatch: string) =>
      results(server, { ops: [{ op: 'put', bucket: 'b', key: 'k', value: '', ifMatch }] })
    expect((await put('other'))[0]?.status).toBe(412)
    expect((await put(etag.slice(1, -1)))[0]?.status).toBe(204)
    expect((await put(etag))[0]?.status).toBe(412)
    expect((await put('*'))[0]?.status).toBe(204)
  })

  it('lets no operation harm another', async () => {
    const server = testServer({ argv: ['--value-max', '1KiB'] })
    server.replica.failures.push(new WriteError('overloaded', 'not-applied', 'full'))
    const found = await results(server, {
      ops: [
        { op: 'put', bucket: 'b', key: 'refused', value: '' },
        { op: 'put', bucket: 'B', key: 'k', value: '' },
        { op: 'put', bucket: 'b', key: '', value: '' },
        { op: 'put', bucket: 'b', key: '\ud800', value: '' },
        { op: 'put', bucket: 'b', key: 'large', value: base64('x'.repeat(1025)) },
        { op: 'put', bucket: 'b', key: 'k', value: '', ttl: 'soon' },
        { op: 'put', bucket: 'b', key: 'k', value: '', id: 'no id' },
        { op: 'put', bucket: 'b', key: 'good', value: '' },
      ],
    })
    expect(found.map(({ status, problem }) => [status, problem?.code, problem?.outcome])).toEqual([
      [503, 'overloaded', 'not-applied'],
      [400, 'bad_bucket', 'not-applied'],
      [400, 'bad_key', 'not-applied'],
      [400, 'bad_key', 'not-applied'],
      [413, 'too_large', 'not-applied'],
      [400, 'bad_body', 'not-applied'],
      [400, 'bad_body', 'not-applied'],
      [204, undefined, undefined],
    ])
    expect([...server.replica.rows.keys()]).toEqual([addressOf('b', 'good')])
  })

  it.each([
    ['no JSON', '{"ops":['],
    ['no object', '[]'],
    ['no operations', '{}'],
    ['operations that are no list', '{"ops":{}}'],
    ['too many', JSON.stringify({ ops: Array.from({ length: 1001 }, () => ({ op: 'get', bucket: 'b', key: 'k' })) })],
    ['an unknown operation', '{"ops":[{"op":"cas","bucket":"b","key":"k"}]}'],
    ['an operation called __proto__', '{"ops":[{"op":"__proto__","bucket":"b","key":"k"}]}'],
    ['a field that is not known', '{"ops":[{"op":"get","bucket":"b","key":"k","value":""}]}'],
    ['a prototype', '{"__proto__":{"ops":[]},"ops":[]}'],
    ['a prototype in an operation', '{"ops":[{"op":"get","bucket":"b","key":"k","__proto__":{"x":1}}]}'],
    ['no bucket', '{"ops":[{"op":"get","key":"k"}]}'],
    ['a key that is no text', '{"ops":[{"op":"get","bucket":"b","key":1}]}'],
    ['no value', '{"ops":[{"op":"put","bucket":"b","key":"k"}]}'],
    ['a value that is no base64', '{"ops":[{"op":"put","bucket":"b","key":"k","value":"%%"}]}'],
    ['base64 without its padding', '{"ops":[{"op":"put","bucket":"b","key":"k","value":"YQ"}]}'],
    ['w out of range', '{"ops":[],"w":9}'],
    ['w that is no number', '{"ops":[],"w":true}'],
    ['no timeout', '{"ops":[],"timeout":"soon"}'],
    ['another encoding', '{"ops":[{"op":"get","bucket":"b","key":"k","keyEncoding":"hex"}]}'],
  ])('with %s is refused as a whole', async (_name, payload) => {
    const { app, replica } = testServer()
    const answer = await app.inject({ method: 'POST', url: '/v1/batch', headers: JSON_TYPE, payload })
    expect(answer.statusCode).toBe(400)
    expect(answer.json()).toMatchObject({ code: 'bad_body', outcome: 'not-applied' })
    expect(replica.writes).toBe(0)
    expect(({} as Record<string, unknown>)['x']).toBeUndefined()
  })

  it('has a type and a size that are known', async () => {
    const { app } = testServer()
    const send = (headers: Record<string, string>, payload: string) =>
      app.inject({ method: 'POST', url: '/v1/batch', headers, payload })
    expect((await send({ 'content-type': 'text/plain' }, '{}')).json()).toMatchObject({
      code: 'unsupported_media_type',
      outcome: 'not-applied',
    })
    expect((await send({ 'content-type': 'Application/JSON; charset=utf-8' }, '{"ops":[]}')).statusCode).toBe(200)
    const large = await send(JSON_TYPE, `{"ops":[],"x":"${'x'.repeat(4 * 1024 * 1024)}"}`)
    expect(large.statusCode).toBe(413)
    expect(large.json()).toMatchObject({ outcome: 'not-applied' })
  })

  it('answers no more values than memory should hold', async () => {
    const server = testServer()
    for (let index = 0; index < 20; index++)
      server.replica.put({ address: addressOf('b', String(index)), value: Buffer.alloc(1024 * 1024) })
    const found = await results(server, {
      ops: Array.from({ length: 20 }, (_, index) => ({ op: 'get', bucket: 'b', key: String(index) })),
    })
    expect(found[15]?.status).toBe(200)
    expect(found[16]?.problem).toMatchObject({ code: 'overloaded', retryable: true })
  })
})

describe('a batch in msgpack', () => {
  const postPacked = ({ app }: TestServer, payload: Buffer) =>
    app.inject({ method: 'POST', url: '/v1/batch', headers: MSGPACK_TYPE, payload })

  it('has bytes for values, both ways', async () => {
    const server = testServer()
    const answer = await postPacked(
      server,
      pack({
        ops: [
          { op: 'put', bucket: 'b', key: 'é', value: Buffer.of(0, 255) },
          { op: 'get', bucket: 'b', key: 'é' },
        ],
        w: 1,
      }),
    )
    expect(answer.statusCode).toBe(200)
    expect(answer.headers['content-type']).toBe('application/vnd.msgpack')
    const { results: found } = unpack(answer.rawPayload) as BatchBody<Uint8Array>
    expect(found.map(({ status }) => status)).toEqual([204, 200])
    expect([...(found[1]?.value ?? [])]).toEqual([0, 255])
    expect(server.replica.rows.has(addressOf('b', '\u00c3\u00a9'))).toBe(true)
  })

  it.each([
    ['nothing', []],
    ['half a batch', [...pack({ ops: [] })].slice(0, -1)],
    ['bytes behind it', [...pack({ ops: [] }), 0]],
    ['2³² elements', [0xdd, 0xff, 0xff, 0xff, 0xff]],
    ['2³² entries', [0xdf, 0xff, 0xff, 0xff, 0xff]],
    ['a text of 2³² bytes', [0xdb, 0xff, 0xff, 0xff, 0xff]],
    ['a million levels', Array.from({ length: 1_000_000 }, () => 0x91)],
    ['an extension', [0xd4, 0x01, 0x00]],
    ['a timestamp', [0xd6, 0xff, 0, 0, 0, 0]],
    ['the byte that is never used', [0xc1]],
    ['a key that is no text', [0x81, 0x01, 0x90]],
    ['a key twice', [0x82, 0xa1, 0x61, 0x90, 0xa1, 0x61, 0x90]],
    ['a text that is no UTF-8', [0x81, 0xa1, 0xff, 0x90]],
    ['a number that is too large', [0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
    ['a prototype', [...pack({ ops: [] }).fill(0x82, 0, 1), 0xa9, ...Buffer.from('__proto__'), 0x80]],
  ])('that is %s is refused', async (_name, bytes) => {
    const answer = await postPacked(testServer(), Buffer.from(bytes))
    expect(answer.statusCode).toBe(400)
    expect(answer.json()).toMatchObject({ code: 'bad_body', outcome: 'not-applied' })
  })
})
