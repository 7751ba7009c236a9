import { expect } from 'vitest'
import type { Happenings } from './happenings.ts'

const DAY_MS = 24 * 3_600_000
/** Two weeks: what is done weekly is in each as often. */
const WINDOW_DAYS = 14
/** The day of the founding, and two windows that do not overlap. */
export const WEAR_DAYS_MIN: number = 1 + 2 * WINDOW_DAYS

/** What a day costs, on average over a while. */
interface Days {
  readonly frames: number
  readonly bytes: number
  /** Of the history, so of everything that happens and is worth a word. */
  readonly events: number
  readonly longestQueue: number
  readonly failedWrites: number
}

export interface Wear {
  readonly days: number
  readonly first: Days
  readonly last: Days
  /** Writer ids that vectors have to remember: one for each run of a node in which it wrote. */
  readonly writers: number
  readonly restarts: number
  readonly applied: number
}

/** The first weeks of a long run beside its last ones. The day of the founding is left out. */
export function wearOf(run: Happenings): Wear {
  const days = Math.floor(run.result.plan.chaosMs / DAY_MS)
  return {
    days,
    first: averageOf(run, 1),
    last: averageOf(run, days - WINDOW_DAYS),
    writers: new Set(run.of('stored').map(({ dot }) => dot[0])).size,
    restarts: run.of('process').filter(({ what }) => what === 'started').length - run.result.plan.nodes.length,
    applied: run.result.statistics.applied,
  }
}

/** Nothing that goes on for long may wear the cluster out. */
export function expectUnworn(run: Happenings): void {
  const { days, first, last, writers, restarts, applied } = wearOf(run)
  expect(days).toBeGreaterThanOrEqual(WEAR_DAYS_MIN)
  expect(run.result.statistics.virtualMs).toBeGreaterThan(days * DAY_MS)
  expect(restarts).toBeGreaterThanOrEqual(3 * Math.floor((days - 6) / 7))
  // Every day somebody wrote, and all of it was applied.
  expect(applied).toBeGreaterThanOrEqual(days * 3)
  expect(first.failedWrites + last.failedWrites).toBe(0)
  expect(first.frames).toBeGreaterThan(100)
  expect(last.frames / first.frames).toBeLessThan(1.1)
  expect(last.bytes / first.bytes).toBeLessThan(1.25)
  expect(last.events / first.events).toBeLessThan(1.1)
  expect(last.longestQueue).toBeLessThanOrEqual(first.longestQueue + 3)
  expect(writers).toBeLessThanOrEqual(restarts + run.result.plan.nodes.length)
}

function averageOf(run: Happenings, fromDay: number): Days {
  const span = { fromMs: fromDay * DAY_MS, toMs: (fromDay + WINDOW_DAYS) * DAY_MS - 1 }
  const accepted = run.of('accepted', span)
  const all = run.result.history.filter(({ atMs }) => atMs >= span.fromMs && atMs <= span.toMs)
  return {
    frames: Math.round(accepted.length / WINDOW_DAYS),
    bytes: Math.round(accepted.reduce((sum, { bytes }) => sum + bytes, 0) / WINDOW_DAYS),
    events: Math.round(all.length / WINDOW_DAYS),
    longestQueue: Math.max(0, ...run.of('queue', span).map(({ length }) => length)),
    failedWrites: run.writes(span).filter(({ outcome }) => outcome?.outcome !== 'applied').length,
  }
}
