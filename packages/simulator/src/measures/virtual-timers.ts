import { setImmediate as settleEverything } from 'node:timers/promises'
import type { Timer } from '@grapevine/core'

interface Scheduled {
  readonly dueMs: number
  readonly order: number
  run: (() => void) | undefined
}

/** Time that passes as events come due; whatever one sets going settles before the next one runs. */
export class VirtualTimers {
  readonly #heap: Scheduled[] = []
  #nowMs = 0
  #made = 0

  get nowMs(): number {
    return this.#nowMs
  }

  after(delayMs: number, run: () => void): Timer {
    const scheduled: Scheduled = { dueMs: this.#nowMs + Math.max(delayMs, 0), order: this.#made++, run }
    this.#rise(scheduled)
    return { cancel: () => void (scheduled.run = undefined) }
  }

  async runUntil(untilMs: number): Promise<void> {
    for (let next = this.#heap[0]; next !== undefined && next.dueMs <= untilMs; next = this.#heap[0]) {
      this.#sink()
      if (next.run === undefined) continue
      this.#nowMs = next.dueMs
      next.run()
      await settleEverything()
    }
    this.#nowMs = untilMs
  }

  #rise(scheduled: Scheduled): void {
    let child = this.#heap.push(scheduled) - 1
    while (child > 0) {
      const parent = (child - 1) >>> 1
      const above = this.#heap[parent]
      if (above === undefined || isBefore(above, scheduled)) break
      this.#heap[child] = above
      child = parent
    }
    this.#heap[child] = scheduled
  }

  /** Takes the first one away: the last takes its place, and goes down to where it belongs. */
  #sink(): void {
    const last = this.#heap.pop()
    if (last === undefined || this.#heap.length === 0) return
    let parent = 0
    for (;;) {
      const left = 2 * parent + 1
      const [a, b] = [this.#heap[left], this.#heap[left + 1]]
      const child = b !== undefined && a !== undefined && isBefore(b, a) ? left + 1 : left
      const below = this.#heap[child]
      if (below === undefined || isBefore(last, below)) break
      this.#heap[parent] = below
      parent = child
    }
    this.#heap[parent] = last
  }
}

function isBefore(a: Scheduled, b: Scheduled): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order)
}
