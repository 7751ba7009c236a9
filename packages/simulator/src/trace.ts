import { createHash } from 'node:crypto'

/** Lines are hashed so many at a time. */
const LINES_PER_UPDATE = 512

/**
 * Everything that happened in a run, as one hash: equal hashes are equal runs. What is noted is what the code under
 * test did to the world, in the order in which it did it.
 */
export class Trace {
  readonly #hash = createHash('sha256')
  #lines: string[] = []

  note(...fields: readonly (string | number)[]): void {
    this.#lines.push(fields.join(' '))
    if (this.#lines.length >= LINES_PER_UPDATE) this.#flush()
  }

  /** So far; the trace goes on. */
  digest(): string {
    this.#flush()
    return this.#hash.copy().digest('hex')
  }

  #flush(): void {
    this.#hash.update(this.#lines.join('\n'))
    this.#hash.update('\n')
    this.#lines = []
  }
}
