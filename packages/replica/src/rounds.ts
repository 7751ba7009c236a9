import { sleep } from './sleep.ts'
import { RefusalError, UnreachableError, type Log, type Random, type Timer, type Timers } from '@grapevine/core'

export interface RoundsContext {
  readonly timers: Timers
  readonly random: Random
  readonly log: Log
}

/** Jitter, so that nodes that were started together do not act together for ever. */
const JITTER = 0.2
const STOP_MS = 1_000

/** The things a replica does again and again, each after the last one of its kind has ended. */
export class Rounds {
  readonly #context: RoundsContext
  readonly #timers = new Set<Timer>()
  readonly #running = new Set<Promise<void>>()
  #stopped = false

  constructor(context: RoundsContext) {
    this.#context = context
  }

  /**
   * Runs `round` each `intervalMs()` ± 20 %, the first time after one interval. Calling what it returns takes a
   * shorter interval into account at once, instead of after the next round; it tells whether it could, which it cannot
   * while a round is under way.
   */
  every(name: string, intervalMs: () => number, round: () => Promise<void>): () => boolean {
    const { timers, random } = this.#context
    let waiting: Timer | undefined
    const schedule = (): void => {
      if (this.#stopped) return
      const delayMs = intervalMs() * (1 - JITTER + random.next() * JITTER * 2)
      const timer = timers.after(delayMs, () => {
        this.#timers.delete(timer)
        waiting = undefined
        this.run(name, round, schedule)
      })
      this.#timers.add(timer)
      waiting = timer
    }
    schedule()
    return () => {
      if (waiting === undefined) return false
      waiting.cancel()
      this.#timers.delete(waiting)
      schedule()
      return true
    }
  }

  /** Runs `round` now, beside everything else. What the network did to it is expected; a bug is not. */
  run(name: string, round: () => Promise<void>, afterwards: () => void = () => {}): void {
    const running: Promise<void> = round()
      .catch((error: unknown) => {
        const isExpected = error instanceof UnreachableError || error instanceof RefusalError
        if (!isExpected && !this.#stopped)
          this.#context.log.error('round-failed', { round: name, error: errorText(error) })
      })
      .then(() => {
        this.#running.delete(running)
        afterwards()
      })
    this.#running.add(running)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    for (const timer of this.#timers) timer.cancel()
    // A round that waits for a silent peer is not worth waiting for: it leaves nothing behind.
    await Promise.race([Promise.all(this.#running), sleep(this.#context.timers, STOP_MS)])
  }
}

function errorText(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
