import { beforeAll, describe, expect, it } from 'vitest'
import { SmallCluster } from './small-cluster.ts'

const NAMES = Array.from({ length: 20 }, (_, index) => `n${index + 1}`)
const SILENT = NAMES.slice(18)
const TIMEOUT_MS = 60_000

describe('a cluster too large to tell everybody', () => {
  let cluster: SmallCluster

  beforeAll(async () => {
    cluster = await SmallCluster.of(NAMES.length)
    await cluster.time.advance(2_000)
  }, TIMEOUT_MS)

  async function delayMs(key: string, names: readonly string[]): Promise<number> {
    const startMs = cluster.time.monotonicMs()
    await cluster.put('n1', key, 'v')
    await cluster.time.advanceUntil(() => names.every((name) => cluster.get(name, key) === 'v'), 10_000, 5)
    return cluster.time.monotonicMs() - startMs
  }

  it('brings a lone write to all within a few quick pulls', { timeout: TIMEOUT_MS }, async () => {
    for (const key of ['a', 'b', 'c']) {
      expect(await delayMs(key, NAMES)).toBeLessThanOrEqual(150)
      await cluster.time.advance(1_500)
    }
  })

  it('falls silent again: each compares once a second, ± 20 %', { timeout: TIMEOUT_MS }, async () => {
    const before = cluster.asked.length
    await cluster.time.advance(4_000)
    const comparisons = cluster.asked.slice(before).filter(({ name }) => name === 'vector-hash').length
    expect(comparisons).toBeLessThanOrEqual(NAMES.length * 5)
  })

  it('is not held up by members that are silent and not yet found to be dead', { timeout: TIMEOUT_MS }, async () => {
    for (const name of SILENT) cluster.cut.add(`*>${name}`)
    // Long enough for many to wait for an answer from them, too short for anybody to be declared dead.
    await cluster.time.advance(4_000)
    expect(await delayMs('d', NAMES.slice(0, 18))).toBeLessThanOrEqual(500)
  })
})
