import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EAGER_PUSH_REPLICAS_MAX, hopLimit, pullDelayMs, rumorReach, rumorTargets } from '../../src/index.ts'
import { seededRandom } from './seeded-random.ts'

const anySeed = fc.nat()

describe('whom a fresh entry goes to', () => {
  it('is everybody, by the coordinator alone, up to 16 live peers', () => {
    const law = fc.property(anySeed, fc.nat(EAGER_PUSH_REPLICAS_MAX), fc.nat(5), (seed, count, hops) => {
      const live = peers(count)
      expect(rumorTargets({ live, hops: undefined, random: seededRandom(seed) })).toEqual({ targets: live, hops: 0 })
      expect(rumorTargets({ live, hops, random: seededRandom(seed) }).targets).toEqual([])
    })
    fc.assert(law)
  })

  it('is four different ones of more, with one hop less each time', () => {
    const anyCount = fc.integer({ min: EAGER_PUSH_REPLICAS_MAX + 1, max: 256 })
    const law = fc.property(anySeed, anyCount, fc.option(fc.integer({ min: 1, max: 9 })), (seed, count, left) => {
      const live = peers(count)
      const hops = left ?? undefined
      const plan = rumorTargets({ live, hops, random: seededRandom(seed) })
      expect(new Set(plan.targets).size).toBe(4)
      expect(live).toEqual(expect.arrayContaining([...plan.targets]))
      expect(plan.hops).toBe((hops ?? hopLimit(count + 1)) - 1)
    })
    fc.assert(law)
  })

  it('is as many as the reach says, which knows no names', () => {
    const anyHops = fc.option(fc.nat(9), { nil: undefined })
    const law = fc.property(anySeed, fc.nat(256), anyHops, (seed, count, hops) => {
      const { targets, hops: left } = rumorTargets({ live: peers(count), hops, random: seededRandom(seed) })
      expect(rumorReach(count, hops)).toEqual({ peers: targets.length, hops: left })
    })
    fc.assert(law)
  })

  it('is nobody at the end of the way', () => {
    expect(rumorTargets({ live: peers(100), hops: 0, random: seededRandom(1) })).toEqual({ targets: [], hops: 0 })
  })
})

describe('the hop limit', () => {
  it.each([
    { replicas: 2, hops: 1 },
    { replicas: 18, hops: 2 },
    { replicas: 1_000, hops: 4 },
    { replicas: 26_000, hops: 6 },
  ])('is log4(n / ln n), rounded up: $hops for $replicas', ({ replicas, hops }) => {
    expect(hopLimit(replicas)).toBe(hops)
  })

  it('lets the first tellers of all hops be fewer than the replicas, so that most of them find news', () => {
    for (const replicas of [100, 1_000, 26_000]) expect(4 ** (hopLimit(replicas) - 1)).toBeLessThan(replicas)
  })
})

describe('the pull', () => {
  it('is quick while something is hot in a cluster where it carries rumors', () => {
    expect(pullDelayMs({ liveReplicas: 100, sinceNewsMs: 50, idleMs: 1_000 })).toBe(10)
    expect(pullDelayMs({ liveReplicas: 100, sinceNewsMs: 5_000, idleMs: 1_000 })).toBe(1_000)
  })

  it('keeps its idle pace where everybody is told directly', () => {
    expect(pullDelayMs({ liveReplicas: 5, sinceNewsMs: 0, idleMs: 1_000 })).toBe(1_000)
  })

  it('is never slower than the idle pace', () => {
    expect(pullDelayMs({ liveReplicas: 100, sinceNewsMs: 0, idleMs: 5 })).toBe(5)
  })
})

function peers(count: number): string[] {
  return Array.from({ length: count }, (_, index) => index.toString(16).padStart(16, '0'))
}
