import { addressOf } from '@grapevine/core'
import { describe, expect, it } from 'vitest'
import { FakeReplica, memberView, OTHER_ID } from './fake-replica.ts'
import { send } from './send.ts'
import { listening, testServer } from './serve.ts'

/** A joining node that knows these members, the best first. */
function joiner(...ports: number[]) {
  const replica = new FakeReplica()
  replica.stage = 'joining'
  replica.memberViews = [
    memberView('n1', 'self', { isSelf: true }),
    ...ports.map((port, index) =>
      memberView(`m${index}`, `${OTHER_ID}${index}`, { clientUrl: `http://127.0.0.1:${port}` }),
    ),
  ]
  return testServer({ replica })
}

/** A port on which nobody listens. */
const CLOSED_PORT = 1

describe('a node that is still joining', () => {
  it('hands requests on to a member, whole', async () => {
    const member = testServer({ argv: ['--name', 'member'].slice(2) })
    const server = joiner(CLOSED_PORT, await listening(member.app))
    const port = await listening(server.app)
    const put = await send(port, 'PUT', '/v1/kv/b/..%2Fk?ttl=1h', {
      body: 'value',
      headers: { 'content-type': 'text/plain', 'if-none-match': '*' },
    })
    expect(put.status).toBe(204)
    expect(put.headers).toMatchObject({ 'grapevine-acks': '1/2', etag: member.replica.etagAt(addressOf('b', '../k')) })
    expect(server.replica.rows.size).toBe(0)

    const got = await send(port, 'GET', '/v1/kv/b/..%2Fk')
    expect(got.body.toString()).toBe('value')
    expect(got.headers['content-type']).toBe('text/plain')
    expect((await send(port, 'HEAD', '/v1/kv/b/..%2Fk')).status).toBe(200)
    expect((await send(port, 'GET', '/v1/kv/b')).body.toString()).toContain('"../k"')
    const batch = await send(port, 'POST', '/v1/batch', {
      headers: { 'content-type': 'application/json' },
      body: '{"ops":[{"op":"get","bucket":"b","key":"../k"}]}',
    })
    expect(batch.body.toString()).toContain('"status":200')
    expect((await send(port, 'DELETE', '/v1/kv/b/..%2Fk')).status).toBe(204)
    expect((await send(port, 'GET', '/v1/kv/b/..%2Fk')).headers['grapevine-tombstone']).toBe('1')
  })

  it('says so when it reaches nobody', async () => {
    const { app } = joiner(CLOSED_PORT)
    const port = await listening(app)
    for (const method of ['GET', 'PUT']) {
      const answer = await send(port, method, '/v1/kv/b/k')
      expect(answer.status).toBe(503)
      expect(JSON.parse(answer.body.toString())).toMatchObject({ code: 'not_ready', outcome: 'not-applied' })
    }
  })

  it('hands nothing on for the second time', async () => {
    const second = joiner()
    const first = joiner(await listening(second.app))
    const answer = await send(await listening(first.app), 'GET', '/v1/kv/b/k')
    expect(answer.status).toBe(503)
    expect(answer.body.toString()).toContain('on behalf of another')
  })

  it('does not know what became of a write whose answer it lost', async () => {
    const member = testServer()
    member.replica.write = () => {
      member.app.server.closeAllConnections()
      return new Promise(() => {})
    }
    const { app } = joiner(await listening(member.app))
    const answer = await send(await listening(app), 'PUT', '/v1/kv/b/k', { body: 'x' })
    expect(answer.status).toBe(504)
    expect(JSON.parse(answer.body.toString())).toMatchObject({ code: 'timeout', outcome: 'unknown' })
  })

  it('serves as soon as it has joined, and for good', async () => {
    const { app, replica } = joiner()
    const get = async () => (await app.inject('/v1/kv/b/k')).statusCode
    expect(await get()).toBe(503)
    replica.stage = 'member'
    expect(await get()).toBe(404)
    replica.stage = 'joining'
    expect(await get()).toBe(404)
  })
})
