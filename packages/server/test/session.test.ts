import { addressOf, parseSessionText, sessionText, SessionToken, type Sighting } from '@grapevine/core'
import { describe, expect, it } from 'vitest'
import { systemHash } from '../src/index.ts'
import { CLUSTER_ID, NODE_ID, OTHER_ID } from './fake-replica.ts'
import { testServer } from './serve.ts'

const ADDRESS = addressOf('b', 'k')

/** Something that was written elsewhere, and has not come here. */
function elsewhere(address = ADDRESS, wallMs = Date.UTC(2026, 0, 1) + 5): Sighting {
  return {
    keyHash: systemHash.sha256(Buffer.from(address, 'latin1')),
    version: { hlc: { wallMs, counter: 7 }, replica: OTHER_ID },
    dot: { writer: 'f'.repeat(16), seq: 3 },
  }
}

function tokenOf(...sightings: readonly Sighting[]): string {
  const token = new SessionToken(CLUSTER_ID)
  for (const sighting of sightings) token.see(sighting)
  return sessionText(token)
}

const withSession = (token: string) => ({ 'grapevine-session': token })

describe('an answer', () => {
  it('says what its session has seen now, whatever it is', async () => {
    const { app, replica } = testServer()
    const put = await app.inject({ method: 'PUT', url: '/v1/kv/b/k', payload: 'x' })
    const etag = String(put.headers.etag)
    const answers = [
      put,
      await app.inject('/v1/kv/b/k'),
      await app.inject({ method: 'HEAD', url: '/v1/kv/b/k' }),
      await app.inject({ url: '/v1/kv/b/k', headers: { 'if-none-match': etag } }),
      await app.inject({ url: '/v1/kv/b/k', headers: { 'if-match': '"0"' } }),
      await app.inject({ method: 'PUT', url: '/v1/kv/b/k', headers: { 'if-match': '"0"' } }),
      await app.inject('/v1/kv/b?limit=5'),
      await app.inject({ url: '/v1/kv/b', headers: { accept: 'application/x-ndjson' } }),
      await app.inject({
        method: 'POST',
        url: '/v1/batch',
        headers: { 'content-type': 'application/json' },
        payload: { ops: [{ op: 'get', bucket: 'b', key: 'k' }] },
      }),
    ]
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([204, 200, 200, 304, 412, 412, 200, 200, 200])
    const held = replica.rows.get(ADDRESS)
    for (const { headers } of answers) {
      const token = parseSessionText(String(headers['grapevine-session']))
      expect(token.hlc).toEqual(held?.version.hlc)
      expect(token.rows(held?.keyHash.charCodeAt(0) ?? 0)).toEqual([[NODE_ID, [1, 1]]])
    }
    const deleted = await app.inject({ method: 'DELETE', url: '/v1/kv/b/k' })
    for (const { headers } of [deleted, await app.inject('/v1/kv/b/k'), await app.inject('/v1/kv/b')])
      expect(parseSessionText(String(headers['grapevine-session'])).rows(held?.keyHash.charCodeAt(0) ?? 0)).toEqual([
        [NODE_ID, [2, 2]],
      ])
    const nothing = await app.inject('/v1/kv/b/other')
    expect(parseSessionText(String(nothing.headers['grapevine-session'])).partitions).toEqual([])
  })

  it('contains what came with the request, of however many tokens', async () => {
    const { app, replica } = testServer()
    replica.standing = 'seen'
    const [one, other] = [elsewhere(addressOf('b', '1')), elsewhere(addressOf('b', '2'))]
    const sent = `${tokenOf(one)} ,${tokenOf(other)}`
    for (const request of [
      { url: '/v1/kv/b/none' },
      { url: '/v1/kv/b' },
      { method: 'PUT', url: '/v1/kv/b/k' },
    ] as const) {
      const { headers } = await app.inject({ ...request, headers: withSession(sent) })
      const token = parseSessionText(String(headers['grapevine-session']))
      for (const { keyHash, dot } of [one, other])
        expect(token.rows(keyHash.charCodeAt(0))).toContainEqual([dot.writer, [dot.seq, dot.seq]])
    }
  })
})

describe('a read with a token', () => {
  it('is answered at once where all was seen, and waits where not', async () => {
    const { app, replica } = testServer()
    const put = await app.inject({ method: 'PUT', url: '/v1/kv/b/k', payload: 'x' })
    const own = String(put.headers['grapevine-session'])
    expect((await app.inject({ url: '/v1/kv/b/k', headers: withSession(own) })).statusCode).toBe(200)
    expect(replica.sessionWaits).toEqual([])

    const behind = await app.inject({ url: '/v1/kv/b/k?timeout=70ms', headers: withSession(tokenOf(elsewhere())) })
    expect(behind.json()).toMatchObject({ status: 503, code: 'behind', retryable: true })
    expect(behind.headers).toMatchObject({ 'retry-after': '1' })
    expect(behind.headers).not.toHaveProperty('grapevine-session')
    expect(behind.json()).not.toHaveProperty('outcome')
    expect(replica.sessionWaits).toEqual([70])

    replica.standing = 'seen'
    const waited = await app.inject({ url: '/v1/kv/b/k', headers: withSession(tokenOf(elsewhere())) })
    expect([waited.statusCode, waited.body]).toEqual([200, 'x'])
    expect(replica.sessionWaits).toEqual([70, 10_000])
  })

  it('waits for its own key alone, unless it is a list', async () => {
    const { app, replica } = testServer()
    const token = withSession(tokenOf(elsewhere(addressOf('b', 'other'))))
    expect((await app.inject({ url: '/v1/kv/b/k', headers: token })).statusCode).toBe(404)
    expect(replica.sessionWaits).toEqual([])
    for (const accept of ['application/json', 'application/x-ndjson'])
      expect((await app.inject({ url: '/v1/kv/b', headers: { ...token, accept } })).json()).toMatchObject({
        code: 'behind',
      })
  })

  it('that is to be local waits for nothing', async () => {
    const { app, replica } = testServer()
    const token = withSession(tokenOf(elsewhere()))
    expect((await app.inject({ url: '/v1/kv/b/k?consistency=local', headers: token })).statusCode).toBe(404)
    expect((await app.inject({ url: '/v1/kv/b?consistency=local', headers: token })).statusCode).toBe(200)
    expect((await app.inject({ url: '/v1/kv/b/k?consistency=session', headers: token })).statusCode).toBe(503)
    expect((await app.inject('/v1/kv/b/k?consistency=session')).statusCode).toBe(404)
    expect(replica.sessionWaits).toHaveLength(1)
  })

  it('says so when something that it has seen is lost for good', async () => {
    const { app, replica } = testServer()
    replica.standing = 'gap'
    const token = withSession(tokenOf(elsewhere()))
    for (const url of ['/v1/kv/b/k', '/v1/kv/b'])
      expect((await app.inject({ url, headers: token })).headers['grapevine-session-gap']).toBe('1')
    expect((await app.inject('/v1/kv/b/k')).headers).not.toHaveProperty('grapevine-session-gap')
  })
})

describe('a write with a token', () => {
  it('waits for nothing and is later than all that the session has seen', async () => {
    const { app, replica } = testServer()
    const seen = elsewhere(ADDRESS, replica.wallMs + 9_000)
    const put = await app.inject({ method: 'PUT', url: '/v1/kv/b/k', headers: withSession(tokenOf(seen)) })
    expect(put.statusCode).toBe(204)
    expect(replica.rows.get(ADDRESS)?.version.hlc).toEqual({ ...seen.version.hlc, counter: 8 })
    expect(replica.sessionWaits).toEqual([])
  })

  it('on a condition waits, and is not applied when that is in vain', async () => {
    const { app, replica } = testServer()
    const headers = { ...withSession(tokenOf(elsewhere())), 'if-none-match': '*' }
    const behind = await app.inject({ method: 'PUT', url: '/v1/kv/b/k', headers })
    expect(behind.json()).toMatchObject({ code: 'behind', outcome: 'not-applied', retryable: true })
    expect(replica.writes).toBe(0)
    replica.standing = 'seen'
    expect((await app.inject({ method: 'PUT', url: '/v1/kv/b/k', headers })).statusCode).toBe(204)
  })
})

describe('a batch with a token', () => {
  it('lets each read and condition wait for its own key, and writes for none', async () => {
    const { app, replica } = testServer()
    const answer = await app.inject({
      method: 'POST',
      url: '/v1/batch',
      headers: { 'content-type': 'application/json', ...withSession(tokenOf(elsewhere())) },
      payload: {
        ops: [
          { op: 'get', bucket: 'b', key: 'k' },
          { op: 'get', bucket: 'b', key: 'other' },
          { op: 'put', bucket: 'b', key: 'k', value: '', ifAbsent: true },
          { op: 'put', bucket: 'b', key: 'k', value: '' },
        ],
      },
    })
    const { results } = answer.json<{ results: { status: number; problem?: { code: string; outcome?: string } }[] }>()
    expect(results.map(({ status, problem }) => [status, problem?.code, problem?.outcome])).toEqual([
      [503, 'behind', undefined],
      [404, 'not_found', undefined],
      [503, 'behind', 'not-applied'],
      [204, undefined, undefined],
    ])
    const token = parseSessionText(String(answer.headers['grapevine-session']))
    expect(token.hlc).toEqual(replica.rows.get(ADDRESS)?.version.hlc)
  })
})

describe('what is no token of this cluster', () => {
  const foreign = sessionText(new SessionToken('f'.repeat(32)))
  const fromFarAhead = tokenOf(elsewhere(ADDRESS, Date.UTC(2026, 0, 1) + 11_000))
  const good = tokenOf(elsewhere())

  it.each([
    ['no text', '', 400, 'bad_header'],
    ['no token', 'abc', 400, 'bad_header'],
    ['cut off', good.slice(0, -1), 400, 'bad_header'],
    ['half a list', `${good},`, 400, 'bad_header'],
    ['too long', `${good},`.repeat(100) + good, 400, 'bad_header'],
    ['of another cluster', foreign, 421, 'wrong_cluster'],
    ['of two clusters', `${good},${foreign}`, 421, 'wrong_cluster'],
    ['from beyond the drift', fromFarAhead, 503, 'behind'],
  ])('%s is refused, and nothing is done', async (_name, token, status, code) => {
    const { app, replica } = testServer()
    replica.standing = 'seen'
    const headers = { ...withSession(token), 'content-type': 'application/json' }
    for (const url of ['/v1/kv/b/k', '/v1/kv/b']) {
      const answer = await app.inject({ url, headers })
      expect([answer.statusCode, answer.json<{ code: string }>().code]).toEqual([status, code])
      expect(answer.json()).not.toHaveProperty('outcome')
    }
    for (const request of [
      { method: 'PUT', url: '/v1/kv/b/k' },
      { method: 'PUT', url: '/v1/kv/b/k?w=1' },
      { method: 'DELETE', url: '/v1/kv/b/k' },
      { method: 'POST', url: '/v1/batch', payload: '{"ops":[]}' },
    ] as const)
      expect((await app.inject({ ...request, headers })).json()).toMatchObject({ status, code, outcome: 'not-applied' })
    expect(replica.writes).toBe(0)
  })
})

describe('POST /v1/session', () => {
  const join = (app: ReturnType<typeof testServer>['app'], payload: unknown) =>
    app.inject({ method: 'POST', url: '/v1/session', payload: JSON.stringify(payload) })

  it('makes one token of many, whatever their order', async () => {
    const { app } = testServer()
    const tokens = Array.from({ length: 150 }, (_, index) => tokenOf(elsewhere(addressOf('b', String(index)))))
    const answer = await join(app, { tokens })
    const { token } = answer.json<{ token: string }>()
    expect(answer.statusCode).toBe(200)
    expect((await join(app, { tokens: [...tokens.toReversed(), token] })).json()).toEqual({ token })
    const joined = parseSessionText(token)
    for (let index = 0; index < tokens.length; index++) {
      const { keyHash, dot } = elsewhere(addressOf('b', String(index)))
      expect(joined.rows(keyHash.charCodeAt(0))).toContainEqual([dot.writer, [dot.seq, dot.seq]])
    }
  })

  it('of none makes one that asks for nothing', async () => {
    const { app } = testServer()
    const { token } = (await join(app, { tokens: [] })).json<{ token: string }>()
    expect((await app.inject({ url: '/v1/kv/b', headers: withSession(token) })).statusCode).toBe(200)
  })

  it.each([
    [{}, 400, 'bad_body'],
    [{ tokens: 'x' }, 400, 'bad_body'],
    [{ tokens: [1] }, 400, 'bad_body'],
    [{ tokens: ['x'] }, 400, 'bad_body'],
    [{ tokens: [], more: 1 }, 400, 'bad_body'],
    [{ tokens: [sessionText(new SessionToken('f'.repeat(32)))] }, 421, 'wrong_cluster'],
  ])('refuses %j', async (body, status, code) => {
    const { app } = testServer()
    expect((await join(app, body)).json()).toMatchObject({ status, code })
  })
})
