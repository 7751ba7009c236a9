import { performance } from 'node:perf_hooks'
import { setImmediate as nextTurn } from 'node:timers/promises'

/** How long work in pieces may keep the event loop before others get a turn. Probes of the failure detector wait behind it. */
const TURN_MS = 5

/** Gives others a turn when it is time. */
export class Turns {
  #sinceMs = performance.now()

  /** Whether {@link Turns.give} is due: asking costs less than awaiting for nothing. */
  get due(): boolean {
    return performance.now() - this.#sinceMs > TURN_MS
  }

  async give(): Promise<void> {
    await nextTurn()
    this.#sinceMs = performance.now()
  }
}
