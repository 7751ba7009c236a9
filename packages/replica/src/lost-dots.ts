import { VersionVector, type Partition, type VectorRows } from '@grapevine/core'

/** Each takes some hundred bytes. What is forgotten is found out again, by asking every member. */
const ROWS_MAX = 4_096

/**
 * Dots that no member has. Whoever numbered them was evicted before it could pass them on, so nobody will ever have them,
 * and a session that has seen them waits for nothing. Only in memory: it is found out anew.
 */
export class LostDots {
  readonly #lost = new Map<Partition, VersionVector>()
  #rows = 0

  note(partition: Partition, rows: VectorRows): void {
    if (this.#rows + rows.length > ROWS_MAX) {
      this.#lost.clear()
      this.#rows = 0
    }
    this.#rows += rows.length
    const vector = this.#lost.get(partition) ?? new VersionVector()
    vector.adopt(rows)
    this.#lost.set(partition, vector)
  }

  of(partition: Partition): VersionVector | undefined {
    return this.#lost.get(partition)
  }
}
