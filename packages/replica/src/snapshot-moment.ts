import type { Digest, Hlc, Identity, Store, StoreView, Timers, Totals, VectorRows, WriterId } from '@grapevine/core'
import { errorOf } from './arrival.ts'
import type { Committer } from './committer.ts'
import { freshTree } from './fresh-tree.ts'

/** All that a replica is at one moment between two of its batches: what a snapshot holds (frontier.md R18). */
export interface SnapshotMoment {
  readonly identity: Identity | undefined
  /** H: what this replica had promised. */
  readonly promise: Hlc
  readonly clock: Hlc
  /** F. */
  readonly frontier: Hlc
  readonly folded: readonly WriterId[]
  /** V, one for each partition. */
  readonly vectors: readonly VectorRows[]
  /** Over every row of the view, also those that the frontier makes absent and that are not dropped yet. */
  readonly root: Digest
  readonly totals: Totals
  /** The rows of the same moment. Holds back compaction: close it. */
  readonly view: StoreView
}

/**
 * A view of the store and the state in memory that are taken in one turn are not of one moment: a batch may be on disk of which
 * the memory does not know yet. So this waits in the committer's queue until no batch is under way.
 */
export async function takeMoment(committer: Committer, store: Store, timers: Timers): Promise<SnapshotMoment> {
  // What has changed since is all that is left to hash in the turn of the moment itself.
  await freshTree(committer.state, timers)
  return new Promise((settle, reject) => {
    committer.submit({
      kind: 'look',
      look: (state) => {
        const { promise, vectors } = state.publication()
        settle({
          identity: state.identity,
          promise,
          clock: state.clock.now,
          frontier: state.frontier,
          folded: state.foldedRows(),
          vectors: vectors.map((vector) => vector.rows()),
          root: state.tree.root(),
          totals: state.totals,
          view: store.view(),
        })
      },
      fail: (failure) => reject(errorOf(failure)),
    })
  })
}
