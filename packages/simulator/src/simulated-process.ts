import type { Timer, Timers } from '@grapevine/core'
import type { EventQueue } from './event-queue.ts'

/**
 * One run of a program on a machine. Timers, disk and network reach it through {@link SimulatedProcess.enter} alone, so
 * that nothing moves in a dead process, and everything waits at the door of a frozen one.
 */
export class SimulatedProcess implements Timers {
  readonly #queue: EventQueue
  /** Never the same for two processes of a run. */
  readonly id: number
  #alive = true
  #frozen = false
  #waiting: (() => void)[] = []

  constructor(queue: EventQueue, id: number) {
    this.#queue = queue
    this.id = id
  }

  get isAlive(): boolean {
    return this.#alive
  }

  get isFrozen(): boolean {
    return this.#frozen
  }

  after(delayMs: number, run: () => void): Timer {
    let cancelled = false
    const timer = this.#queue.after(delayMs, () => this.enter(() => cancelled || run()))
    return {
      cancel: () => {
        cancelled = true
        timer.cancel()
      },
    }
  }

  /** Resolves after so much time, and never in a dead process. */
  pass(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(delayMs, resolve)
    })
  }

  /** Something from outside happens to this process. */
  enter(run: () => void): void {
    if (!this.#alive) return
    if (this.#frozen) this.#waiting.push(run)
    else run()
  }

  /** Gone, without a word. */
  kill(): void {
    this.#alive = false
    this.#waiting = []
  }

  freeze(): void {
    this.#frozen = true
  }

  /** What came meanwhile happens now, one after the other. */
  thaw(): void {
    if (!this.#frozen) return
    this.#frozen = false
    for (const run of this.#waiting.splice(0)) this.#queue.after(0, () => this.enter(run))
  }
}
