import * as fc from 'fast-check'
import type { HistoryEvent } from '../../src/index.ts'
import { ReferenceCluster, type Step } from './reference-cluster.ts'

const anyNumber = fc.nat(1_000)

/** Mostly work, now and then a fault. */
const anyWhat: fc.Arbitrary<Step['what']> = fc.oneof(
  { weight: 10, arbitrary: fc.constantFrom<Step['what'][]>('write', 'read', 'answer', 'deliver') },
  { weight: 3, arbitrary: fc.constantFrom<Step['what'][]>('exchange', 'replay', 'purge') },
  { weight: 4, arbitrary: fc.constantFrom<Step['what'][]>('start', 'thaw') },
  { weight: 1, arbitrary: fc.constantFrom<Step['what'][]>('crash', 'freeze') },
  { weight: 1, arbitrary: fc.constantFrom<Step['what'][]>('wipe', 'damage', 'roll-back') },
)

const anyStep: fc.Arbitrary<Step> = fc.record({
  what: anyWhat,
  node: anyNumber,
  peer: anyNumber,
  key: anyNumber,
  client: anyNumber,
  dice: anyNumber,
})

/** Correct by construction, with crashes, wiped, damaged and rolled back disks, replays and purges in it. */
export const anyCorrectHistory: fc.Arbitrary<readonly HistoryEvent[]> = fc
  .record({
    nodes: fc.integer({ min: 2, max: 4 }),
    steps: fc.array(anyStep, { minLength: 40, maxLength: 160, size: 'max' }),
    away: fc.option(anyNumber, { nil: undefined, freq: 4 }),
  })
  .map(({ nodes, steps, away }) => {
    const cluster = new ReferenceCluster(nodes)
    for (const step of steps) cluster.take(step)
    return cluster.finish(away)
  })
