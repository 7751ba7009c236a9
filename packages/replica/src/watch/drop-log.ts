import {
  laterHlc,
  purgeableAt,
  type Address,
  type Dot,
  type Entry,
  type Hlc,
  type Partition,
  type Version,
} from '@grapevine/core'

/** Of a key that was purged: what somebody who has not heard of it is still to be told. */
export interface Drop {
  readonly type: 'delete' | 'expire'
  readonly address: Address
  readonly partition: Partition
  readonly version: Version
  readonly dot: Dot
  readonly expiresAtMs: number
}

/** Kept in memory, about 8 MiB of them: whoever comes back within that many purges misses none. */
const DROPS_MAX = 32_768

/**
 * What was purged lately. Its rows are gone, so nobody who resumes could be told of it from the store. Of what went before
 * {@link DropLog.begin} nothing is known any more.
 */
export class DropLog {
  readonly #drops: { readonly drop: Drop; readonly at: Hlc }[] = []
  #first = 0
  #begin: Hlc

  /** @param frontier up to which the store had dropped when this process began. */
  constructor(frontier: Hlc) {
    this.#begin = frontier
  }

  /** No tombstone or expired entry above it has been forgotten. */
  get begin(): Hlc {
    return this.#begin
  }

  note(entry: Entry, drop: Drop): void {
    this.#drops.push({ drop, at: purgeableAt(entry) ?? entry.version.hlc })
    if (this.#drops.length - this.#first <= DROPS_MAX) return
    const oldest = this.#drops[this.#first++]
    if (oldest !== undefined) this.#begin = laterHlc(this.#begin, oldest.at)
    // Moved together now and then, not at each step.
    if (this.#first < DROPS_MAX) return
    this.#drops.splice(0, this.#first)
    this.#first = 0
  }

  *[Symbol.iterator](): Generator<Drop, void> {
    for (let index = this.#first; index < this.#drops.length; index++) {
      const noted = this.#drops[index]
      if (noted !== undefined) yield noted.drop
    }
  }
}
