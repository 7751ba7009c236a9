import { performance } from 'node:perf_hooks'
import { setImmediate as nextTurn, setTimeout as rest } from 'node:timers/promises'

/** How long work in pieces may keep the event loop before others get a turn. Probes of the failure detector wait behind it. */
const TURN_MS = 5

/** Of work that goes on for as long as all the data takes: a write that waits behind it should hardly notice. */
const LONG_WORK_TURN_MS = 2
/** Such work has half of the time of a node that has nothing else to do, and a thirtieth of that of a busy one. */
const REST_MS_MIN = LONG_WORK_TURN_MS
const REST_MS_MAX = 64
/** Whoever is woken later than this had others before him. */
const LATE_MS = 2

/** Gives others a turn when it is time. */
export class Turns {
  readonly #turnMs: number
  /** How long it rests between two turns; `undefined` when it goes on at once. */
  #restMs: number | undefined
  #sinceMs = performance.now()

  private constructor(turnMs: number, restMs?: number) {
    this.#turnMs = turnMs
    this.#restMs = restMs
  }

  /** For work that somebody waits for. */
  static brisk(): Turns {
    return new Turns(TURN_MS)
  }

  /** For work that takes seconds and that nobody is in a hurry for: it rests the longer the more others have to do. */
  static leisurely(): Turns {
    return new Turns(LONG_WORK_TURN_MS, REST_MS_MIN)
  }

  /** Whether {@link Turns.give} is due: asking costs less than awaiting for nothing. */
  get due(): boolean {
    return performance.now() - this.#sinceMs > this.#turnMs
  }

  async give(): Promise<void> {
    if (this.#restMs === undefined) await nextTurn()
    else this.#restMs = await restAndLook(this.#restMs)
    this.#sinceMs = performance.now()
  }
}

/** Returns how long to rest next time. */
async function restAndLook(ms: number): Promise<number> {
  const startedMs = performance.now()
  await rest(ms)
  const lateMs = performance.now() - startedMs - ms
  return lateMs > LATE_MS ? Math.min(ms * 2, REST_MS_MAX) : Math.max(ms / 2, REST_MS_MIN)
}
