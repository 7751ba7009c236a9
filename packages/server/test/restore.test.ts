import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { addressOf, policyAddress, WriteError, type Entry } from '@grapevine/core'
import type { FastifyInstance } from 'fastify'
import { describe, expect, it, vi } from 'vitest'
import { CLUSTER_ID, FakeReplica } from './fake-replica.ts'
import { testServer } from './serve.ts'
import { bytesOf } from './snapshot-bytes.ts'

vi.setConfig({ testTimeout: 60_000 })

const OTHER_CLUSTER = 'f'.repeat(32)

/** A replica with a few entries of every kind. */
function source(): FakeReplica {
  const replica = new FakeReplica()
  replica.put({ address: addressOf('carts', '1/a'), value: Buffer.from('a') })
  replica.put({ address: addressOf('carts', '1/b'), value: Buffer.from('b'), expiresAtMs: replica.wallMs + 60_000 })
  replica.put({ address: addressOf('carts', '2/c'), value: Buffer.from('c') })
  replica.put({ address: addressOf('users', '1/d'), value: Buffer.from('d') })
  replica.put({ address: addressOf('carts', 'deleted'), value: undefined })
  replica.put({ address: addressOf('carts', 'expired'), value: Buffer.of(1), expiresAtMs: 1 })
  replica.put({ address: policyAddress('carts'), value: Buffer.from('{}') })
  return replica
}

async function restore(app: FastifyInstance, payload: Buffer, query = '') {
  const answer = await app.inject({ method: 'POST', url: `/v1/admin/restore${query}`, payload })
  return { status: answer.statusCode, body: answer.json<Record<string, unknown>>() }
}

const NOTHING = {
  applied: 0,
  present: 0,
  older: 0,
  deleted: 0,
  quarantined: 0,
  beyondDrift: 0,
  unreadable: 0,
  written: 0,
  kept: 0,
  skipped: 0,
}

describe('POST /v1/admin/restore', () => {
  it('hands every entry to the replica, counts what became of each, and names those that were left out', async () => {
    const { app, replica } = testServer()
    const from = source()
    replica.importFates.set(addressOf('carts', '1/a'), 'quarantined')
    replica.importFates.set(addressOf('carts', '1/b'), 'beyond-drift')
    replica.importFates.set(addressOf('carts', '2/c'), 'failed')
    replica.importFates.set(addressOf('carts', 'deleted'), 'outdated')
    replica.importFates.set(addressOf('carts', 'expired'), 'refused')
    replica.importFates.set(addressOf('users', '1/d'), 'known')
    const { status, body } = await restore(app, await bytesOf(from))
    expect(status).toBe(200)
    expect(body).toMatchObject({
      ...NOTHING,
      snapshot: { clusterId: CLUSTER_ID, name: 'n1', takenAt: '2026-01-01T00:00:00.000Z', whole: true },
      entries: 7,
      applied: 1,
      present: 1,
      older: 1,
      deleted: 1,
      quarantined: 1,
      beyondDrift: 1,
      unreadable: 1,
      keys: [
        { bucket: 'carts', key: '1/a', why: 'quarantined', state: 'value' },
        { bucket: 'carts', key: '1/b', why: 'beyond-drift', state: 'value' },
        { bucket: 'carts', key: '2/c', why: 'unreadable', state: 'value' },
      ],
      keysOmitted: 0,
    })
    expect(replica.imported.map(({ address }) => address)).toEqual([...from.rows.keys()].toSorted())
    expect(replica.writes).toBe(0)
  })

  it('names no more keys than fit into an answer, and counts the others', async () => {
    const { app, replica } = testServer()
    const from = new FakeReplica()
    for (let index = 0; index < 10_003; index++) {
      const { address } = from.put({ address: addressOf('b', `${index}`), value: Buffer.of() })
      replica.importFates.set(address, 'quarantined')
    }
    const { body } = await restore(app, await bytesOf(from))
    expect(body).toMatchObject({ quarantined: 10_003, keysOmitted: 3 })
    expect(body['keys']).toHaveLength(10_000)
  })

  it('writes anew what has a value and was asked for, with the time that it had left', async () => {
    const { app, replica } = testServer()
    const from = source()
    const { body } = await restore(app, await bytesOf(from), '?asNew=1&prefix=1/&bucket=carts')
    expect(body).toMatchObject({ ...NOTHING, entries: 7, written: 2, skipped: 5 })
    expect([...replica.rows.keys()]).toEqual([addressOf('carts', '1/a'), addressOf('carts', '1/b')])
    expect(replica.rows.get(addressOf('carts', '1/b'))?.expiresAtMs).toBe(from.wallMs + 60_000)
    expect(replica.imported).toEqual([])
  })

  it('keeps what is there when only absent keys were asked for', async () => {
    const { app, replica } = testServer()
    replica.put({ address: addressOf('carts', '1/a'), value: Buffer.from('newer') })
    replica.put({ address: addressOf('carts', '1/b'), value: undefined })
    const { body } = await restore(app, await bytesOf(source()), '?asNew=1&absent=1')
    expect(body).toMatchObject({ ...NOTHING, written: 3, kept: 1, skipped: 3 })
    expect(Buffer.from(replica.rows.get(addressOf('carts', '1/a'))?.value ?? []).toString()).toBe('newer')
  })

  it('takes in all by the rules, and only what is quarantined then is written anew', async () => {
    const { app, replica } = testServer()
    for (const key of ['1/a', '2/c', 'deleted']) replica.importFates.set(addressOf('carts', key), 'quarantined')
    const { body } = await restore(app, await bytesOf(source()), '?asNew=1&quarantined=1')
    expect(body).toMatchObject({ ...NOTHING, applied: 4, quarantined: 3, written: 2, skipped: 1 })
    expect([...replica.rows.keys()]).toEqual([addressOf('carts', '1/a'), addressOf('carts', '2/c')])
  })

  it('waits for a queue that is full', async () => {
    const { app, replica } = testServer()
    replica.failures.push(new WriteError('overloaded', 'not-applied', 'too many writes wait for the disk'))
    const { body } = await restore(app, await bytesOf(source()), '?asNew=1')
    expect(body).toMatchObject({ written: 4 })
  })

  it('refuses a snapshot of another cluster, unless it is written anew or said to be of an ancestor', async () => {
    const { app, replica } = testServer()
    const foreign = await bytesOf(source(), { clusterId: OTHER_CLUSTER })
    const refused = await restore(app, foreign)
    expect(refused).toMatchObject({ status: 421, body: { code: 'wrong_cluster', outcome: 'not-applied' } })
    expect(refused.body['detail']).toContain(`cluster=${OTHER_CLUSTER}`)
    expect(replica.imported).toEqual([])
    expect((await restore(app, foreign, '?asNew=1&quarantined=1')).status).toBe(421)
    expect(await restore(app, foreign, `?cluster=${OTHER_CLUSTER}`)).toMatchObject({
      status: 200,
      body: { applied: 7 },
    })
    expect(await restore(app, foreign, '?asNew=1')).toMatchObject({ status: 200, body: { written: 4 } })
  })

  it('says of what is damaged or cut off how far it came, and applies nothing from behind the fault', async () => {
    const { app, replica } = testServer()
    const from = new FakeReplica()
    for (let index = 0; index < 6; index++)
      from.put({ address: addressOf('b', `${index}`), value: Buffer.alloc(40_000, index) })
    const bytes = await bytesOf(from)
    const cut = await restore(app, bytes.subarray(0, bytes.length - 1))
    expect(cut).toMatchObject({ status: 400, body: { code: 'bad_body', outcome: 'unknown', retryable: false } })
    expect(cut.body['detail']).toContain('cut off. 6 entries before that were taken in and stay.')
    replica.imported.length = 0
    const flipped = Buffer.from(bytes)
    const inThird = bytes.indexOf(Buffer.alloc(100, 4))
    flipped[inThird] = 5
    const damaged = await restore(app, flipped)
    expect(damaged.body['detail']).toMatch(/damaged: frame \d+ fails its checksum. 4 entries before that/)
    expect(replica.imported).toHaveLength(4)
    expect(await restore(app, Buffer.from('{"key":1}\n'))).toMatchObject({
      status: 400,
      body: { outcome: 'not-applied', detail: 'This is no snapshot of Grapevine. Nothing was changed.' },
    })
  })

  it('passes on why the node takes nothing, and that it may be tried again', async () => {
    const { app, replica } = testServer()
    const bytes = await bytesOf(source())
    replica.failures.push(new WriteError('not_ready', 'not-applied', 'this node is not ready'))
    const refused = await restore(app, bytes)
    expect(refused).toMatchObject({ status: 503, body: { code: 'not_ready', outcome: 'not-applied', retryable: true } })
  })

  it.each([
    ['?prefix=a', /needs asNew=1/],
    ['?quarantined=1', /needs asNew=1/],
    ['?asNew=1&bucket=-', /no name of a bucket/],
    ['?cluster=1', /id of a cluster/],
    ['?asnew=1', /Did you mean asNew/],
  ])('refuses %s', async (query, detail) => {
    const { app } = testServer()
    const answer = await restore(app, Buffer.of(), query)
    expect(answer.status).toBe(400)
    expect(answer.body['detail']).toMatch(detail)
  })

  it('lets the body take longer than other requests may', async () => {
    const { app, replica } = testServer({ limits: { requestMs: 300, checkMs: 50, headersMs: 200 } })
    await app.listen({ host: '127.0.0.1', port: 0 })
    const address = app.server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const bytes = await bytesOf(source())
    let sentPieces = 0
    async function* slowly(): AsyncGenerator<Uint8Array, void, void> {
      for (let from = 0; from < bytes.length; from += 1_000, sentPieces++) {
        if (sentPieces < 8) await new Promise<void>((resolve) => setTimeout(resolve, 100))
        yield bytes.subarray(from, from + 1_000)
      }
    }
    const answer = await fetch(`http://127.0.0.1:${port}/v1/admin/restore`, {
      method: 'POST',
      body: ReadableStream.from(slowly()),
      ...{ duplex: 'half' },
    })
    expect(answer.status).toBe(200)
    expect(sentPieces).toBeGreaterThan(8)
    expect(replica.imported).toHaveLength(7)
  })

  it('tells who asks before it sends that it may, however much that is', async () => {
    const { app } = testServer()
    await app.listen({ host: '127.0.0.1', port: 0 })
    const address = app.server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const headers = { expect: '100-continue', 'content-length': 2 ** 40 }
    const request = httpRequest({ port, method: 'POST', path: '/v1/admin/restore', headers })
    request.on('error', () => {})
    request.flushHeaders()
    await once(request, 'continue')
    request.destroy()
  })

  it('answers before everything was sent when it refuses, and the answer is not lost', async () => {
    const { app } = testServer()
    await app.listen({ host: '127.0.0.1', port: 0 })
    const address = app.server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const from = new FakeReplica()
    for (let index = 0; index < 100; index++)
      from.put({ address: addressOf('b', `${index}`), value: Buffer.alloc(50_000, index) })
    const foreign = await bytesOf(from, { clusterId: OTHER_CLUSTER })
    const answer = await fetch(`http://127.0.0.1:${port}/v1/admin/restore`, { method: 'POST', body: foreign })
    expect(answer.status).toBe(421)
    expect(await answer.json()).toMatchObject({ code: 'wrong_cluster' })
  })
})

/** What the import was told of stays what the snapshot held. */
it('hands over entries that are whole by themselves', async () => {
  const { app, replica } = testServer()
  const from = source()
  await restore(app, await bytesOf(from))
  const bytes = ({ envelope }: Entry): string => Buffer.from(envelope).toString('hex')
  expect(replica.imported.map(bytes).toSorted()).toEqual([...from.rows.values()].map(bytes).toSorted())
})
