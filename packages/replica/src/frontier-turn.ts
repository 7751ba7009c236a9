import { compareHlc, type Hlc } from '@grapevine/core'

/** Rounds that nothing may come of before whoever is not first looks as well: a frozen process holds up nobody else. */
const LATE_ROUNDS = 3
/** And at most so many between two looks, while a member stays away: half an hour at the usual interval. */
const PATIENCE_ROUNDS_MAX = 180

/**
 * Whose turn it is to look at the frontier. Looking costs a question to every member, so one looks for all, the first
 * by its id, and the others take its frontier over. While nothing comes of it each of them looks for itself too, but ever more
 * rarely: in a large cluster with a member that stays away everybody would ask everybody.
 */
export class FrontierTurn {
  #frontier: Hlc | undefined
  #sinceMs = 0
  #patienceRounds = LATE_ROUNDS

  isMine(now: { frontier: Hlc; isFirst: boolean; nowMs: number; intervalMs: number }): boolean {
    const { frontier, isFirst, nowMs, intervalMs } = now
    if (this.#frontier === undefined || compareHlc(this.#frontier, frontier) !== 0) {
      this.#frontier = frontier
      this.#sinceMs = nowMs
      this.#patienceRounds = LATE_ROUNDS
    }
    if (isFirst) return true
    if (nowMs - this.#sinceMs <= this.#patienceRounds * intervalMs) return false
    this.#sinceMs = nowMs
    this.#patienceRounds = Math.min(PATIENCE_ROUNDS_MAX, this.#patienceRounds * 2)
    return true
  }
}
