import type { ReplicaId } from '../version/version.ts'

/** `reached` and `impossible` are final. */
export type Verdict = 'reached' | 'waiting' | 'impossible'

/** How many members must hold a write: `quorum` and `all` count every member, dead or alive. */
export type WriteConcern = number | 'quorum' | 'all'

export function acksNeeded(w: WriteConcern, members: number): number {
  if (w === 'all') return members
  return w === 'quorum' ? Math.floor(members / 2) + 1 : w
}

/** Counts the replicas that hold one write durably. The coordinator itself is the first of them. */
export class Tally {
  readonly needed: number
  readonly #waitingFor: Set<ReplicaId>
  #acks = 1

  constructor(needed: number, asked: Iterable<ReplicaId>) {
    this.needed = needed
    this.#waitingFor = new Set(asked)
  }

  get acks(): number {
    return this.#acks
  }

  get verdict(): Verdict {
    if (this.#acks >= this.needed) return 'reached'
    return this.#acks + this.#waitingFor.size < this.needed ? 'impossible' : 'waiting'
  }

  /** Each replica that was asked counts once, whichever of several messages carried the write to it. */
  record(replica: ReplicaId, holds: boolean): Verdict {
    if (this.#waitingFor.delete(replica) && holds) this.#acks++
    return this.verdict
  }
}
