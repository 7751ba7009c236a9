import type { Timer } from '@grapevine/core'
import type { SeededRandom } from './seeded-random.ts'

interface Scheduled extends Timer {
  readonly dueMs: number
  /** Decides between events that are due at the same moment. */
  readonly lot: number
  readonly order: number
  run: (() => void) | undefined
}

/** Some milliseconds of computing. */
const EVENTS_PER_TURN = 1_000

/**
 * Virtual time. It stands still while anything happens, and then jumps to whatever is due next; what is due at the same
 * moment comes in an order that the seed draws.
 *
 * All code under test waits by promises alone, so whatever an event sets going has run to its end when Node comes to
 * its next tick: only then the next event begins. Nothing of the real time is in it.
 */
export class EventQueue {
  readonly #random: SeededRandom
  readonly #heap: Scheduled[] = []
  #nowMs = 0
  #made = 0
  #handled = 0

  constructor(random: SeededRandom) {
    this.#random = random
  }

  /** True time, in milliseconds since the run began. */
  get nowMs(): number {
    return this.#nowMs
  }

  /** Events that ran so far. */
  get handled(): number {
    return this.#handled
  }

  after(delayMs: number, run: () => void): Timer {
    return this.at(this.#nowMs + Math.max(0, delayMs), run)
  }

  at(dueMs: number, run: () => void): Timer {
    const scheduled: Scheduled = {
      dueMs: Math.max(dueMs, this.#nowMs),
      lot: this.#random.next(),
      order: this.#made++,
      run,
      cancel() {
        this.run = undefined
      },
    }
    push(this.#heap, scheduled)
    return scheduled
  }

  /** Lets time pass until `untilMs`, or until `isOver` says so between two events. */
  async run(untilMs: number, isOver: () => boolean = () => false): Promise<void> {
    await settled()
    while (!isOver()) {
      const next = this.#heap[0]
      if (next === undefined || next.dueMs > untilMs) {
        this.#nowMs = Math.max(this.#nowMs, untilMs)
        return
      }
      pop(this.#heap)
      const { run } = next
      if (run === undefined) continue
      this.#nowMs = next.dueMs
      this.#handled++
      run()
      // A turn of Node's own loop costs a call to the system.
      await (this.#handled % EVENTS_PER_TURN === 0 ? turn() : settled())
    }
  }
}

/** When every promise that could go on has gone on: Node begins a tick only when no microtask is left. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    process.nextTick(resolve)
  })
}

/** Lets whatever else this program does have its turn: a signal, a message of its parent. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}

// A binary heap, the earliest first.

function push(heap: Scheduled[], scheduled: Scheduled): void {
  let child = heap.push(scheduled) - 1
  while (child > 0) {
    const parent = (child - 1) >>> 1
    const above = heap[parent]
    if (above === undefined || !isBefore(scheduled, above)) break
    heap[child] = above
    child = parent
  }
  heap[child] = scheduled
}

function pop(heap: Scheduled[]): void {
  const last = heap.pop()
  if (last === undefined || heap.length === 0) return
  let parent = 0
  for (;;) {
    let child = 2 * parent + 1
    let below = heap[child]
    if (below === undefined) break
    const right = heap[child + 1]
    if (right !== undefined && isBefore(right, below)) {
      child++
      below = right
    }
    if (!isBefore(below, last)) break
    heap[parent] = below
    parent = child
  }
  heap[parent] = last
}

function isBefore(a: Scheduled, b: Scheduled): boolean {
  return a.dueMs - b.dueMs < 0 || (a.dueMs === b.dueMs && (a.lot < b.lot || (a.lot === b.lot && a.order < b.order)))
}
