import { setImmediate as settleEverything } from 'node:timers/promises'
import type { Clock, Timer, Timers } from '@grapevine/core'

interface Scheduled {
  readonly dueMs: number
  readonly order: number
  readonly run: () => void
}

/**
 * Time that passes only when told to. Timers run in order of their due times, equal ones in order of their making, and
 * whatever a timer sets going settles before the next one runs.
 */
export class VirtualTime implements Clock, Timers {
  /** What the wall clock is ahead of the monotonic one: change it to let the wall clock jump. */
  wallOffsetMs: number = Date.UTC(2026, 0, 1)
  readonly #heap: Scheduled[] = []
  readonly #cancelled = new WeakSet<Scheduled>()
  #nowMs = 0
  #made = 0

  wallMs(): number {
    return this.#nowMs + this.wallOffsetMs
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  after(delayMs: number, run: () => void): Timer {
    this.#made += 1
    const scheduled = { dueMs: this.#nowMs + Math.max(delayMs, 0), order: this.#made, run }
    push(this.#heap, scheduled)
    return { cancel: () => void this.#cancelled.add(scheduled) }
  }

  /** Lets so much time pass. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms
    await settleEverything()
    for (let next = this.#heap[0]; next !== undefined && next.dueMs <= untilMs; next = this.#heap[0]) {
      pop(this.#heap)
      if (this.#cancelled.has(next)) continue
      this.#nowMs = Math.max(this.#nowMs, next.dueMs)
      next.run()
      await settleEverything()
    }
    this.#nowMs = untilMs
  }

  /** Lets time pass in steps until something holds; fails after `maxMs`. Returns how long it took. */
  async advanceUntil(holds: () => boolean, maxMs: number, stepMs = 50): Promise<number> {
    const startMs = this.#nowMs
    while (!holds()) {
      if (this.#nowMs - startMs >= maxMs) throw new Error(`did not come true within ${maxMs} ms`)
      await this.advance(stepMs)
    }
    return this.#nowMs - startMs
  }
}

// A binary heap, the earliest first.

function push(heap: Scheduled[], scheduled: Scheduled): void {
  let child = heap.push(scheduled) - 1
  while (child > 0) {
    const parent = (child - 1) >>> 1
    if (!isBefore(heap, child, parent)) return
    swap(heap, child, parent)
    child = parent
  }
}

function pop(heap: Scheduled[]): void {
  const last = heap.pop()
  if (last === undefined || heap.length === 0) return
  heap[0] = last
  let parent = 0
  for (;;) {
    let first = parent
    for (const child of [2 * parent + 1, 2 * parent + 2]) {
      if (child < heap.length && isBefore(heap, child, first)) first = child
    }
    if (first === parent) return
    swap(heap, first, parent)
    parent = first
  }
}

function isBefore(heap: readonly Scheduled[], a: number, b: number): boolean {
  const [left, right] = [heap[a], heap[b]]
  if (left === undefined || right === undefined) return false
  return left.dueMs < right.dueMs || (left.dueMs === right.dueMs && left.order < right.order)
}

function swap(heap: Scheduled[], a: number, b: number): void {
  const [left, right] = [heap[a], heap[b]]
  if (left === undefined || right === undefined) return
  heap[a] = right
  heap[b] = left
}
