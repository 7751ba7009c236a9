import { decodeUtf8, isProblemCode, type Problem } from '@grapevine/contract'
import type { Answer, NoAnswer, OutgoingRequest } from './contact.ts'
import { errorOfProblem, GrapevineError } from './grapevine-error.ts'

export type Verdict =
  /** Hand it to the caller, whatever it says. */
  | { readonly kind: 'answered'; readonly answer: Answer; readonly unwell: false }
  | {
      readonly kind: 'failed'
      readonly error: GrapevineError
      /** Whether another node, or later this one, may be asked the same. */
      readonly repeatable: boolean
      /** Whether this node should be left alone for a while. */
      readonly unwell: boolean
    }

/**
 * What to make of one attempt. A request that changes something is repeated only when it is certain that the
 * attempt changed nothing: no connection was made, or the node said `not-applied`.
 */
export function judge(attempt: Answer | NoAnswer, request: OutgoingRequest, url: string): Verdict {
  const { safe } = request
  const write = !safe
  if (attempt.kind === 'answer') {
    if (attempt.status < 400) return { kind: 'answered', answer: attempt, unwell: false }
    const error = errorOfAnswer(attempt, request, url)
    const harmless = safe || error.outcome === 'not-applied'
    // A read that failed on one node's disk, or in time, may well succeed on another.
    const worthwhile = error.retryable || (safe && error.status !== 501 && (error.status ?? 0) >= 500)
    return { kind: 'failed', error, repeatable: harmless && worthwhile, unwell: isUnwell(error) }
  }
  const { kind, cause } = attempt
  const sent = kind !== 'refused'
  const outcome = write ? (sent ? 'unknown' : 'not-applied') : undefined
  const repeatable = kind !== 'aborted' && (safe || !sent)
  const error = new GrapevineError({ ...sentence(kind, request, url, write), outcome, retryable: repeatable, cause })
  return { kind: 'failed', error, repeatable, unwell: kind !== 'aborted' }
}

/** The problem in an answer of 400 and above; an error of its own kind for what is no problem of Grapevine's. */
export function errorOfAnswer(answer: Answer, request: OutgoingRequest, url: string): GrapevineError {
  const problem = parseProblem(answer)
  if (problem !== undefined) return errorOfProblem(problem)
  const { status } = answer
  if (request.method === 'HEAD' && status === 404)
    return new GrapevineError({ code: 'not_found', status, message: 'not found' })
  return new GrapevineError({
    code: 'bad_answer',
    status,
    message: `${url} answered ${status} with something that is not Grapevine's: is this address right?`,
    outcome: request.safe ? undefined : 'unknown',
  })
}

function parseProblem({ body }: Answer): Problem | undefined {
  try {
    const problem: unknown = JSON.parse(decodeUtf8(body) ?? '')
    return isProblem(problem) ? problem : undefined
  } catch {
    return undefined
  }
}

/** As much as is looked at. */
function isProblem(body: unknown): body is Problem {
  if (typeof body !== 'object' || body === null) return false
  const { code, status, detail }: Partial<Record<keyof Problem, unknown>> = body
  return isProblemCode(code) && typeof status === 'number' && typeof detail === 'string'
}

function isUnwell({ code, status }: GrapevineError): boolean {
  if (code === 'bad_answer') return (status ?? 0) >= 500
  return ['overloaded', 'rate_limited', 'not_ready', 'cloned', 'draining', 'io_error'].includes(code)
}

function sentence(
  kind: NoAnswer['kind'],
  { method, path }: OutgoingRequest,
  url: string,
  write: boolean,
): { code: 'unreachable' | 'timeout' | 'aborted'; message: string } {
  const what = `${method} ${path.split('?')[0]}`
  const doubt = write ? ' Whether it was applied is not known.' : ''
  return {
    refused: { code: 'unreachable' as const, message: `No connection to ${url}.` },
    broken: { code: 'unreachable' as const, message: `The connection to ${url} broke during ${what}.${doubt}` },
    timeout: { code: 'timeout' as const, message: `No answer from ${url} in time to ${what}.${doubt}` },
    aborted: { code: 'aborted' as const, message: `The caller gave up on ${what}.${doubt}` },
  }[kind]
}
