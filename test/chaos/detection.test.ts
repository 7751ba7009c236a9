import { afterAll, beforeAll, expect, it } from 'vitest'
import { eventually } from '../support/condition.ts'
import { ProcessCluster } from '../support/process-cluster.ts'

/** P10 asks for a hundred; here a few, and the hundred by hand with ROUNDS=100 (docs/promises.md). */
const ROUNDS = Number(process.env['ROUNDS'] ?? 3)
const PAUSE_MS = 5_000
const ALL = ['n1', 'n2', 'n3']
let cluster: ProcessCluster

beforeAll(async () => {
  cluster = await ProcessCluster.start(3)
})
afterAll(() => cluster.close())

it(
  `declares nobody dead while a node is stopped for 5 s (${ROUNDS} rounds)`,
  async () => {
    let roundsWithDead = 0
    for (let round = 0; round < ROUNDS; round++) {
      const before = await deaths()
      const paused = ALL[round % 3] ?? 'n1'
      cluster.signal(paused, 'SIGSTOP')
      const startedMs = performance.now()
      await eventually('the pause is over', () => performance.now() - startedMs >= PAUSE_MS, PAUSE_MS * 2)
      cluster.signal(paused, 'SIGCONT')
      await eventually('everybody is alive to everybody', async () =>
        (await statesSeen()).every((state) => state === 'alive'),
      )
      if ((await deaths()) > before) roundsWithDead++
    }
    // 99 of 100, and so none in a few.
    expect(roundsWithDead).toBeLessThanOrEqual(Math.floor(ROUNDS / 100))
  },
  60_000 + ROUNDS * 12_000,
)

it('sees a crash on all others within 10 s, and writes go on meanwhile without delay', async () => {
  await cluster.end('n3', 'SIGKILL')
  const killedMs = performance.now()
  let slowestMs = 0
  let writes = 0
  const detectedMs = await eventually(
    'n1 and n2 say that n3 is dead',
    async () => {
      for (const name of ['n1', 'n2']) {
        const startedMs = performance.now()
        const { status } = await fetch(cluster.url(name, `/v1/kv/going/on${writes++}`), { method: 'PUT', body: 'v' })
        slowestMs = Math.max(slowestMs, performance.now() - startedMs)
        if (status !== 204) throw new Error(`a write was answered with ${status}`)
      }
      const seen = await Promise.all(['n1', 'n2'].map((name) => cluster.members(name)))
      const saysDead = seen.every((members) => members.find(({ name }) => name === 'n3')?.state === 'dead')
      return saysDead && performance.now() - killedMs
    },
    15_000,
    20,
  )
  expect(detectedMs).toBeLessThan(10_000)
  expect(slowestMs).toBeLessThan(500)
  await cluster.restart('n3')
  await cluster.untilConverged('n1')
})

async function statesSeen(): Promise<string[]> {
  const seen = await Promise.all(ALL.map((name) => cluster.members(name)))
  return seen.flat().map(({ state }) => state)
}

/** How often anybody has declared anybody dead so far. */
async function deaths(): Promise<number> {
  const lines = await Promise.all(ALL.map((name) => cluster.logged(name, 'member')))
  return lines.flat().filter(({ state }) => state === 'dead').length
}
