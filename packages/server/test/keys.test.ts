import { addressOf, byteStringOf, ReadError, StoreError, WriteError } from '@grapevine/core'
import { describe, expect, it } from 'vitest'
import { send } from './send.ts'
import { listening, testServer } from './serve.ts'

const latin1 = (bytes: readonly number[]): string => byteStringOf(Uint8Array.from(bytes))

describe('a value', () => {
  it('comes back as it was put, with its version and its type', async () => {
    const { app } = testServer()
    const put = await app.inject({
      method: 'PUT',
      url: '/v1/kv/carts/42',
      payload: Buffer.from([0, 255, 13, 10]),
      headers: { 'content-type': 'image/png; x=1' },
    })
    expect(put.statusCode).toBe(204)
    expect(put.body).toBe('')
    expect(put.headers).toMatchObject({
      'grapevine-acks': '1/2',
      'grapevine-served-by': 'n1',
      'last-modified': 'Thu, 01 Jan 2026 00:00:00 GMT',
    })

    const got = await app.inject('/v1/kv/carts/42')
    expect(got.statusCode).toBe(200)
    expect([...got.rawPayload]).toEqual([0, 255, 13, 10])
    expect(got.headers).toMatchObject({
      etag: put.headers.etag,
      'content-type': 'image/png; x=1',
      'content-length': '4',
      'grapevine-served-by': 'n1',
      'cache-control': 'no-cache',
    })

    const head = await app.inject({ method: 'HEAD', url: '/v1/kv/carts/42' })
    expect(head.statusCode).toBe(200)
    expect(head.rawPayload).toHaveLength(0)
    expect(head.headers).toMatchObject({ etag: put.headers.etag, 'content-length': '4' })
  })

  it('may be empty, and has a type also when nobody said one', async () => {
    const { app } = testServer()
    expect((await app.inject({ method: 'PUT', url: '/v1/kv/b/empty' })).statusCode).toBe(204)
    const got = await app.inject('/v1/kv/b/empty')
    expect(got.statusCode).toBe(200)
    expect(got.headers).toMatchObject({ 'content-type': 'application/octet-stream', 'content-length': '0' })
  })

  it('is never parsed: a type says what it is for readers, not for us', async () => {
    const { app } = testServer()
    const payload = '{"__proto__":{"polluted":true},'
    const put = await app.inject({
      method: 'PUT',
      url: '/v1/kv/b/json',
      payload,
      headers: { 'content-type': 'application/json' },
    })
    expect(put.statusCode).toBe(204)
    expect((await app.inject('/v1/kv/b/json')).body).toBe(payload)
    const odd = await app.inject({ method: 'PUT', url: '/v1/kv/b/odd', headers: { 'content-type': 'no type at all' } })
    expect(odd.statusCode).toBe(204)
    expect((await app.inject('/v1/kv/b/odd')).headers['content-type']).toBe('no type at all')
  })

  it('has a type that fits its row', async () => {
    const { app } = testServer()
    const put = (type: string) =>
      app.inject({ method: 'PUT', url: '/v1/kv/b/k', headers: { 'content-type': type }, payload: 'x' })
    expect((await put('a'.repeat(255))).statusCode).toBe(204)
    expect((await put('a'.repeat(256))).json()).toMatchObject({ code: 'bad_header', outcome: 'not-applied' })
    expect((await put('naïve')).json()).toMatchObject({ code: 'bad_header', outcome: 'not-applied' })
  })

  it('of markup is no page of ours', async () => {
    const { app } = testServer()
    await app.inject({ method: 'PUT', url: '/v1/kv/b/page', headers: { 'content-type': 'text/html' }, payload: 'x' })
    const { headers } = await app.inject('/v1/kv/b/page')
    expect(headers).toMatchObject({ 'content-security-policy': 'sandbox', 'x-content-type-options': 'nosniff' })
  })

  it('is not taken compressed or in parts, since it would be given back as a whole', async () => {
    const { app, replica } = testServer()
    const coded = await app.inject({ method: 'PUT', url: '/v1/kv/b/k', headers: { 'content-encoding': 'gzip' } })
    expect(coded.statusCode).toBe(415)
    const part = await app.inject({ method: 'PUT', url: '/v1/kv/b/k', headers: { 'content-range': 'bytes 0-1/4' } })
    expect(part.statusCode).toBe(400)
    expect(replica.rows.size).toBe(0)
  })

  it('that is corrupt is never shown', async () => {
    const { app, replica } = testServer()
    replica.corrupt.add(addressOf('b', 'k'))
    const got = await app.inject('/v1/kv/b/k')
    expect(got.statusCode).toBe(500)
    expect(got.json()).toMatchObject({ code: 'io_error', retryable: true })
  })

  it('that is corrupt here is told by another node that has it', async () => {
    const { app, replica } = testServer()
    const address = addressOf('b', 'k')
    replica.elsewhere.set(address, replica.put({ address, value: Buffer.from('whole') }))
    replica.corrupt.add(address)
    const got = await app.inject('/v1/kv/b/k')
    expect([got.statusCode, got.body]).toEqual([200, 'whole'])
    replica.corrupt.add(address)
    const head = await app.inject({ method: 'HEAD', url: '/v1/kv/b/k' })
    expect([head.statusCode, head.headers['content-length']]).toEqual([200, '5'])
    replica.corrupt.add(address)
    const ops = [{ op: 'get', bucket: 'b', key: 'k' }]
    const batch = await app.inject({ method: 'POST', url: '/v1/batch', payload: { ops } })
    expect(batch.json()).toMatchObject({ results: [{ status: 200, value: Buffer.from('whole').toString('base64') }] })
    replica.corrupt.add(address)
    replica.rows.delete(address)
    const list = await app.inject('/v1/kv/b')
    expect(list.json()).toMatchObject({ items: [{ key: 'k', size: 5 }] })
    expect(list.headers['grapevine-corrupt-rows']).toBeUndefined()
  })

  it('that has no room is refused as not applied', async () => {
    const { app, replica } = testServer()
    replica.failures.push(new WriteError('disk_full', 'not-applied', 'no room'))
    const put = await app.inject({ method: 'PUT', url: '/v1/kv/b/k', payload: 'x' })
    expect(put.statusCode).toBe(507)
    expect(put.json()).toMatchObject({ code: 'disk_full', outcome: 'not-applied', retryable: true })
  })
})

describe('a deletion', () => {
  it('leaves a tombstone that readers are told of', async () => {
    const { app } = testServer()
    await app.inject({ method: 'PUT', url: '/v1/kv/b/k', payload: 'x' })
    const deleted = await app.inject({ method: 'DELETE', url: '/v1/kv/b/k' })
    expect(deleted.statusCode).toBe(204)
    const got = await app.inject('/v1/kv/b/k')
    expect(got.statusCode).toBe(404)
    expect(got.headers).toMatchObject({ 'grapevine-tombstone': '1', etag: deleted.headers.etag })
    expect(got.json()).toMatchObject({ code: 'not_found', status: 404, retryable: false })
  })

  it('of nothing is one too', async () => {
    const { app, replica } = testServer()
    const deleted = await app.inject({ method: 'DELETE', url: '/v1/kv/b/k' })
    expect(deleted.statusCode).toBe(204)
    expect(deleted.headers.etag).toBe(replica.etagAt(addressOf('b', 'k')))
  })

  it('differs from a key that never was', async () => {
    const { app } = testServer()
    const { headers, statusCode } = await app.inject('/v1/kv/b/never')
    expect(statusCode).toBe(404)
    expect(headers).not.toHaveProperty('grapevine-tombstone')
    expect(headers).not.toHaveProperty('etag')
  })
})

describe('keys are bytes', () => {
  // What stands in the URL, and the bytes that it means.
  const good: readonly (readonly [name: string, path: string, key: string])[] = [
    ['plain', 'user-1', 'user-1'],
    ['a slash, encoded', 'a%2Fb', 'a/b'],
    ['a slash, plain', 'a/b', 'a/b'],
    ['an empty segment', 'a//b/', 'a//b/'],
    ['a dot', '.', '.'],
    ['two dots, encoded', '%2e%2E', '..'],
    ['a path that climbs', '../../etc', '../../etc'],
    ['NUL', '%00', '\0'],
    ['a percent sign', '100%25', '100%'],
    ['an encoded percent sequence', '%252F', '%2F'],
    ['a question mark and a number sign', '%3F%23', '?#'],
    ['a semicolon and a plus', 'a;b+c', 'a;b+c'],
    ['NFC', 'caf%C3%A9', latin1([0x63, 0x61, 0x66, 0xc3, 0xa9])],
    ['NFD', 'cafe%CC%81', latin1([0x63, 0x61, 0x66, 0x65, 0xcc, 0x81])],
    ['an emoji', '%F0%9F%8D%87', latin1([0xf0, 0x9f, 0x8d, 0x87])],
    ['the last character', '%F4%8F%BF%BF', latin1([0xf4, 0x8f, 0xbf, 0xbf])],
    ['1024 bytes', 'k'.repeat(1024), 'k'.repeat(1024)],
    ['1024 encoded bytes', '%6B'.repeat(1024), 'k'.repeat(1024)],
    ['__proto__', '__proto__', '__proto__'],
    ['any bytes', '_wCA_g?key_encoding=base64url', latin1([0xff, 0x00, 0x80, 0xfe])],
    ['one byte in base64url', 'AA?key_encoding=base64url', '\0'],
  ]
  it.each(good)('%s', async (_name, path, key) => {
    const { app, replica } = testServer()
    const port = await listening(app)
    const put = await send(port, 'PUT', `/v1/kv/b/${path}`, { body: 'v' })
    expect(put.status).toBe(204)
    expect([...replica.rows.keys()]).toEqual([addressOf('b', key)])
    expect((await send(port, 'GET', `/v1/kv/b/${path}`)).body.toString()).toBe('v')
  })

  const bad: readonly (readonly [name: string, path: string])[] = [
    ['nothing', ''],
    ['1025 bytes', 'k'.repeat(1025)],
    ['a percent sign alone', '100%'],
    ['half a sequence', '%4'],
    ['no hexadecimal digits', '%zz'],
    ['a byte that begins nothing', '%FF'],
    ['a sequence cut off', '%C3'],
    ['an overlong slash', '%C0%AF'],
    ['a surrogate', '%ED%A0%80'],
    ['beyond the last character', '%F4%90%80%80'],
    ['base64url with padding', 'AA==?key_encoding=base64url'],
    ['base64url with bits to spare', 'AB?key_encoding=base64url'],
    ['base64 of the other kind', 'a+b/?key_encoding=base64url'],
    ['no bytes in base64url', '?key_encoding=base64url'],
  ]
  it.each(bad)('refuses %s', async (_name, path) => {
    const { app, replica } = testServer()
    const port = await listening(app)
    for (const method of ['PUT', 'DELETE']) {
      const answer = await send(port, method, `/v1/kv/b/${path}`)
      expect(answer.status).toBe(400)
      expect(answer.headers['content-type']).toBe('application/problem+json')
      const problem: unknown = JSON.parse(answer.body.toString())
      expect(problem).toMatchObject({ code: 'bad_key', outcome: 'not-applied', retryable: false })
    }
    const read: unknown = JSON.parse((await send(port, 'GET', `/v1/kv/b/${path}`)).body.toString())
    expect(read).toMatchObject({ code: 'bad_key', status: 400 })
    expect(read).not.toHaveProperty('outcome')
    expect(replica.rows.size).toBe(0)
  })

  it.each(['Upper', '-dash', 'a'.repeat(64), 'caf%C3%A9', 'a%2Fb', '%zz', 'a%00', '..'])(
    'refuses the bucket %s',
    async (bucket) => {
      const { app } = testServer()
      const answer = await send(await listening(app), 'PUT', `/v1/kv/${bucket}/k`)
      expect(answer.status).toBe(400)
      expect(answer.body.toString()).toMatch(/"code":"bad_(bucket|key)"/)
    },
  )

  it('finds the bucket also when it is needlessly encoded', async () => {
    const { app, replica } = testServer()
    await app.inject({ method: 'PUT', url: '/v1/%6Bv/%62ucket/k', payload: 'x' })
    expect([...replica.rows.keys()]).toEqual([addressOf('bucket', 'k')])
  })
})

describe('conditions', () => {
  it('hold on the node, and say so when they do not', async () => {
    const { app, replica } = testServer()
    const url = '/v1/kv/b/k'
    const put = (headers: Record<string, string>) => app.inject({ method: 'PUT', url, headers, payload: 'x' })
    expect((await put({ 'if-match': '*' })).statusCode).toBe(412)
    const first = await put({ 'if-none-match': '*' })
    expect(first.statusCode).toBe(204)
    const again = await put({ 'if-none-match': '*' })
    expect(again.statusCode).toBe(412)
    expect(again.headers).toMatchObject({ 'grapevine-condition-scope': 'node', etag: first.headers.etag })
    expect(again.json()).toMatchObject({ code: 'precondition_failed', outcome: 'not-applied' })

    const tag = String(first.headers.etag)
    expect((await put({ 'if-match': `W/${tag}` })).statusCode).toBe(412)
    expect((await put({ 'if-match': `"other", ${tag}` })).statusCode).toBe(204)
    expect((await put({ 'if-match': tag })).statusCode).toBe(412)
    expect((await app.inject({ method: 'DELETE', url, headers: { 'if-match': '*' } })).statusCode).toBe(204)
    expect((await app.inject({ method: 'DELETE', url, headers: { 'if-match': '*' } })).statusCode).toBe(412)
    expect((await put({ 'if-none-match': '*' })).statusCode).toBe(204)
    expect(replica.rows.size).toBe(1)
  })

  it.each([
    { 'if-match': 'unquoted' },
    { 'if-match': '' },
    { 'if-match': '"open' },
    { 'if-none-match': '"etag"' },
    { 'if-match': '*', 'if-none-match': '*' },
  ])('%o is refused', async (headers) => {
    const { app, replica } = testServer()
    const answer = await app.inject({ method: 'PUT', url: '/v1/kv/b/k', headers })
    expect(answer.statusCode).toBe(400)
    expect(answer.json()).toMatchObject({ code: 'bad_header', outcome: 'not-applied' })
    expect(replica.writes).toBe(0)
  })

  it('of a read spare the value', async () => {
    const { app } = testServer()
    const put = await app.inject({ method: 'PUT', url: '/v1/kv/b/k', payload: 'x' })
    const tag = String(put.headers.etag)
    const get = (headers: Record<string, string>) => app.inject({ url: '/v1/kv/b/k', headers })
    for (const match of [tag, `W/${tag}`, `"a,b", ${tag}`, '*']) {
      const answer = await get({ 'if-none-match': match })
      expect(answer.statusCode).toBe(304)
      expect(answer.body).toBe('')
      expect(answer.headers.etag).toBe(tag)
    }
    expect((await get({ 'if-none-match': '"other"' })).statusCode).toBe(200)
    for (const malformed of ['"', `"${','.repeat(15_000)}`, `${tag} ${tag}`, `${tag},"`, 'a', ' , '])
      expect((await get({ 'if-none-match': malformed })).statusCode).toBe(400)
    expect((await get({ 'if-match': '"other"' })).statusCode).toBe(412)
    expect((await get({ 'if-match': tag })).statusCode).toBe(200)
  })
})

describe('expiry', () => {
  it('is an absolute time, after which nothing is there', async () => {
    const { app, replica } = testServer()
    const put = await app.inject({ method: 'PUT', url: '/v1/kv/b/k?ttl=30s', payload: 'x' })
    expect(put.headers['grapevine-expires-at']).toBe('2026-01-01T00:00:30.000Z')
    const got = await app.inject('/v1/kv/b/k')
    expect(got.headers['grapevine-expires-at']).toBe('2026-01-01T00:00:30.000Z')
    replica.wallMs += 30_000
    const gone = await app.inject('/v1/kv/b/k')
    expect(gone.statusCode).toBe(404)
    expect(gone.headers).not.toHaveProperty('grapevine-tombstone')
  })

  it.each(['0s', '30', '-1s', '1y', '', '9999999999999d'])('ttl=%s is refused', async (ttl) => {
    const { app } = testServer()
    const answer = await app.inject({ method: 'PUT', url: `/v1/kv/b/k?ttl=${ttl}` })
    expect(answer.json()).toMatchObject({ code: 'bad_query', outcome: 'not-applied' })
  })
})

describe('the query', () => {
  it.each([
    ['unknown', 'tll=30s', 'Did you mean ttl?'],
    ['twice', 'w=1&w=2', 'twice'],
    ['of reads', 'consistency=local', 'consistency'],
    ['malformed', 'w=%zz', 'percent-encoded'],
    ['a prototype', '__proto__=1', '__proto__'],
    ['no encoding', 'key_encoding=hex', 'base64url'],
    ['no number', 'w=0', 'quorum'],
    ['more than there are', 'w=3', 'the cluster has: 2'],
    ['no duration', 'timeout=5', 'duration'],
    ['too long', 'timeout=2h', 'duration'],
  ])('of a write, when it is %s, is refused', async (_name, query, detail) => {
    const { app, replica } = testServer()
    const answer = await app.inject({ method: 'PUT', url: `/v1/kv/b/k?${query}` })
    expect(answer.statusCode).toBe(400)
    expect(answer.json()).toMatchObject({ code: 'bad_query', outcome: 'not-applied' })
    expect(answer.json<{ detail: string }>().detail).toContain(detail)
    expect(replica.writes).toBe(0)
  })

  it('asks for acknowledgements', async () => {
    const { app } = testServer()
    const put = await app.inject({ method: 'PUT', url: '/v1/kv/b/k?w=all&timeout=500ms' })
    expect(put.headers['grapevine-acks']).toBe('2/2')
  })

  it('says how many members a read is to hear', async () => {
    const { app, replica } = testServer()
    await app.inject({ method: 'PUT', url: '/v1/kv/b/k', payload: 'x' })
    expect((await app.inject('/v1/kv/b/k?consistency=local&timeout=1s')).statusCode).toBe(200)
    expect(replica.readsFrom).toEqual([])
    expect((await app.inject('/v1/kv/b/k?consistency=quorum')).body).toBe('x')
    expect((await app.inject('/v1/kv/b/none?consistency=all&timeout=1s')).statusCode).toBe(404)
    expect(replica.readsFrom.map(([members]) => members)).toEqual(['quorum', 'all'])
    expect(replica.readsFrom[1]?.[1]).toBeLessThanOrEqual(1_000)
    expect((await app.inject('/v1/kv/b/k?consistency=strong')).json()).toMatchObject({ code: 'bad_query' })
    expect((await app.inject('/v1/kv/b?consistency=quorum')).json()).toMatchObject({ code: 'bad_query' })
  })

  it.each([
    ['quorum_not_met', 503],
    ['timeout', 504],
  ] as const)('of a read that does not hear enough of them: %s', async (code, status) => {
    const { app, replica } = testServer()
    replica.failures.push(new ReadError(code, 'not enough'))
    const answer = await app.inject('/v1/kv/b/k?consistency=quorum')
    expect(answer.json()).toMatchObject({ status, code, retryable: true })
    expect(answer.json()).not.toHaveProperty('outcome')
    expect(answer.headers).not.toHaveProperty('grapevine-session')
  })

  it('says with a condition where it was checked', async () => {
    const { app } = testServer()
    await app.inject({ method: 'PUT', url: '/v1/kv/b/k', payload: 'x' })
    const headers = { 'if-none-match': '*' }
    for (const [query, scope] of [
      ['', 'node'],
      ['?w=quorum', 'quorum'],
    ]) {
      const answer = await app.inject({ method: 'PUT', url: `/v1/kv/b/k${query}`, headers })
      expect(answer.json()).toMatchObject({ code: 'precondition_failed', outcome: 'not-applied' })
      expect(answer.headers['grapevine-condition-scope']).toBe(scope)
    }
  })
})

describe('Idempotency-Key', () => {
  const PUT = { method: 'PUT', url: '/v1/kv/b/k', payload: 'x', headers: { 'idempotency-key': 'once' } } as const

  it.each([
    [
      'w, time-out and quotes around the key',
      { url: '/v1/kv/b/k?w=all&timeout=1s', headers: { 'idempotency-key': '"once"' } },
      true,
    ],
    ['another key of the same request', { headers: { 'idempotency-key': 'twice' } }, true],
    ['another key', { url: '/v1/kv/b/other' }, false],
    ['another bucket', { url: '/v1/kv/c/k' }, false],
    ['another value', { payload: 'y' }, false],
    ['another method', { method: 'DELETE' }, false],
    ['another type', { headers: { 'idempotency-key': 'once', 'content-type': 'text/plain' } }, false],
    ['a time to live', { url: '/v1/kv/b/k?ttl=1m' }, false],
    ['a condition', { headers: { 'idempotency-key': 'once', 'if-none-match': '*' } }, false],
  ] as const)('tells requests apart by what they do: %s', async (_, change, isSame) => {
    const { app, replica } = testServer()
    expect((await app.inject(PUT)).statusCode).toBe(204)
    const first = replica.lastWrite?.name
    replica.rows.clear()
    expect((await app.inject({ ...PUT, ...change })).statusCode).toBe(204)
    const second = replica.lastWrite?.name
    expect(first?.fingerprint === second?.fingerprint).toBe(isSame)
    const { headers = PUT.headers } = change as { headers?: object }
    expect(first?.id === second?.id).toBe(JSON.stringify(headers).includes('once'))
  })

  it('takes the same time to live for the same, however it is written and whenever it ends', async () => {
    const { app, replica } = testServer()
    await app.inject({ ...PUT, url: '/v1/kv/b/k?ttl=60s' })
    const first = replica.lastWrite
    replica.wallMs += 5_000
    await app.inject({ ...PUT, url: '/v1/kv/b/k?ttl=1m' })
    expect(replica.lastWrite?.name).toEqual(first?.name)
    expect(replica.lastWrite?.expiresAtMs).not.toBe(first?.expiresAtMs)
  })

  it.each(['', 'a b', 'ä', 'x'.repeat(256)])('is refused when it is none: %o', async (key) => {
    const { app, replica } = testServer()
    const answer = await app.inject({ ...PUT, headers: { 'idempotency-key': key } })
    expect(answer.json()).toMatchObject({ status: 400, code: 'bad_header', outcome: 'not-applied' })
    expect(replica.writes).toBe(0)
  })

  it('of another request is 422, and nothing was done', async () => {
    const { app, replica } = testServer()
    replica.failures.push(new WriteError('idempotency_mismatch', 'not-applied', 'another one'))
    const answer = await app.inject(PUT)
    expect(answer.json()).toMatchObject({
      status: 422,
      code: 'idempotency_mismatch',
      outcome: 'not-applied',
      retryable: false,
    })
  })

  it('is the same in a batch', async () => {
    const { app, replica } = testServer()
    await app.inject(PUT)
    const single = replica.lastWrite?.name
    const ops = [{ op: 'put', bucket: 'b', key: 'k', value: Buffer.from('x').toString('base64'), id: 'once' }]
    await app.inject({ method: 'POST', url: '/v1/batch', payload: { ops } })
    expect(single).toBeDefined()
    expect(replica.lastWrite?.name).toEqual(single)
  })
})

describe('a write that fails', () => {
  it.each([
    [new WriteError('overloaded', 'not-applied', 'too many writes wait'), 503, 'not-applied', true],
    [new WriteError('not_ready', 'not-applied', 'not yet'), 503, 'not-applied', true],
    [new WriteError('cloned', 'not-applied', 'twice'), 503, 'not-applied', true],
    [new WriteError('draining', 'not-applied', 'stopping'), 503, 'not-applied', true],
    [new WriteError('quorum_not_met', 'not-applied', 'too few'), 503, 'not-applied', true],
    [new WriteError('io_error', 'unknown', 'the disk failed'), 500, 'unknown', false],
    [new TypeError('a bug'), 500, 'unknown', false],
  ])('%s is told with its outcome', async (failure, status, outcome, retryable) => {
    const { app, replica, logged } = testServer()
    replica.failures.push(failure)
    const answer = await app.inject({ method: 'PUT', url: '/v1/kv/b/k', payload: 'x' })
    expect(answer.statusCode).toBe(status)
    expect(answer.json()).toMatchObject({ outcome, retryable, status })
    expect('retry-after' in answer.headers).toBe(status === 503)
    const { traceId } = answer.json<{ traceId: string }>()
    expect(logged.some((line) => line['traceId'] === traceId)).toBe(status === 500)
  })

  it('for want of acknowledgements tells those that came', async () => {
    const { app, replica } = testServer()
    replica.failures.push(new WriteError('timeout', 'unknown', 'not confirmed in time', 1))
    const answer = await app.inject({ method: 'PUT', url: '/v1/kv/b/k?w=all', payload: 'x' })
    expect(answer.statusCode).toBe(504)
    expect(answer.json()).toMatchObject({ code: 'timeout', outcome: 'unknown', acks: { count: 1, of: 2 } })
  })

  it('says nothing of the inside', async () => {
    const { app, replica } = testServer()
    replica.failures.push(new TypeError('secret /path'))
    const answer = await app.inject({ method: 'PUT', url: '/v1/kv/b/k', payload: 'x' })
    expect(answer.json()).toMatchObject({ code: 'internal' })
    expect(answer.body).not.toContain('secret')
  })
})

describe('a read that fails', () => {
  it('may be tried again', async () => {
    const { app, replica } = testServer()
    replica.readFailure = new StoreError('io_error', 'the store is being reopened')
    const answer = await app.inject('/v1/kv/b/k')
    expect(answer.statusCode).toBe(500)
    expect(answer.json()).toMatchObject({ code: 'io_error', retryable: true })
  })
})

describe('the trace', () => {
  it('is the one that the client began', async () => {
    const { app } = testServer()
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    const missing = await app.inject({ url: '/v1/kv/b/k', headers: { traceparent } })
    expect(missing.json()).toMatchObject({ traceId: '4bf92f3577b34da6a3ce929d0e0e4736' })
    const put = await app.inject({ method: 'PUT', url: '/v1/kv/b/k', headers: { traceparent } })
    expect(put.headers['traceparent']).toBe(traceparent)
    const odd = await app.inject({ url: '/v1/kv/b/x', headers: { traceparent: 'nonsense' } })
    expect(odd.json<{ traceId: string }>().traceId).toMatch(/^[0-9a-f]{32}$/)
  })
})
