import { createHash, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/condition.ts'
import { ProcessCluster } from '../support/process-cluster.ts'

const ALL = ['n1', 'n2', 'n3']
let cluster: ProcessCluster

beforeAll(async () => {
  cluster = await ProcessCluster.start(3, ['--anti-entropy-interval', '5s'])
})
afterAll(() => cluster.close())

async function putAll(name: string, keys: readonly string[], value: (key: string) => string): Promise<number[]> {
  const statuses: number[] = []
  for (let from = 0; from < keys.length; from += 50)
    statuses.push(
      ...(await Promise.all(
        keys.slice(from, from + 50).map(async (key) => {
          const response = await fetch(cluster.url(name, `/v1/kv/${key}`), { method: 'PUT', body: value(key) })
          return response.status
        }),
      )),
    )
  return statuses
}

describe('three processes', () => {
  it('show a write on all nodes within a second, to the byte, 100 of 100 times', async () => {
    let visible = 0
    for (let attempt = 0; attempt < 100; attempt++) {
      const bytes = randomBytes(1 + attempt * 37)
      const path = `/v1/kv/b/k${attempt}`
      const headers = { 'content-type': `application/x-thing-${attempt}` }
      const put = await fetch(cluster.url('n1', path), { method: 'PUT', headers, body: bytes })
      expect(put.status).toBe(204)
      for (const name of ['n2', 'n3'])
        await eventually(
          `${path} is on ${name}`,
          async () => (await fetch(cluster.url(name, path))).status === 200,
          1_000,
          2,
        )
      for (const name of ['n2', 'n3']) {
        const got = await fetch(cluster.url(name, path))
        expect(got.headers.get('etag')).toBe(put.headers.get('etag'))
        expect(got.headers.get('content-type')).toBe(headers['content-type'])
        expect(sha256(Buffer.from(await got.arrayBuffer()))).toBe(sha256(bytes))
      }
      visible++
    }
    expect(visible).toBe(100)
  })

  it('let a value live as long as the policy of its bucket says, wherever the two were written, and then nowhere', async () => {
    const policy = await fetch(cluster.url('n1', '/v1/buckets/brief?w=all'), { method: 'PUT', body: '{"ttl":"2s"}' })
    expect(policy.status).toBe(204)
    const put = await fetch(cluster.url('n2', '/v1/kv/brief/k?w=all'), { method: 'PUT', body: 'v' })
    const expiresAt = put.headers.get('grapevine-expires-at')
    expect(Date.parse(expiresAt ?? '')).toBeGreaterThan(Date.now())
    for (const name of ALL) {
      const got = await fetch(cluster.url(name, '/v1/kv/brief/k'))
      expect([got.status, got.headers.get('grapevine-expires-at')]).toEqual([200, expiresAt])
      expect(await (await fetch(cluster.url(name, '/v1/buckets/brief'))).json()).toEqual({ ttl: '2s' })
    }
    for (const name of ALL)
      await eventually(
        `the value is gone on ${name}`,
        async () => (await fetch(cluster.url(name, '/v1/kv/brief/k'))).status === 404,
        10_000,
      )
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(expiresAt ?? ''))
    expect(await (await fetch(cluster.url('n3', '/v1/kv/brief'))).json()).toMatchObject({ items: [] })
  })

  it('show how far their clocks are apart', async () => {
    const seen = await eventually('n1 has asked the others for their time', async () => {
      const body = (await (await fetch(cluster.url('n1', '/v1/cluster/members'))).json()) as {
        members: { self: boolean; skewMs: number | null; skewErrorMs: number | null }[]
      }
      const others = body.members.filter(({ self }) => !self)
      return others.every(({ skewMs }) => skewMs !== null) && others
    })
    // One machine, one clock.
    for (const { skewMs, skewErrorMs } of seen)
      expect(Math.abs(skewMs ?? Number.NaN)).toBeLessThanOrEqual((skewErrorMs ?? 0) + 1)
    expect(await cluster.metric('n1', 'grapevine_parked_entries')).toBe(0)
  })

  it('catch up a node that was killed while others wrote and deleted', async () => {
    const old = Array.from({ length: 500 }, (_, key) => `away/old${key}`)
    const fresh = Array.from({ length: 1_000 }, (_, key) => `away/new${key}`)
    await putAll('n1', old, (key) => key)
    await cluster.untilConverged('n1')
    await cluster.end('n3', 'SIGKILL')
    expect(new Set(await putAll('n1', fresh.slice(0, 500), (key) => key))).toEqual(new Set([204]))
    expect(new Set(await putAll('n2', fresh.slice(500), (key) => key))).toEqual(new Set([204]))
    for (const key of old)
      expect((await fetch(cluster.url('n2', `/v1/kv/${key}`), { method: 'DELETE' })).status).toBe(204)
    expect((await cluster.divergence('n1')).converged).toBe(false)

    await cluster.restart('n3')
    expect(await cluster.untilConverged('n1', 60_000)).toBeLessThan(60_000)
    for (const key of fresh.filter((_, index) => index % 50 === 0))
      expect(await (await fetch(cluster.url('n3', `/v1/kv/${key}`))).text()).toBe(key)
    for (const key of old.filter((_, index) => index % 50 === 0)) {
      const gone = await fetch(cluster.url('n3', `/v1/kv/${key}`))
      expect([gone.status, gone.headers.get('grapevine-tombstone')]).toEqual([404, '1'])
    }
  })
})

describe('each mechanism alone', () => {
  async function everywhere(path: '/v1/admin/pause' | '/v1/admin/resume', what: string): Promise<void> {
    for (const name of ALL) expect((await cluster.post(name, path, { what })).status).toBeLessThan(300)
  }

  it('converges by anti-entropy while rumors are paused', async () => {
    await everywhere('/v1/admin/pause', 'rumors')
    try {
      await putAll(
        'n1',
        Array.from({ length: 100 }, (_, key) => `quiet/a${key}`),
        () => 'v',
      )
      await putAll(
        'n2',
        Array.from({ length: 100 }, (_, key) => `quiet/b${key}`),
        () => 'v',
      )
      expect(await cluster.metric('n3', 'grapevine_rumors_hot')).toBe(0)
      await cluster.untilConverged('n3', 30_000)
    } finally {
      await everywhere('/v1/admin/resume', 'rumors')
    }
  })

  it('reaches all within a second by rumor while anti-entropy is paused', async () => {
    await everywhere('/v1/admin/pause', 'anti-entropy')
    try {
      for (let key = 0; key < 100; key++) {
        await putAll('n2', [`loud/k${key}`], () => 'v')
        for (const name of ALL)
          await eventually(
            `loud/k${key} is on ${name}`,
            async () => (await fetch(cluster.url(name, `/v1/kv/loud/k${key}`))).status === 200,
            1_000,
            2,
          )
      }
    } finally {
      await everywhere('/v1/admin/resume', 'anti-entropy')
    }
  })

  it('with both paused on one node, says exactly which keys differ, and mends them after the resume', async () => {
    await cluster.untilConverged('n1')
    await cluster.post('n3', '/v1/admin/pause', { what: 'all' })
    const keys = Array.from({ length: 40 }, (_, key) => `differ/k${key}`)
    await putAll('n1', keys, () => 'v')
    const ids = new Map((await cluster.members('n1')).map(({ name, nodeId }) => [name, nodeId]))
    const named = await differing('n3')
    expect(named.toSorted()).toEqual(keys.map((key) => key.replace('/', ' ')).toSorted())
    expect(await differing(ids.get('n3') ?? '')).toHaveLength(40)
    await cluster.post('n3', '/v1/admin/resume', { what: 'all' })
    await eventually('the difference is gone', async () => (await differing('n3')).length === 0, 6_000)
    await cluster.untilConverged('n1')
    const exchange = (await (await cluster.post('n1', '/v1/admin/anti-entropy', { with: 'n2' })).json()) as object
    expect(exchange).toMatchObject({ result: 'equal', questions: 1 })
  })
})

async function differing(other: string): Promise<string[]> {
  const body = (await (await fetch(cluster.url('n1', `/v1/admin/diff?with=${other}&limit=1000`))).json()) as {
    keys: { bucket: string; key: string }[]
  }
  return body.keys.map(({ bucket, key }) => `${bucket} ${key}`)
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
