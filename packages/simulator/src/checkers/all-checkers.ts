import type { Checker, HistoryEvent, Violation } from '../history/history.ts'
import { agreement } from './agreement.ts'
import { boundedDrift } from './bounded-drift.ts'
import { boundedQueues } from './bounded-queues.ts'
import { causality } from './causality.ts'
import { startChecker, type CheckerKind, type CheckOptions } from './checker-kind.ts'
import { convergenceInTime } from './convergence-in-time.ts'
import { honestAcknowledgements } from './honest-acknowledgements.ts'
import { isolation } from './isolation.ts'
import { membership } from './membership.ts'
import { noDotTwice } from './no-dot-twice.ts'
import { noIntegrityFault } from './no-integrity-fault.ts'
import { nothingAcknowledgedForgotten } from './nothing-acknowledged-forgotten.ts'
import { nothingDeletedReturns } from './nothing-deleted-returns.ts'
import { nothingDurableLost } from './nothing-durable-lost.ts'
import { nothingInvented } from './nothing-invented.ts'
import { nothingRefusedVisible } from './nothing-refused-visible.ts'
import { oneQuestionBetweenEquals } from './one-question-between-equals.ts'
import { oneWinner } from './one-winner.ts'
import { orderedUpdates } from './ordered-updates.ts'
import { sameMembers } from './same-members.ts'
import { sessionGuarantees } from './session-guarantees.ts'
import { tombstonesCollected } from './tombstones-collected.ts'
import { treeEqualsData } from './tree-equals-data.ts'
import { wellFormed } from './well-formed.ts'

export const CHECKER_KINDS: readonly CheckerKind[] = [
  wellFormed,
  agreement,
  nothingAcknowledgedForgotten,
  honestAcknowledgements,
  nothingDurableLost,
  nothingRefusedVisible,
  nothingInvented,
  nothingDeletedReturns,
  tombstonesCollected,
  oneWinner,
  noDotTwice,
  orderedUpdates,
  sessionGuarantees,
  causality,
  treeEqualsData,
  oneQuestionBetweenEquals,
  boundedQueues,
  boundedDrift,
  membership,
  sameMembers,
  isolation,
  convergenceInTime,
  noIntegrityFault,
]

/** One of each, to be shown every event of one history. */
export function allCheckers(options: CheckOptions = {}): readonly Checker[] {
  return CHECKER_KINDS.map((kind) => startChecker(kind, options))
}

/** What is wrong with a history, in order of time. */
export function checkHistory(events: Iterable<HistoryEvent>, options: CheckOptions = {}): readonly Violation[] {
  const checkers = allCheckers(options)
  for (const event of events) for (const checker of checkers) checker.see(event)
  return checkers.flatMap((checker) => checker.finish()).toSorted((a, b) => a.atMs - b.atMs)
}
