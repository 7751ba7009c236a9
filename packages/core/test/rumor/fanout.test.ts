import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  EAGER_PUSH_REPLICAS_MAX,
  hopLimit,
  peersToWake,
  pullDelayMs,
  pullsBack,
  rumorReach,
  rumorTargets,
} from '../../src/index.ts'
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
    { replicas: 17, hops: 1 },
    { replicas: 128, hops: 2 },
    { replicas: 1_000, hops: 3 },
    { replicas: 26_000, hops: 5 },
    { replicas: 1_000_000, hops: 7 },
  ])('is log4(n / log2 n), rounded down: $hops for $replicas', ({ replicas, hops }) => {
    expect(hopLimit(replicas)).toBe(hops)
  })

  it('lets the last tellers reach no more than one in log2 n, so that most of them find news', () => {
    const law = fc.property(fc.integer({ min: 32, max: 10_000_000 }), (replicas) => {
      const last = 4 ** hopLimit(replicas)
      expect(last === 4 || last <= replicas / Math.log2(replicas)).toBe(true)
    })
    fc.assert(law)
  })
})

const LARGE = { liveReplicas: 100, idleMs: 1_000, hasCaller: false }
const SMALL = { ...LARGE, liveReplicas: 5 }
const QUIET_MS = 5_000

describe('the pull', () => {
  it('is quick while something is hot in a cluster where it carries rumors', () => {
    expect(pullDelayMs({ ...LARGE, sinceNewsMs: 50 })).toBe(10)
    expect(pullDelayMs({ ...LARGE, sinceNewsMs: QUIET_MS })).toBe(1_000)
  })

  it('is quick when somebody showed that something may be missing', () => {
    expect(pullDelayMs({ ...LARGE, sinceNewsMs: QUIET_MS, hasCaller: true })).toBe(10)
  })

  it('keeps its idle pace where everybody is told directly', () => {
    expect(pullDelayMs({ ...SMALL, sinceNewsMs: 0 })).toBe(1_000)
    expect(pullDelayMs({ ...SMALL, sinceNewsMs: 0, hasCaller: true })).toBe(1_000)
  })

  it('is never slower than the idle pace', () => {
    expect(pullDelayMs({ ...LARGE, sinceNewsMs: 0, idleMs: 5 })).toBe(5)
  })
})

describe('news after a quiet time', () => {
  it.each([
    { replicas: 17, peers: 5 },
    { replicas: 256, peers: 8 },
    { replicas: 26_000, peers: 13 },
  ])('is shown to ln n + 2 peers: $peers of $replicas', ({ replicas, peers: shown }) => {
    expect(peersToWake({ liveReplicas: replicas, sinceNewsMs: QUIET_MS })).toBe(shown)
  })

  it('wakes nobody where everybody is told, nor while all are awake', () => {
    expect(peersToWake({ liveReplicas: 5, sinceNewsMs: QUIET_MS })).toBe(0)
    expect(peersToWake({ liveReplicas: 100, sinceNewsMs: 50 })).toBe(0)
  })
})

describe('a question with a vector unlike ours', () => {
  const quiet = { liveReplicas: 100, sinceNewsMs: QUIET_MS, sinceAskedMs: QUIET_MS }

  it('makes a quiet replica of a large cluster pull from the one who asked', () => {
    expect(pullsBack(quiet)).toBe(true)
    expect(pullsBack({ ...quiet, liveReplicas: 5 })).toBe(false)
    expect(pullsBack({ ...quiet, sinceNewsMs: 50 })).toBe(false)
  })

  it('does not when it is the echo of our own question', () => {
    expect(pullsBack({ ...quiet, sinceAskedMs: 10 })).toBe(false)
  })
})

function peers(count: number): string[] {
  return Array.from({ length: count }, (_, index) => index.toString(16).padStart(16, '0'))
}
