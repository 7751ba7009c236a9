import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import type { GossipStateBody, Problem } from '@grapevine/contract'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { memberView, OTHER_ID } from './fake-replica.ts'
import { listening, testServer } from './serve.ts'

describe('application state', () => {
  it('is set, read, and seen among that of all', async () => {
    const { app, replica } = testServer()
    const put = await app.inject({
      method: 'PUT',
      url: '/v1/gossip/state/role',
      payload: Buffer.from([0xff, 1]),
      headers: { 'content-type': 'x/y' },
    })
    expect([put.statusCode, put.headers['grapevine-served-by']]).toEqual([204, 'n1'])
    const got = await app.inject({ url: '/v1/gossip/state/role' })
    expect([got.statusCode, got.headers['content-type'], [...got.rawPayload]]).toEqual([200, 'x/y', [0xff, 1]])
    expect((await app.inject({ method: 'HEAD', url: '/v1/gossip/state/role' })).body).toBe('')
    const updatedAt = new Date(replica.wallMs).toISOString()
    expect((await app.inject({ url: '/v1/gossip/state' })).json<GossipStateBody>().nodes).toMatchObject([
      { name: 'n1', values: [{ name: 'role', value: '/wE=', contentType: 'x/y', updatedAt }] },
      { name: 'n2', nodeId: OTHER_ID, values: [] },
    ])
  })

  it.each([
    ['PUT', '/v1/gossip/state/UP', 'v', 400, 'bad_key'],
    ['GET', '/v1/gossip/state/UP', undefined, 400, 'bad_key'],
    ['GET', '/v1/gossip/state/none', undefined, 404, 'not_found'],
    ['PUT', '/v1/gossip/state/big', 'x'.repeat(1_025), 413, 'too_large'],
    ['PUT', '/v1/gossip/state/x?ttl=1s', 'v', 400, 'bad_query'],
  ] as const)('refuses %s %s', async (method, url, payload, status, code) => {
    const { app, replica } = testServer()
    const answer = await app.inject({ method, url, ...(payload === undefined ? {} : { payload }) })
    expect([answer.statusCode, answer.json<Problem>().code]).toEqual([status, code])
    expect(replica.ownValues.size).toBe(0)
  })

  it('has room for a few', async () => {
    const { app } = testServer()
    const put = (name: string) => app.inject({ method: 'PUT', url: `/v1/gossip/state/${name}`, payload: 'v' })
    const statuses = [await put('a'), await put('b'), await put('c'), await put('a')].map(
      ({ statusCode }) => statusCode,
    )
    expect(statuses).toEqual([204, 204, 409, 204])
  })
})

describe('membership events', () => {
  it('come as they happen, until either side has enough', async () => {
    const { app, replica } = testServer()
    const port = await listening(app)
    const outgoing = request({ host: '127.0.0.1', port, path: '/v1/gossip/events', agent: false })
    outgoing.on('error', () => {})
    onTestFinished(() => void outgoing.destroy())
    outgoing.end()
    const [answer] = (await once(outgoing, 'response')) as [IncomingMessage]
    answer.setEncoding('utf8')
    let text = ''
    answer.on('data', (chunk: string) => (text += chunk))
    await vi.waitFor(() => expect(text).toContain(': listening'))
    expect(answer.headers['content-type']).toBe('text/event-stream')
    const member = memberView('n2', OTHER_ID, { state: 'suspect' })
    for (const tell of replica.listeners) {
      tell({ kind: 'suspect', member: { ...member, state: 'suspect' } })
      const value = { owner: OTHER_ID, name: 'role', revision: 0, contentType: '', value: Buffer.from('v') }
      tell({ kind: 'change', member: { ...member, state: 'alive' }, value })
    }
    await vi.waitFor(() => expect(text).toContain('event: change'))
    const of = (state: string, more: object = {}): string =>
      JSON.stringify({ name: 'n2', nodeId: OTHER_ID, address: '127.0.0.1:7710', state, incarnation: 1, ...more })
    const value = {
      name: 'role',
      value: 'dg==',
      contentType: 'application/octet-stream',
      updatedAt: '1970-01-01T00:00:00.000Z',
    }
    expect(text).toBe(
      `: listening\n\nevent: suspect\ndata: ${of('suspect')}\n\nevent: change\ndata: ${of('alive', { value })}\n\n`,
    )
    const ended = once(answer, 'end')
    await app.close()
    await ended
    expect(replica.listeners.size).toBe(0)
  })
})
