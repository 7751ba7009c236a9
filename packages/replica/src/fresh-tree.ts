import type { Timers } from '@grapevine/core'
import type { HashTree } from '@grapevine/merkle'
import { yieldToOthers } from './sleep.ts'
import type { ReplicaState } from './replica-state.ts'

/** Leaves rehashed before everybody else has a turn: a few milliseconds of hashing. */
const LEAVES_PER_SLICE = 2_048

/** Brings the tree up to date in slices. What changes during the last of them is rehashed by whoever reads. */
export async function freshTree({ tree }: ReplicaState, timers: Timers): Promise<HashTree> {
  while (tree.refreshSome(LEAVES_PER_SLICE)) await yieldToOthers(timers)
  return tree
}
