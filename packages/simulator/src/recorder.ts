import type { Checker, HistoryEvent, Violation } from './history/history.ts'
import type { Trace } from './trace.ts'

/** What happened, for the checkers and for people: every event is told once, as it happens. */
export class Recorder {
  readonly #trace: Trace
  readonly #checkers: readonly Checker[]
  readonly #events: HistoryEvent[] = []
  readonly #found: Violation[] = []
  readonly faults: Map<string, number> = new Map()

  constructor(trace: Trace, checkers: readonly Checker[]) {
    this.#trace = trace
    this.#checkers = checkers
  }

  get events(): readonly HistoryEvent[] {
    return this.#events
  }

  write(event: HistoryEvent): void {
    this.#events.push(event)
    // The frame itself was noted when it arrived.
    if (event.type !== 'accepted') this.#trace.note(JSON.stringify(event))
    for (const checker of this.#checkers) checker.see(event)
  }

  /** Counted always; written down when there are few of its kind. */
  fault(atMs: number, fault: string, detail: string, isRare: boolean): void {
    this.faults.set(fault, (this.faults.get(fault) ?? 0) + 1)
    if (isRare) this.write({ type: 'fault', atMs, fault, detail })
    else this.#trace.note('fault', fault, detail)
  }

  /** A node's disk no longer holds what was durable on it. */
  diskFault(atMs: number, fault: string, node: string, disk: 'damaged' | 'rolled-back'): void {
    this.write({ type: 'fault', atMs, fault, node, disk })
  }

  /** Something that no checker could see in the history. */
  violation(violation: Violation): void {
    this.#found.push(violation)
  }

  finish(): readonly Violation[] {
    const violations = [...this.#found, ...this.#checkers.flatMap((checker) => checker.finish())]
    return violations.toSorted((a, b) => a.atMs - b.atMs)
  }
}
