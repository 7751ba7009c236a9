import type { Clock } from '@grapevine/core'

/** Where the wall clocks of a run begin. */
export const EPOCH_MS: number = Date.UTC(2026, 0, 1)

/** The clock of one machine. The wall clock is whatever the faults make of it; the monotonic one is honest. */
export class NodeClock implements Clock {
  readonly #trueMs: () => number
  /** The wall clock was so much ahead of true time … */
  #offsetMs: number
  /** … at this moment, and gains so many milliseconds a millisecond since. */
  #sinceMs: number
  #gain: number

  constructor(trueMs: () => number, { offsetMs = 0, driftPpm = 0 }: { offsetMs?: number; driftPpm?: number } = {}) {
    this.#trueMs = trueMs
    this.#offsetMs = offsetMs
    this.#gain = driftPpm / 1_000_000
    this.#sinceMs = trueMs()
  }

  wallMs(): number {
    return Math.floor(EPOCH_MS + this.#trueMs() + this.offsetMs)
  }

  monotonicMs(): number {
    return this.#trueMs()
  }

  /** How far the wall clock is ahead of true time. */
  get offsetMs(): number {
    return this.#offsetMs + (this.#trueMs() - this.#sinceMs) * this.#gain
  }

  step(byMs: number): void {
    this.#set(this.offsetMs + byMs, this.#gain)
  }

  drift(ppm: number): void {
    this.#set(this.offsetMs, ppm / 1_000_000)
  }

  /** Stands still from now on. */
  freeze(): void {
    this.#set(this.offsetMs, -1)
  }

  /** As after a time server was reached: right to within so much, and going at the right speed. */
  correct(offsetMs = 0): void {
    this.#set(offsetMs, 0)
  }

  #set(offsetMs: number, gain: number): void {
    this.#offsetMs = offsetMs
    this.#sinceMs = this.#trueMs()
    this.#gain = gain
  }
}
