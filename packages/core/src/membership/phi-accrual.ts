/** Enough to know a peer's habit, little enough to learn a new one within minutes. */
const INTERVALS_MAX = 64
/** What we assume of a peer before it has a habit: one probe interval, give or take. */
const FIRST_INTERVAL_MS = 1_000
/** Messages closer together are one contact: a burst says nothing about how often the peer comes. */
const BURST_MS = 100
/** Contacts at regular times would make the slightest lateness look like death. */
const DEVIATION_MS_MIN = 250
/** Beyond this the tail of the distribution is below what a number can hold. */
export const PHI_MAX = 16

/**
 * The φ accrual failure detector (Hayashibara et al. 2004) for one peer: how surprising its silence is, as
 * −log10 of the probability that it still comes. It only ranks peers for routing; states come from probes.
 */
export class PhiAccrual {
  readonly #intervals: number[] = []
  #lastMs: number | undefined
  /** Of the intervals as they are: peers are ranked much more often than they come. */
  #habit: { readonly mean: number; readonly deviation: number } | undefined

  contact(nowMs: number): void {
    const interval = nowMs - (this.#lastMs ?? nowMs)
    this.#lastMs = nowMs
    if (interval <= BURST_MS) return
    this.#habit = undefined
    this.#intervals.push(interval)
    if (this.#intervals.length > INTERVALS_MAX) this.#intervals.shift()
  }

  /** 0 for a peer from which nothing was ever heard: there is no habit to compare with. */
  phi(nowMs: number): number {
    if (this.#lastMs === undefined) return 0
    this.#habit ??= habitOf(this.#intervals.length === 0 ? [FIRST_INTERVAL_MS] : this.#intervals)
    const { mean, deviation } = this.#habit
    const late = (nowMs - this.#lastMs - mean) / Math.max(deviation, DEVIATION_MS_MIN, mean / 4)
    return Math.min(-Math.log10(normalTail(late)), PHI_MAX)
  }
}

/** The chance that a normal variable exceeds `x`: the logistic approximation of Bowling et al. 2009, ± 0.0002. */
function normalTail(x: number): number {
  const exponent = 1.5976 * x + 0.07056 * x ** 3
  return 1 / (1 + Math.exp(Math.min(exponent, 40)))
}

function habitOf(intervals: readonly number[]): { readonly mean: number; readonly deviation: number } {
  const mean = average(intervals)
  return { mean, deviation: Math.sqrt(average(intervals.map((interval) => (interval - mean) ** 2))) }
}

function average(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length
}
