import { compareHlc, HLC_ZERO, laterHlc, successorOf, type Hlc } from './hlc.ts'

/**
 * How far ahead of the wall clock a reading is reserved on disk. Less than the permitted drift, or the first writes after
 * a crash would be parked by everybody else; more than a commit takes, or each commit would carry a new reserve.
 *
 * It is counted from the wall clock and not from the last reading: a restart begins at the reserve, so each crash of a loop
 * would otherwise push the clock further ahead.
 */
export const RESERVE_AHEAD_MS = 2_000

/**
 * The clock of one replica. It never goes back: not when the wall clock does, and not over a restart, because
 * whoever commits writes {@link HybridClock.reserveFor} in the same batch as what was stamped.
 *
 * Invariant: `now ≤ reserved` whenever nothing is being committed, and `reserved` is on disk.
 */
export class HybridClock {
  #now: Hlc
  #reserved: Hlc

  /** @param reserved the reserve found on disk: everything up to it may have been given out before. */
  constructor(reserved: Hlc = HLC_ZERO) {
    this.#now = reserved
    this.#reserved = reserved
  }

  /** The greatest reading given out or witnessed. */
  get now(): Hlc {
    return this.#now
  }

  /** A reading greater than every one before it, and than `floor`: the version held, or a client's token. */
  tick(wallMs: number, floor: Hlc = HLC_ZERO): Hlc {
    const least = successorOf(laterHlc(this.#now, floor))
    const wall: Hlc = { wallMs, counter: 0 }
    this.#now = laterHlc(least, wall)
    return this.#now
  }

  /** Rises to what came from elsewhere (frontier.md R6). The drift was checked before. */
  witness(hlc: Hlc): void {
    this.#now = laterHlc(this.#now, hlc)
  }

  /**
   * The reserve to write with the next batch, or `undefined` while the one on disk still covers the clock. While the clock is
   * ahead of the wall clock by more than {@link RESERVE_AHEAD_MS} each batch carries one, and it is no more than is in use.
   */
  reserveFor(wallMs: number): Hlc | undefined {
    if (compareHlc(this.#now, this.#reserved) <= 0) return undefined
    return laterHlc(this.#now, { wallMs: Math.floor(wallMs) + RESERVE_AHEAD_MS, counter: 0 })
  }

  /** The batch with this reserve is on disk. */
  reserved(reserve: Hlc): void {
    this.#reserved = laterHlc(this.#reserved, reserve)
  }
}
