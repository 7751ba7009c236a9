import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/condition.ts'
import { ProcessCluster } from '../support/process-cluster.ts'

/** P1 is shown with fifty by hand: ROUNDS=50 (docs/promises.md). */
const ROUNDS = Number(process.env['ROUNDS'] ?? 4)
const WRITERS = 16
const ALL = ['n1', 'n2', 'n3']
let cluster: ProcessCluster

beforeAll(async () => {
  cluster = await ProcessCluster.start(3)
})
afterAll(() => cluster.close())

describe('a node that is killed in a storm of writes', () => {
  it(
    `opens within 10 s, has lost nothing it acknowledged, and rebuilds nothing (${ROUNDS} rounds)`,
    async () => {
      const acknowledged = new Map<string, string>()
      for (let round = 0; round < ROUNDS; round++) {
        const victim = ALL[round % 3] ?? 'n1'
        // It must stand up with what is on its own disk, so nobody may bring it back.
        for (const name of ALL) if (name !== victim) await cluster.post(name, '/v1/admin/pause', { what: 'all' })
        const written = await storm(victim, round, 200 + round * 37)
        const before = await cluster.logged(victim, 'store-opened')
        const openedMs = await cluster.restart(victim)
        expect(openedMs).toBeLessThan(10_000)
        const opened = (await cluster.logged(victim, 'store-opened')).slice(before.length)
        expect(opened).toMatchObject([{ merkleRebuilds: 0 }])
        const lost: string[] = []
        // The write after the last acknowledged one was under way: it may be there, and then it is later.
        for (const [key, value] of written) if (!(Number(await read(victim, key)) >= Number(value))) lost.push(key)
        expect(lost).toEqual([])
        for (const [key, value] of written) acknowledged.set(key, value)
        for (const name of ALL) await cluster.post(name, '/v1/admin/resume', { what: 'all' })
      }
      await cluster.untilConverged('n2')
      for (const name of ALL) {
        expect(await cluster.metric(name, 'grapevine_merkle_rebuilds_total')).toBe(0)
        expect(await cluster.metric(name, 'grapevine_integrity_faults_total')).toBe(0)
      }
      const sampled = [...acknowledged].filter((_, index) => index % 7 === 0)
      for (const [key, value] of sampled) expect(Number(await read('n3', key))).toBeGreaterThanOrEqual(Number(value))
    },
    60_000 + ROUNDS * 20_000,
  )
})

describe('a cluster that was stopped as a whole', () => {
  it('is the same with the same data, at the same addresses and at new ones', async () => {
    await cluster.untilConverged('n1')
    for (const moved of [false, true]) {
      const before = await rootsOf('n1')
      for (const name of ALL) expect(await cluster.end(name, moved ? 'SIGTERM' : 'SIGINT')).toBe(0)
      if (moved) await cluster.moveAll()
      await Promise.all(ALL.map((name) => cluster.launch(name)))
      await cluster.untilReady()
      await eventually(
        'all see all alive',
        async () => {
          const seen = await Promise.all(ALL.map((name) => cluster.members(name)))
          return seen.every((members) => members.length === 3 && members.every(({ state }) => state === 'alive'))
        },
        20_000,
      )
      expect(await rootsOf('n3')).toEqual(before)
      const put = await fetch(cluster.url('n2', `/v1/kv/after/moved-${moved}?w=all`), { method: 'PUT', body: 'v' })
      expect([put.status, put.headers.get('grapevine-acks')]).toEqual([204, '3/3'])
      await cluster.untilConverged('n1')
    }
  })
})

async function rootsOf(asked: string): Promise<(string | null)[]> {
  await cluster.untilConverged(asked)
  return (await cluster.divergence(asked)).replicas.map(({ root }) => root)
}

/** Writes to one node from many sides, kills it in the middle, and returns what was acknowledged until then. */
async function storm(victim: string, round: number, killAfter: number): Promise<Map<string, string>> {
  const acknowledged = new Map<string, string>()
  let running = true
  const writers = Array.from({ length: WRITERS }, async (_, writer) => {
    for (let count = 0; running; count++) {
      const key = `k${round}-${writer}-${count % 40}`
      const value = `${count}`
      try {
        const { status } = await fetch(cluster.url(victim, `/v1/kv/storm/${key}`), { method: 'PUT', body: value })
        if (status === 204) acknowledged.set(key, value)
      } catch {
        return
      }
    }
  })
  await eventually('enough was written', () => acknowledged.size >= Math.min(killAfter, WRITERS * 40))
  await cluster.end(victim, 'SIGKILL')
  running = false
  await Promise.all(writers)
  return acknowledged
}

/** The value of a key, or what the node says instead. A write that was not answered may be there as well. */
async function read(name: string, key: string): Promise<string> {
  const response = await fetch(cluster.url(name, `/v1/kv/storm/${key}`))
  return response.status === 200 ? response.text() : `status ${response.status}`
}
