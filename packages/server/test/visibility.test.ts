import { addressOf, etagOf, parseEtag } from '@grapevine/core'
import { describe, expect, it } from 'vitest'
import { testServer, type TestServer } from './serve.ts'

const ETAG = '0191d5d5d5d50001-00000000000000aa'
const GOOD = { bucket: 'b', key: 'k', etag: ETAG, on: 'all', within: '2s' }

function ask({ app }: TestServer, body: unknown) {
  return app.inject({ method: 'POST', url: '/v1/visibility', payload: body as object })
}

describe('POST /v1/visibility', () => {
  it('says which nodes hold a version, each with its commit time', async () => {
    const server = testServer()
    const [n1, n2] = server.replica.memberViews
    server.replica.visible = {
      reached: true,
      holders: [
        { replica: n2!.replica, committedAtMs: 2_000 },
        { replica: n1!.replica, committedAtMs: 1_000 },
      ],
    }
    const answer = await ask(server, GOOD)
    expect(answer.statusCode).toBe(200)
    expect(answer.json()).toEqual({
      nodes: [
        { name: n1!.name, nodeId: n1!.replica, committedAt: '1970-01-01T00:00:01.000Z' },
        { name: n2!.name, nodeId: n2!.replica, committedAt: '1970-01-01T00:00:02.000Z' },
      ],
    })
    expect(server.replica.lastVisibility).toMatchObject({
      address: addressOf('b', 'k'),
      version: parseEtag(ETAG),
      on: 'all',
      withinMs: 2_000,
    })
  })

  it('is 504 with those that do, without an outcome, since nothing was written', async () => {
    const server = testServer()
    const [n1] = server.replica.memberViews
    server.replica.visible = { reached: false, holders: [{ replica: n1!.replica, committedAtMs: 1_000 }] }
    const answer = await ask(server, { ...GOOD, on: 2, key: 'aw', keyEncoding: 'base64url', etag: `"${ETAG}"` })
    expect(answer.statusCode).toBe(504)
    expect(answer.headers['content-type']).toBe('application/problem+json')
    expect(answer.json()).toMatchObject({ code: 'timeout', status: 504, nodes: [{ name: n1!.name }] })
    expect(answer.json()).not.toHaveProperty('outcome')
    expect(server.replica.lastVisibility).toMatchObject({ address: addressOf('b', 'k'), on: 2 })
    expect(etagOf(server.replica.lastVisibility!.version)).toBe(ETAG)
  })

  it('is refused when too many wait', async () => {
    const server = testServer()
    server.replica.visible = 'too-many'
    expect((await ask(server, GOOD)).json()).toMatchObject({ status: 503, code: 'overloaded' })
  })

  it.each([
    ['no etag', { etag: undefined }, 'bad_body'],
    ['an etag that is none', { etag: 'x' }, 'bad_body'],
    ['no bucket', { bucket: 'B' }, 'bad_bucket'],
    ['no key', { key: '' }, 'bad_key'],
    ['another encoding', { keyEncoding: 'hex' }, 'bad_body'],
    ['nobody', { on: 0 }, 'bad_body'],
    ['half a member', { on: 1.5 }, 'bad_body'],
    ['a word', { on: 'quorum' }, 'bad_body'],
    ['no time', { within: '0ms' }, 'bad_body'],
    ['too much time', { within: '1h' }, 'bad_body'],
    ['a field too many', { w: 1 }, 'bad_body'],
  ])('refuses %s', async (_, change, code) => {
    const server = testServer()
    const answer = await ask(server, { ...GOOD, ...change })
    expect(answer.json()).toMatchObject({ status: 400, code })
    expect(server.replica.lastVisibility).toBeUndefined()
  })
})
