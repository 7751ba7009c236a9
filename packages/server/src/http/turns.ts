import { performance } from 'node:perf_hooks'
import { setImmediate as nextTurn, setTimeout as rest } from 'node:timers/promises'

/** How long work in pieces may keep the event loop before others get a turn. Probes of the failure detector wait behind it. */
const TURN_MS = 5

/** Of work that goes on for as long as all the data takes: a write that waits behind it should hardly notice. */
const LONG_WORK_TURN_MS = 2

/** Gives others a turn when it is time. */
export class Turns {
  readonly #turnMs: number
  readonly #rests: boolean
  #sinceMs = performance.now()

  private constructor(turnMs: number, rests: boolean) {
    this.#turnMs = turnMs
    this.#rests = rests
  }

  /** For work that somebody waits for. */
  static brisk(): Turns {
    return new Turns(TURN_MS, false)
  }

  /** For work that takes seconds and that nobody is in a hurry for: it rests for as long as it works. */
  static leisurely(): Turns {
    return new Turns(LONG_WORK_TURN_MS, true)
  }

  /** Whether {@link Turns.give} is due: asking costs less than awaiting for nothing. */
  get due(): boolean {
    return performance.now() - this.#sinceMs > this.#turnMs
  }

  async give(): Promise<void> {
    // What was waited for meanwhile, the disk or whoever reads, was no work.
    if (this.#rests) await rest(Math.min(performance.now() - this.#sinceMs, 2 * this.#turnMs))
    else await nextTurn()
    this.#sinceMs = performance.now()
  }
}
