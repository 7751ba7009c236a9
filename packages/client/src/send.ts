import type { Contact, Answer, OutgoingRequest } from './contact.ts'
import type { EndpointPool } from './endpoint-pool.ts'
import { GrapevineError, withOutcome } from './grapevine-error.ts'
import { judge } from './judge.ts'
import type { RetryBudget } from './retry-budget.ts'

/** How often everybody may be asked again after everybody was asked: about half a second in all. */
const ROUNDS_MAX = 4
const WAIT_MS_MIN = 50
const WAIT_MS_MAX = 1_000
/** What may be asked twice leaves half of its time for the next node, if there is one. */
const SHARE_OF_ATTEMPT = 0.5
/** A report takes as long as the slowest member is waited for, wherever it is made. */
const SHARE_OF_REPORT = 0.75
/** A node that is asked to wait for something answers this much later, at the most: the way there and back. */
const WAY_MS = 500
/** But no node gets less than this. */
const ATTEMPT_MS_MIN = 100

export interface SendContext {
  readonly pool: EndpointPool
  readonly budget: RetryBudget
  readonly contact: Contact
  readonly random: () => number
  readonly nowMs: () => number
  readonly signal: AbortSignal
  /** For everything together. */
  readonly timeoutMs: number
}

export interface Sent {
  readonly answer: Answer
  /** Who answered. */
  readonly url: string
  /** Whether somebody failed to answer before. */
  readonly failedOver: boolean
}

/**
 * Sends a request to the best node and, where that is safe, on to the next ones, until one answers or the time,
 * the rounds or the budget are used up. A write with a name of which it is not known what became is first told to the
 * same node again, which knows; a node that never heard of it would take it for a new one.
 * @throws {GrapevineError} of the last attempt, with the outcome of all.
 */
export async function send(request: OutgoingRequest, context: SendContext): Promise<Sent> {
  const { pool, budget, contact, random, nowMs, signal } = context
  const deadlineMs = nowMs() + context.timeoutMs
  const tried = new Set<string>()
  let failure: GrapevineError | undefined
  let inDoubt = false
  let wasSent = false
  let again: string | undefined
  const askedAgain = new Set<string>()
  let retryAfterMs = 0
  for (let round = 1; ;) {
    const remainingMs = deadlineMs - nowMs()
    if (failure !== undefined && remainingMs <= 0) throw failure
    const url = again ?? pool.next(nowMs(), tried)
    again = undefined
    if (url === undefined) {
      const backoffMs = Math.min(WAIT_MS_MAX, WAIT_MS_MIN * 2 ** round) * (0.5 + random() / 2)
      const waitMs = Math.max(backoffMs, retryAfterMs)
      if (failure === undefined || round >= ROUNDS_MAX || waitMs >= remainingMs) throw failure ?? nowhere()
      await sleep(waitMs, signal)
      tried.clear()
      round += 1
      retryAfterMs = 0
      continue
    }
    // What was sent nowhere yet burdens nobody twice.
    if (failure !== undefined && wasSent && !budget.take()) throw failure
    tried.add(url)
    const timeoutMs = attemptMs(request, remainingMs, pool.next(nowMs(), tried) !== undefined)
    const attempt = await contact(url, request, { timeoutMs, signal })
    const verdict = judge(attempt, request, url)
    if (verdict.unwell) {
      pool.failed(url, nowMs(), random())
    } else if (!signal.aborted) {
      pool.succeeded(url)
      budget.refill()
    }
    if (verdict.kind === 'answered')
      return { answer: { ...verdict.answer, inDoubt }, url, failedOver: failure !== undefined }
    const { outcome } = verdict.error
    wasSent ||= attempt.kind !== 'refused'
    failure = inDoubt && outcome === 'not-applied' ? withOutcome(verdict.error, 'unknown') : verdict.error
    if (!verdict.repeatable) throw failure
    retryAfterMs = Math.max(retryAfterMs, verdict.retryAfterMs)
    if (outcome !== 'unknown') continue
    inDoubt = true
    if (!askedAgain.has(url)) again = url
    askedAgain.add(url)
  }
}

function attemptMs(request: OutgoingRequest, remainingMs: number, mayMoveOn: boolean): number {
  const { safe, idempotent, asksOthers, waitMs = 0 } = request
  if (!mayMoveOn || !(safe || idempotent)) return remainingMs
  // A write that waits for others is answered by its node when the time is over, with what is known then.
  if (!safe && asksOthers) return remainingMs
  const share = asksOthers ? SHARE_OF_REPORT : SHARE_OF_ATTEMPT
  return Math.min(remainingMs, Math.max(ATTEMPT_MS_MIN, remainingMs * share, waitMs === 0 ? 0 : waitMs + WAY_MS))
}

function nowhere(): GrapevineError {
  return new GrapevineError({ code: 'bad_argument', message: 'There is no endpoint to ask.' })
}

/** Ends early when the signal fires; whoever goes on then finds out. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  })
}
