import type { Random } from '../ports.ts'
import type { ReplicaId } from '../version/version.ts'
import { shuffled } from './sample.ts'

/**
 * Whom to probe next: the randomised round robin of SWIM §4.3. Every member has its turn once a cycle, so two
 * turns of one are at most 2n − 1 apart; with a free draw each time they could be any time apart.
 */
export class ProbeOrder {
  readonly #random: Random
  #cycle: ReplicaId[] = []
  #next = 0

  constructor(random: Random) {
    this.#random = random
  }

  /** The next of those that may be probed now. Newcomers are inserted at a random place of the cycle. */
  next(candidates: readonly ReplicaId[]): ReplicaId | undefined {
    if (candidates.length === 0) return undefined
    for (const candidate of candidates) if (!this.#cycle.includes(candidate)) this.#insert(candidate)

    const eligible = new Set(candidates)
    for (;;) {
      if (this.#next >= this.#cycle.length) this.#begin(candidates)
      const replica = this.#cycle[this.#next]
      this.#next += 1
      if (replica !== undefined && eligible.has(replica)) return replica
    }
  }

  /** Up to `count` different ones. */
  take(count: number, candidates: readonly ReplicaId[]): ReplicaId[] {
    const chosen = new Set<ReplicaId>()
    while (chosen.size < Math.min(count, candidates.length)) {
      const replica = this.next(candidates)
      if (replica !== undefined) chosen.add(replica)
    }
    return [...chosen]
  }

  #begin(candidates: readonly ReplicaId[]): void {
    this.#cycle = shuffled(candidates, this.#random)
    this.#next = 0
  }

  #insert(newcomer: ReplicaId): void {
    const place = Math.floor(this.#random.next() * (this.#cycle.length + 1))
    this.#cycle.splice(place, 0, newcomer)
    // What came before the cursor has had its turn; the cursor must not slip back onto it.
    if (place < this.#next) this.#next += 1
  }
}
