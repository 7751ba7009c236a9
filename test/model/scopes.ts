import type { Rule } from './rules.ts'
import type { Scope } from './store-world.ts'

/** A scope with how far it is searched, and the rules without which the search has to find a fault. */
export interface Search {
  readonly scope: Scope
  /** Steps of the longest run that is tried; without it all there are. */
  readonly steps?: number
  readonly drops: readonly Rule[]
}

const PUT = { key: 'k', value: 'x' }
const PUT_AGAIN = { key: 'k', value: 'y' }
const DELETE = { key: 'k' }
const LOST = { key: 'k', value: 'z' }
const TWO = [0, 0]
const THREE = [0, 0, 0]

export const SEARCHES: readonly Search[] = [
  {
    scope: { name: '2 replicas: put, delete', wallsMs: TWO, writes: [PUT, DELETE] },
    drops: ['two rounds', 'union', 'own promise', 'old and covered are refused', 'whole answers'],
  },
  {
    scope: { name: '2 replicas: put, delete, put', wallsMs: TWO, writes: [PUT, DELETE, PUT_AGAIN] },
    drops: [],
  },
  {
    scope: { name: '2 replicas with skewed clocks, one crash', wallsMs: [0, 1], writes: [PUT, DELETE], crashes: 1 },
    steps: 6,
    drops: ['frontier on disk', 'clock on disk'],
  },
  {
    scope: { name: '2 replicas, batches that take time', wallsMs: TWO, writes: [PUT, DELETE], pipeline: true },
    drops: ['below what is in flight'],
  },
  {
    scope: { name: '2 replicas, a value that expires', wallsMs: TWO, writes: [{ ...PUT, expiresAtMs: 1 }], ticks: 2 },
    drops: ['one clock for all'],
  },
  {
    scope: { name: '2 replicas, the row of a tombstone is lost', wallsMs: TWO, writes: [PUT, DELETE], losses: 1 },
    drops: ['covered is refused'],
  },
  {
    scope: {
      name: '3 replicas, one loses the row of a tombstone, notices and mends',
      // So that A deletes what it has not seen.
      wallsMs: [1, 0, 0],
      writes: [
        { ...PUT, at: 'C' },
        { ...DELETE, at: 'A' },
      ],
      losses: 1,
      noticed: true,
    },
    steps: 7,
    drops: ['suspects are silent', 'vector contains', 'replaced'],
  },
  {
    scope: { name: '3 replicas: put, delete', wallsMs: THREE, writes: [PUT, DELETE] },
    steps: 5,
    drops: [],
  },
  {
    scope: { name: '2 replicas and one that joins', wallsMs: TWO, writes: [PUT, DELETE], joins: 1 },
    steps: 6,
    drops: ['stored before told', 'all for a joiner', 'no early writes'],
  },
  {
    scope: {
      name: '2 replicas, one is evicted and returns, late answers',
      wallsMs: TWO,
      writes: [PUT, DELETE],
      evictions: 1,
      lateAnswers: true,
    },
    steps: 6,
    drops: ['bound to an id'],
  },
  {
    scope: { name: '3 replicas, one is evicted', wallsMs: THREE, writes: [PUT, DELETE], evictions: 1 },
    steps: 4,
    drops: ['fence', 'marked publications'],
  },
  {
    scope: {
      name: '2 replicas, snapshots are taken in, also one of a lost third',
      wallsMs: TWO,
      writes: [PUT, DELETE],
      imports: true,
      lost: [{ ...LOST, counter: 1 }],
    },
    drops: ['above the promise'],
  },
  {
    scope: {
      name: '2 replicas, all is lost, one begins from a snapshot and takes others in, one joins',
      wallsMs: TWO,
      writes: [PUT, DELETE],
      imports: true,
      lost: [{ ...LOST, counter: 1 }],
      disasters: 1,
      joins: 1,
    },
    steps: 6,
    drops: ['frontier and clock of a snapshot'],
  },
]

/** Too wide to be searched: runs are drawn by chance. */
export const WIDE: readonly Scope[] = [
  {
    name: '3 replicas, two keys, a crash, a join, an eviction and a return, late answers, expiry',
    wallsMs: [0, 1, 0],
    writes: [PUT, { key: 'l', value: 'z', expiresAtMs: 2 }, DELETE, PUT_AGAIN, { key: 'l' }, DELETE],
    crashes: 1,
    joins: 1,
    evictions: 1,
    ticks: 3,
    lateAnswers: true,
  },
  {
    name: '2 replicas, two keys, two joins and two crashes, batches that take time, late answers',
    wallsMs: [1, 0],
    writes: [PUT, { key: 'l', value: 'z' }, DELETE, PUT_AGAIN, { key: 'l' }, DELETE],
    crashes: 2,
    joins: 2,
    pipeline: true,
    lateAnswers: true,
  },
]
