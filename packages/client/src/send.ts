import type { EndpointPool } from './endpoint-pool.ts'
import { contact, type Answer, type OutgoingRequest } from './contact.ts'
import { GrapevineError } from './grapevine-error.ts'
import { judge } from './judge.ts'
import type { RetryBudget } from './retry-budget.ts'

/** How often everybody may be asked again after everybody was asked: about half a second in all. */
const ROUNDS_MAX = 4
const WAIT_MS_MIN = 50
const WAIT_MS_MAX = 1_000
/** A read leaves half of its time for the next node, if there is one. */
const SHARE_OF_READ = 0.5
/** A report takes as long as the slowest member is waited for, wherever it is made. */
const SHARE_OF_REPORT = 0.75
/** But no node gets less than this. */
const ATTEMPT_MS_MIN = 100

export interface SendContext {
  readonly pool: EndpointPool
  readonly budget: RetryBudget
  readonly fetch: typeof fetch
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
 * the rounds or the budget are used up.
 * @throws {GrapevineError} of the last attempt.
 */
export async function send(request: OutgoingRequest, context: SendContext): Promise<Sent> {
  const { pool, budget, fetch, random, nowMs, signal } = context
  const deadlineMs = nowMs() + context.timeoutMs
  const tried = new Set<string>()
  let failure: GrapevineError | undefined
  for (let round = 1; ;) {
    const remainingMs = deadlineMs - nowMs()
    if (failure !== undefined && (remainingMs <= 0 || !budget.take())) throw failure
    const url = pool.next(nowMs(), tried)
    if (url === undefined) {
      const waitMs = Math.min(WAIT_MS_MAX, WAIT_MS_MIN * 2 ** round) * (0.5 + random() / 2)
      if (failure === undefined || round >= ROUNDS_MAX || waitMs >= remainingMs) throw failure ?? nowhere()
      await sleep(waitMs, signal)
      tried.clear()
      round += 1
      continue
    }
    tried.add(url)
    const mayMoveOn = request.safe && pool.next(nowMs(), tried) !== undefined
    const share = !mayMoveOn ? 1 : request.asksOthers ? SHARE_OF_REPORT : SHARE_OF_READ
    const timeoutMs = Math.min(remainingMs, Math.max(ATTEMPT_MS_MIN, remainingMs * share))
    const verdict = judge(await contact(url, request, { fetch, timeoutMs, signal }), request, url)
    if (verdict.unwell) {
      pool.failed(url, nowMs(), random())
    } else if (!signal.aborted) {
      pool.succeeded(url)
      budget.refill()
    }
    if (verdict.kind === 'answered') return { answer: verdict.answer, url, failedOver: failure !== undefined }
    if (!verdict.repeatable) throw verdict.error
    failure = verdict.error
  }
}

function nowhere(): GrapevineError {
  return new GrapevineError({ code: 'bad_argument', message: 'There is no endpoint to ask.' })
}

/** Ends early when the signal fires; the next contact then says so. */
function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  })
}
