import { describe, expect, it } from 'vitest'
import { SmallCluster } from './small-cluster.ts'

const NAMES = Array.from({ length: 20 }, (_, index) => `n${index + 1}`)

describe('a cluster too large to tell everybody', () => {
  it('brings a lone write to all within a few quick pulls, and falls silent again', { timeout: 60_000 }, async () => {
    const cluster = await SmallCluster.of(NAMES.length)
    await cluster.time.advance(2_000)
    const delays: number[] = []
    for (const key of ['a', 'b', 'c']) {
      await cluster.put('n1', key, 'v')
      const hold = (): boolean => NAMES.every((name) => cluster.get(name, key) === 'v')
      delays.push(await cluster.time.advanceUntil(hold, 10_000, 5))
      await cluster.time.advance(1_500)
    }
    expect(Math.max(...delays)).toBeLessThanOrEqual(150)

    const before = cluster.asked.length
    await cluster.time.advance(4_000)
    const comparisons = cluster.asked.slice(before).filter(({ name }) => name === 'vector-hash').length
    // Each replica once a second, ± 20 %.
    expect(comparisons).toBeLessThanOrEqual(NAMES.length * 5)
  })
})
