import { compareHlc, type Hlc, type Partition, type VectorRows } from '@grapevine/core'
import { FatalError } from './fatal-error.ts'
import type { ReplicaState } from './replica-state.ts'

/**
 * Notices that this replica's directory is older than the replica is: restored from a backup, rolled back with a virtual
 * machine's disk, copied (frontier.md R16). Then it is no replica any more. Two things give it away at the first contact:
 *
 * - A frontier is never above what any member had promised when it was decided, and no promise is above what its maker had
 *   reserved on its disk. So a frontier above what was reserved here at the start, before anything was published in this run,
 *   rests on a promise that this directory does not know of.
 * - Of the writers that this replica was before nobody can have seen more than itself.
 */
export class RollbackWatch {
  readonly #promiseAtStart: Hlc
  #hasPublished = false

  constructor(promiseAtStart: Hlc) {
    this.#promiseAtStart = promiseAtStart
  }

  /** What is promised from now on is known here. */
  published(): void {
    this.#hasPublished = true
  }

  /** Whether somebody's frontier shows it. */
  isShownBy(frontier: Hlc): boolean {
    return !this.#hasPublished && compareHlc(frontier, this.#promiseAtStart) > 0
  }

  /** Whether what somebody has seen of this replica's own writes shows it. */
  isShownByClaims(claims: readonly (readonly [Partition, VectorRows])[], state: ReplicaState): boolean {
    const { closed } = state
    if (closed.length === 0) return false
    return claims.some(([partition, rows]) =>
      rows.some(([writer, seqs]) => closed.includes(writer) && !state.vector(partition).contains([[writer, seqs]])),
    )
  }
}

export function rolledBackError(name: string): FatalError {
  return new FatalError(
    'rolled_back',
    `the data directory of this node (${name}) is older than what the other members know of it: it was restored from a ` +
      `backup, or its disk was rolled back. Start it with --rebuild: the directory is moved aside, and the node joins anew.`,
  )
}
