import type { ReplicaId } from '@grapevine/core'

/**
 * With whom this run of the program has compared itself. Until it was everybody nothing is promised (frontier.md I2, R16): the
 * directory may be older than the replica is, and then others hold writes of it that it has lost. A promise above these
 * would have the frontier pass them while somebody lacks them, and their writer folded as if nobody did. Who has heard all that the
 * others have seen either has these writes again, or knows that it was rolled back.
 */
export class Acquaintance {
  readonly #heard = new Set<ReplicaId>()
  #isComplete: boolean

  /** @param isAlone whether there is nobody to hear, as for a founder; whoever joins later comes to this run. */
  constructor(isAlone: boolean) {
    this.#isComplete = isAlone
  }

  /** What it has got as a joiner is all from a run that was acquainted itself: what that one had lost would be missing here as well. */
  lostNothing(): void {
    this.#isComplete = true
  }

  /** All that this member had seen at some moment since the start is here. */
  heard(replica: ReplicaId): void {
    if (!this.#isComplete) this.#heard.add(replica)
  }

  /** Once it was everybody it stays so: what comes later comes to this run. */
  isComplete(others: readonly ReplicaId[]): boolean {
    this.#isComplete ||= others.every((replica) => this.#heard.has(replica))
    return this.#isComplete
  }

  isMissing(replica: ReplicaId): boolean {
    return !this.#isComplete && !this.#heard.has(replica)
  }
}
