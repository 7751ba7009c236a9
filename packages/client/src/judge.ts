import { decodeUtf8, type FailedOutcome, type Problem } from '@grapevine/contract'
import type { Answer, NoAnswer, OutgoingRequest } from './contact.ts'
import { errorOfProblem, GrapevineError, withOutcome } from './grapevine-error.ts'

export type Verdict =
  /** Hand it to the caller, whatever it says. */
  | { readonly kind: 'answered'; readonly answer: Answer; readonly unwell: false }
  | {
      readonly kind: 'failed'
      readonly error: GrapevineError
      /** Whether this node again, or another one, may be asked the same. */
      readonly repeatable: boolean
      /** Whether this node should be left alone for a while. */
      readonly unwell: boolean
      /** How long the node asked not to be asked. */
      readonly retryAfterMs: number
    }

/** A node that asks for more patience than this is left for others, or the call fails. */
const RETRY_AFTER_MS_MAX = 30_000

/**
 * What to make of one attempt. A request that changes something is repeated when it is certain that the attempt
 * changed nothing (no connection was made, or the node said `not-applied`), and when it has a name by which a node knows
 * a repetition.
 */
export function judge(attempt: Answer | NoAnswer, request: OutgoingRequest, url: string): Verdict {
  const { safe, idempotent = false } = request
  const write = !safe
  if (attempt.kind === 'answer') {
    const { status } = attempt
    if ((status >= 200 && status < 300) || status === 304) return { kind: 'answered', answer: attempt, unwell: false }
    const error = errorOfAnswer(attempt, request, url)
    const repeatable = safe ? mayReadElsewhere(error, request) : mayWriteAgain(error, idempotent)
    return { kind: 'failed', error, repeatable, unwell: isUnwell(error), retryAfterMs: retryAfterMs(attempt) }
  }
  const { kind, cause } = attempt
  const sent = kind !== 'refused'
  const outcome = write ? (sent ? 'unknown' : 'not-applied') : undefined
  const harmless = kind !== 'aborted' && (safe || !sent)
  const error = new GrapevineError({ ...sentence(kind, request, url, write), outcome, retryable: harmless, cause })
  const repeatable = harmless || (kind !== 'aborted' && idempotent)
  return { kind: 'failed', error, repeatable, unwell: kind !== 'aborted', retryAfterMs: 0 }
}

/** A read that failed on one node's disk, or in time, may well succeed on another. */
function mayReadElsewhere({ retryable, status = 0, code }: GrapevineError, { asksOthers }: OutgoingRequest): boolean {
  // A node that waited for others in vain has used up the time that there was.
  if (asksOthers && code === 'timeout') return false
  return retryable || code === 'bad_answer' || (status >= 500 && status !== 501)
}

/** Not after a `timeout` that the node reports: it knows of the write and told what there is to know. */
function mayWriteAgain({ outcome, retryable, code, status = 0 }: GrapevineError, idempotent: boolean): boolean {
  if (outcome === 'not-applied') return retryable
  return idempotent && (code === 'io_error' || (code === 'bad_answer' && status >= 500))
}

function retryAfterMs({ headers }: Answer): number {
  const seconds = Number(headers.get('retry-after') ?? 0)
  return seconds > 0 ? Math.min(RETRY_AFTER_MS_MAX, seconds * 1_000) : 0
}

/** The problem in an answer of 400 and above; an error of its own kind for what is no problem of Grapevine's. */
export function errorOfAnswer(answer: Answer, request: OutgoingRequest, url: string): GrapevineError {
  const problem = parseProblem(answer)
  if (problem !== undefined) return withOutcome(errorOfProblem(problem), request.safe ? undefined : outcomeOf(problem))
  const { status } = answer
  return new GrapevineError({
    code: 'bad_answer',
    status,
    message: `${url} answered ${status} with something that is not Grapevine's.`,
    outcome: request.safe ? undefined : 'unknown',
  })
}

/** Every problem of a write tells it; what stands between a node and us may have left it out. */
function outcomeOf({ outcome, status }: Problem): FailedOutcome {
  return outcome ?? (status >= 500 ? 'unknown' : 'not-applied')
}

function parseProblem({ body }: Answer): Problem | undefined {
  try {
    const problem: unknown = JSON.parse(decodeUtf8(body) ?? '')
    return isProblem(problem) ? problem : undefined
  } catch {
    return undefined
  }
}

/** As much as is looked at. A code that we do not know is one of a newer node. */
function isProblem(body: unknown): body is Problem {
  if (typeof body !== 'object' || body === null) return false
  const { code, status, detail }: Partial<Record<keyof Problem, unknown>> = body
  return typeof code === 'string' && typeof status === 'number' && typeof detail === 'string'
}

function isUnwell({ code }: GrapevineError): boolean {
  return ['bad_answer', 'overloaded', 'rate_limited', 'not_ready', 'cloned', 'draining', 'io_error'].includes(code)
}

function sentence(
  kind: NoAnswer['kind'],
  { method, path }: OutgoingRequest,
  url: string,
  write: boolean,
): { code: 'unreachable' | 'timeout' | 'aborted'; message: string } {
  if (kind === 'refused') return { code: 'unreachable', message: `No connection to ${url}.` }
  const what = `${method} ${path.split('?')[0]} at ${url}`
  const message = `${what}: ${SENTENCES[kind]}.${write ? ' Whether it was applied is not known.' : ''}`
  return { code: kind === 'broken' ? 'unreachable' : kind, message }
}

const SENTENCES = { broken: 'the connection broke', timeout: 'no answer in time', aborted: 'the caller gave up' }
