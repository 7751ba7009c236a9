import type { Address, Digest, Entry, Hash, Hlc, Leaf, ShortHash, Store, StoreView, VectorRows } from '@grapevine/core'
import { partitionOfLeaf } from '@grapevine/core'
import { addDigest, entryDigest } from '@grapevine/merkle'
import type { ChangeMembership } from './membership-change.ts'
import type { ReplicaState } from './replica-state.ts'

/** The rows of a leaf, as the hash index leads to them. */
export interface LeafRows {
  readonly entries: readonly Entry[]
  /** Rows that an index names and that cannot be read, or are not there. */
  readonly unreadable: readonly Address[]
  /** Rows of the hash index that lead to the entry of another key. */
  readonly strays: readonly Digest[]
  /** Of what can be read. */
  readonly sum: Uint8Array
}

export async function readLeaf(leaf: Leaf, view: StoreView, hash: Hash): Promise<LeafRows> {
  const { entries, unreadable, strays } = await view.leaf(leaf)
  return { entries, unreadable, strays, sum: sumOf(entries, hash) }
}

export function sumOf(entries: readonly Entry[], hash: Hash): Uint8Array {
  const sum = new Uint8Array(32)
  for (const entry of entries) addDigest(sum, entryDigest(entry, hash))
  return sum
}

export interface LookContext {
  readonly store: Store
  readonly state: () => ReplicaState
  /** Used for its quiet moment: nothing is on its way to the disk while it decides. */
  readonly changeMembership: ChangeMembership
  readonly hash: Hash
}

/** A leaf with all that is said of it, of one moment. */
export interface LeafMoment extends LeafRows {
  /** Whether all can be read, and adds up to what the replica believes. */
  readonly isSound: boolean
  readonly vector: VectorRows
  readonly frontier: Hlc
  readonly roster: ShortHash
}

/**
 * Rows, sum, vector and frontier of one moment: the committer tells between two batches, when disk and memory are the same.
 *
 * @param use further questions to the same view.
 */
export async function quietLook(
  leaf: Leaf,
  { store, state, changeMembership, hash }: LookContext,
  use: (view: StoreView) => Promise<void> = async () => {},
): Promise<LeafMoment> {
  const quiet: { view?: StoreView; sum?: Uint8Array; about?: Omit<LeafMoment, keyof LeafRows | 'isSound'> } = {}
  await changeMembership(() => {
    const now = state()
    quiet.view = store.view()
    quiet.sum = now.sumOf(leaf).slice()
    quiet.about = {
      vector: now.vector(partitionOfLeaf(leaf)).rows(),
      frontier: now.frontier,
      roster: now.rosterHash(),
    }
    return {}
  })
  const { view, sum, about } = quiet
  if (view === undefined || sum === undefined || about === undefined) throw new Error('the committer has not decided')
  try {
    const rows = await readLeaf(leaf, view, hash)
    await use(view)
    return { ...rows, ...about, isSound: rows.unreadable.length === 0 && isSameSum(rows.sum, sum) }
  } finally {
    await view.close()
  }
}

export function isSameSum(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, index) => byte === b[index])
}
