import type { ReplicaId } from '../version/version.ts'

/**
 * The least time a suspect has to refute, in probe intervals. SWIM's usual 4·log10(n + 1) is 2.4 intervals for
 * three members, and Lifeguard's longest is six times that. Neither keeps both halves of P10, at 1 s intervals:
 *
 * - A node paused for 5 s is suspected no sooner than 0.5 s after it stopped (one probe's time-out; 1 s where
 *   somebody can be asked to probe it), and needs up to half a second after waking to learn of it and refute:
 *   5 + 0.5 − 0.5 = 5 intervals, and half of one to spare.
 * - A crash is first probed within about 2 s and suspected 1.25 s later. That leaves 10 − 3.25 = 6.75 intervals for
 *   the longest suspicion and for the news of its end, hence {@link LONGEST_TO_LEAST}: 5.5 × 1.2 = 6.6, which
 *   the first confirmations shorten.
 */
const LEAST_INTERVALS = 5.5
/** How much longer we wait while nobody else agrees. */
const LONGEST_TO_LEAST = 1.2
/** So many confirmations bring it down to the least (K of Lifeguard §IV-B). */
const CONFIRMATIONS_MAX = 3

/**
 * How long a suspect may take to refute (Lifeguard §IV-B, Dadgar et al. 2018): from longest to least as the logarithm of
 * the confirmations. Our own bad health does not stretch it, unlike probes, or P10 would not hold.
 */
export function suspicionTimeoutMs(members: number, intervalMs: number, confirmations: number): number {
  const leastMs = Math.max(LEAST_INTERVALS, 4 * Math.log10(members + 1)) * intervalMs
  const longestMs = leastMs * LONGEST_TO_LEAST
  // In a cluster too small for others to confirm, waiting for them would only cost time.
  const expected = Math.min(CONFIRMATIONS_MAX, members - 2)
  if (expected <= 0) return leastMs
  const share = Math.log(confirmations + 1) / Math.log(expected + 1)
  return Math.max(leastMs, longestMs - (longestMs - leastMs) * share)
}

/** That one member is suspected, and since when. */
export class Suspicion {
  readonly #accusers: Set<ReplicaId>
  readonly #members: number
  readonly #intervalMs: number
  readonly #awaitsOthers: boolean
  #startMs: number
  #notBeforeMs = 0

  /** @param awaitsOthers whether to wait longer while nobody else agrees; SWIM before Lifeguard did not. */
  constructor(accuser: ReplicaId, startMs: number, members: number, intervalMs: number, awaitsOthers = true) {
    this.#accusers = new Set([accuser])
    this.#startMs = startMs
    this.#members = members
    this.#intervalMs = intervalMs
    this.#awaitsOthers = awaitsOthers
  }

  /** When the suspect is to be declared dead. */
  get deadlineMs(): number {
    const confirmations = this.#awaitsOthers ? this.#accusers.size - 1 : CONFIRMATIONS_MAX
    const timeoutMs = suspicionTimeoutMs(this.#members, this.#intervalMs, confirmations)
    return Math.max(this.#startMs + timeoutMs, this.#notBeforeMs)
  }

  /**
   * Somebody else tells us the same. An update does not say who first accused, so one who only passes it on
   * counts too. That is safe, since the least time is long enough by itself.
   */
  confirm(accuser: ReplicaId): void {
    this.#accusers.add(accuser)
  }

  isAccusedBy(replica: ReplicaId): boolean {
    return this.#accusers.has(replica)
  }

  /** The suspect showed a sign of life, so it must get the time of one more probe to refute. */
  holdUntil(ms: number): void {
    this.#notBeforeMs = Math.max(this.#notBeforeMs, ms)
  }

  /** We were asleep for so long, and could not have heard a refutation. */
  shift(ms: number): void {
    this.#startMs += ms
  }
}
