import {
  advanceFrontier,
  membersOf,
  type Barrier,
  type Hold,
  type Publication,
  type ReplicaId,
  type Roster,
} from '@grapevine/core'
import type { FrontierStep, Hlc } from '@grapevine/core'

/** Why the frontier waits for a member, and since when. */
export interface HeldBack extends Hold {
  /** By the monotonic clock. */
  readonly sinceMs: number
}

/**
 * The latest publication of each member and the barrier under way (frontier.md R9). Only in memory: after a restart they are
 * collected anew, which costs a round and no safety.
 */
export class Publications {
  readonly #latest = new Map<ReplicaId, Publication>()
  #barrier: Barrier | undefined
  #holds: readonly HeldBack[] = []

  get latest(): ReadonlyMap<ReplicaId, Publication> {
    return this.#latest
  }

  get holds(): readonly HeldBack[] {
    return this.#holds
  }

  note(publication: Publication): void {
    this.#latest.set(publication.replica, publication)
  }

  /** One step of the frontier on what was published so far. What it raises has yet to be stored. */
  step(roster: Roster, frontier: Hlc, nowMs: number): FrontierStep {
    const members = new Set(membersOf(roster))
    for (const replica of this.#latest.keys()) if (!members.has(replica)) this.#latest.delete(replica)
    const step = advanceFrontier({ roster, frontier, barrier: this.#barrier, publications: this.#latest })
    this.#barrier = step.barrier
    this.#holds = step.holds.map((hold) => ({ ...hold, sinceMs: this.#heldSince(hold) ?? nowMs }))
    return step
  }

  #heldSince({ replica }: Hold): number | undefined {
    return this.#holds.find((hold) => hold.replica === replica)?.sinceMs
  }
}
