/**
 * By when replicas have to agree. P3 counts from when the last node is back; and a node that finds out only then that it is no
 * member any more comes back once more, as an empty one. Twice as long is the most: who begins anew again and again never heals.
 */
export class HealingDeadline {
  readonly #graceMs: number
  readonly #lastMs: number
  #atMs: number

  /** @param beganMs when faults had ended; @param atMs the deadline, as far as it is known then. */
  constructor(beganMs: number, atMs: number) {
    this.#graceMs = atMs - beganMs
    this.#lastMs = atMs + this.#graceMs
    this.#atMs = atMs
  }

  get atMs(): number {
    return this.#atMs
  }

  /** A node has started at this moment. */
  started(atMs: number): void {
    this.#atMs = Math.min(this.#lastMs, Math.max(this.#atMs, atMs + this.#graceMs))
  }
}
