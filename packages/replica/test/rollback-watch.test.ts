import { HLC_ZERO, type Hlc } from '@grapevine/core'
import { expect, it } from 'vitest'
import { RollbackWatch } from '../src/rollback-watch.ts'
import { ReplicaState } from '../src/replica-state.ts'
import { sha256 } from './small-cluster.ts'
import { VersionVector } from '@grapevine/core'

const at = (wallMs: number): Hlc => ({ wallMs, counter: 0 })
const [OWN, NOW, OTHER] = ['a', 'b', 'c'].map((digit) => digit.repeat(16)) as [string, string, string]

function stateWith(rows: readonly (readonly [string, readonly number[]])[]): ReplicaState {
  const vectors = Array.from({ length: 256 }, () => VersionVector.of(rows))
  const stored = {
    identity: undefined,
    roster: { known: [], evicted: [] },
    peers: [],
    reserve: at(100),
    sums: new Uint8Array(65_536 * 32),
    vectors,
    totals: { values: 0, tombstones: 0, bytes: 0, tombstoneBytes: 0 },
    rebuilds: 0,
    frontier: HLC_ZERO,
    folded: [],
    writers: [OWN],
    replayedBatches: 0,
  }
  return new ReplicaState(stored, NOW, sha256)
}

it('is shown by a frontier that rests on a promise this directory does not know', () => {
  const watch = new RollbackWatch(at(100))
  expect([watch.isShownBy(at(100)), watch.isShownBy(at(101))]).toEqual([false, true])
  // What is published from now on raises frontiers by right.
  watch.published()
  expect(watch.isShownBy(at(101))).toBe(false)
})

it('is shown by writes of its own that others have seen and it has not', () => {
  const watch = new RollbackWatch(at(100))
  const state = stateWith([[OWN, [1, 5]]])
  expect(watch.isShownByClaims([[7, [[OWN, [1, 5]]]]], state)).toBe(false)
  expect(watch.isShownByClaims([[7, [[OTHER, [1, 9]]]]], state)).toBe(false)
  expect(watch.isShownByClaims([[7, [[OWN, [1, 6]]]]], state)).toBe(true)
})
