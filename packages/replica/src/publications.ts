import {
  acknowledgements,
  advanceFrontier,
  membersOf,
  type Acknowledgement,
  type Barrier,
  type Publication,
  type ReplicaId,
  type Roster,
} from '@grapevine/core'
import type { FrontierStep, Hlc } from '@grapevine/core'

/**
 * The latest publication of each member and the barrier under way (frontier.md R9). Only in memory: after a restart they are
 * collected anew, which costs a round and no safety.
 */
export class Publications {
  readonly #latest = new Map<ReplicaId, Publication>()
  readonly #unacquainted = new Set<ReplicaId>()
  #barrier: Barrier | undefined

  get latest(): ReadonlyMap<ReplicaId, Publication> {
    return this.#latest
  }

  note(publication: Publication): void {
    this.#latest.set(publication.replica, publication)
    this.#unacquainted.delete(publication.replica)
  }

  /** It was asked, and would not publish yet. */
  noteUnacquainted(replica: ReplicaId): void {
    this.#unacquainted.add(replica)
  }

  /** One step of the frontier on what was published so far. What it raises has yet to be stored. */
  step(roster: Roster, frontier: Hlc): FrontierStep {
    const members = new Set(membersOf(roster))
    for (const replica of this.#latest.keys()) if (!members.has(replica)) this.#latest.delete(replica)
    const step = advanceFrontier({ roster, frontier, barrier: this.#barrier, publications: this.#latest })
    this.#barrier = step.barrier
    return step
  }

  /** What each member has said so far that lets the frontier pass `need`, and what is still wanting of it. */
  acknowledgements(need: Hlc, roster: Roster): readonly Acknowledgement[] {
    const said = acknowledgements(need, { roster, barrier: this.#barrier, publications: this.#latest })
    return said.map((each) =>
      each.waits !== undefined && this.#unacquainted.has(each.replica) ? { ...each, waits: 'unacquainted' } : each,
    )
  }
}
