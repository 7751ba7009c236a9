import { DRIFT_MS_MAX } from '@grapevine/core'
import type { Checker, EventOf, HistoryEvent, Violation } from '../history/history.ts'

/** A thousandth complaint of the same kind helps nobody, and memory stays bounded. The last one says how many more. */
const VIOLATIONS_KEPT_MAX = 20

/** What a checker cannot see from the history. */
export interface CheckOptions {
  /**
   * Whether every durable change of every node is in the history as `stored`. In the simulator it is; of real
   * processes only what clients see is known, and what rests on `stored` stays silent.
   */
  readonly diskIsSeen?: boolean
  /** Whether replicas pull by vectors. With the tree alone, entries become equal and vectors need not. */
  readonly vectorsConverge?: boolean
  /** How far ahead of a node's clock what it takes in may be stamped. */
  readonly driftMs?: number
  /** Between two looks of a node at what may be purged. Where it is not said nobody is held to it. */
  readonly purgeIntervalMs?: number
}

const USUALLY: Required<CheckOptions> = {
  diskIsSeen: true,
  vectorsConverge: true,
  driftMs: DRIFT_MS_MAX,
  purgeIntervalMs: Number.POSITIVE_INFINITY,
}

export type Complaint = Omit<Violation, 'checker'>

/** What a checker does about the events of one history. */
export type Watch = { readonly [Type in HistoryEvent['type']]?: (event: EventOf<Type>) => void } & {
  /** Every event, before what is done about those of its type. */
  readonly first?: (event: HistoryEvent) => void
  /** Every event, after that. */
  readonly last?: (event: HistoryEvent) => void
  /** What can only be judged when all is known. */
  readonly finish?: () => void
}

/** One sort of checker: what the documentation says about it, and how to start one on a history. */
export interface CheckerKind {
  readonly name: string
  /** Promises and rules that it guards, as docs/promises.md numbers them. */
  readonly guards: string
  /** What holds in every history that it does not complain about. Ends up in docs/checkers.md. */
  readonly asserts: string
  readonly watch: (complain: (complaint: Complaint) => void, options: Required<CheckOptions>) => Watch
}

export function startChecker({ name, watch }: CheckerKind, options: CheckOptions = {}): Checker {
  const violations: Violation[] = []
  let omitted = 0
  const complain = (complaint: Complaint): void => {
    if (violations.length < VIOLATIONS_KEPT_MAX) violations.push({ checker: name, ...complaint })
    else omitted++
  }
  const handlers = watch(complain, { ...USUALLY, ...options })
  return {
    name,
    see(event): void {
      handlers.first?.(event)
      const handle = handlers[event.type] as ((event: HistoryEvent) => void) | undefined
      handle?.(event)
      handlers.last?.(event)
    },
    finish(): readonly Violation[] {
      handlers.finish?.()
      const last = violations.at(-1)
      if (last !== undefined && omitted > 0)
        violations.push({ checker: name, atMs: last.atMs, message: `and ${omitted} more of this kind` })
      omitted = 0
      return violations
    },
  }
}
