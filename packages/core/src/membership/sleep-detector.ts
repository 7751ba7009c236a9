/**
 * Tells whether this process was itself asleep: stopped, starved of the processor, or stuck in one task. Then
 * what it did not hear proves nothing about others (F21).
 */
export class SleepDetector {
  readonly #toleranceMs: number
  #expectedMs = Number.POSITIVE_INFINITY

  /**
   * @param probeTimeoutMs half of it is tolerated. Timers run before sockets are read, so a stall that
   * swallows a large part of a probe's time-out makes an answer that came in time look like silence.
   */
  constructor(probeTimeoutMs: number) {
    this.#toleranceMs = probeTimeoutMs / 2
  }

  /** The next tick is due at this time. */
  expect(tickMs: number): void {
    this.#expectedMs = tickMs
  }

  /** How long we slept, or 0. Each sleep is told once, to whoever asks first: that need not be the tick. */
  slept(nowMs: number): number {
    const lateMs = nowMs - this.#expectedMs
    if (lateMs <= this.#toleranceMs) return 0
    this.#expectedMs = nowMs
    return lateMs
  }
}
