import { randomUUID } from 'node:crypto'
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import {
  OTHER_HEADERS,
  OTHER_MEDIA_TYPES,
  problemOf,
  type Acks,
  type FailedOutcome,
  type Problem,
  type ProblemCode,
} from '@grapevine/contract'
import { ReadError, RefusalError, StoreError, UnreachableError, WriteError, type Refusal } from '@grapevine/core'

export interface ProblemOptions {
  readonly outcome?: FailedOutcome
  readonly acks?: Acks
  readonly retryable?: boolean
  readonly headers?: OutgoingHttpHeaders
  readonly cause?: unknown
}

/** An answer that is no success. Where it is found at once it is sent as it is: an error's stack would cost more than all the rest. */
export interface Trouble {
  readonly code: ProblemCode
  /** What is wrong, where, and what to try. */
  readonly message: string
  readonly options: ProblemOptions
}

/** The same on its way out of whatever found it. */
export class ProblemError extends Error implements Trouble {
  override readonly name = 'ProblemError'
  readonly code: ProblemCode
  readonly options: ProblemOptions

  constructor(code: ProblemCode, detail: string, options: ProblemOptions = {}) {
    super(detail, { cause: options.cause })
    this.code = code
    this.options = options
  }
}

/** Not 404: something is here, and nobody can say what. */
export function unreadable(): ProblemError {
  return new ProblemError(
    'io_error',
    'The row of this key is damaged, and no node that has seen all that this one has seen can give it back now. It is ' +
      'asked for again at the next read and by the scrub; a write replaces it.',
    { retryable: true },
  )
}

/** How long a client should stay away: a commit group takes milliseconds, a join seconds. */
const RETRY_AFTER_SECONDS = '1'

export interface FailureContext {
  /** What became of the write, where whoever failed does not say. Not there for reads. */
  readonly outcome?: FailedOutcome
  /** Members of the cluster, which acknowledgements are counted among. */
  readonly members?: number
}

/** What a node says that is no member yet: nearly always this one. */
const NOT_A_MEMBER: ReadonlySet<Refusal> = new Set(['not-founded', 'not-bootstrapped'])

/** Turns whatever was thrown into an answer. What is no known failure is a bug of ours. */
export function problemFrom(error: unknown, { outcome, members = 0 }: FailureContext = {}): ProblemError {
  const known = knownFailure(error, members)
  if (outcome === undefined || known.options.outcome !== undefined) return known
  return new ProblemError(known.code, known.message, { ...known.options, outcome })
}

function knownFailure(error: unknown, members: number): ProblemError {
  if (error instanceof ProblemError) return error
  if (error instanceof WriteError) {
    const { code, outcome, acks, message } = error
    const counted = code === 'timeout' ? { acks: { count: acks, of: members } } : {}
    return new ProblemError(code, sentence(message), { outcome, ...counted, cause: error })
  }
  // Nothing was changed by it, so nothing speaks against asking again.
  if (error instanceof ReadError)
    return new ProblemError(error.code, sentence(error.message), { retryable: true, cause: error })
  // A read harms nothing, and another node, or this one after its reopening, may well succeed.
  if (error instanceof StoreError)
    return new ProblemError('io_error', sentence(error.message), { retryable: true, cause: error })
  if (error instanceof UnreachableError)
    return new ProblemError('peer_unreachable', sentence(error.message), { cause: error })
  if (error instanceof RefusalError && NOT_A_MEMBER.has(error.code))
    return new ProblemError('not_ready', sentence(error.message), { retryable: true, cause: error })
  if (error instanceof RefusalError) {
    const code = error.code === 'busy' ? 'overloaded' : error.code === 'paused' ? 'conflict' : 'peer_unreachable'
    return new ProblemError(code, sentence(`the other node refused: ${error.message}`), { cause: error })
  }
  return new ProblemError('internal', 'Something that should never happen did. The log has it under this traceId.', {
    cause: error,
  })
}

export function problemBody({ code, message, options }: Trouble, traceId: string): Problem {
  const { outcome, acks, retryable } = options
  return problemOf(code, {
    detail: message,
    traceId,
    ...(outcome === undefined ? {} : { outcome }),
    ...(acks === undefined ? {} : { acks }),
    ...(retryable === undefined ? {} : { retryable }),
  })
}

export interface ProblemAnswer {
  readonly status: number
  readonly headers: OutgoingHttpHeaders
  readonly body: Buffer
}

export function answerOf(error: Trouble, traceId: string): ProblemAnswer {
  const problem = problemBody(error, traceId)
  const body = Buffer.from(JSON.stringify(problem))
  return {
    status: problem.status,
    headers: {
      'content-type': OTHER_MEDIA_TYPES.problem,
      'content-length': body.length,
      ...(problem.status === 503 || problem.status === 429 ? { 'retry-after': RETRY_AFTER_SECONDS } : {}),
      ...error.options.headers,
    },
    body,
  }
}

/** Answers with the problem and returns its status. Where the answer has begun, all that is left is to break it off. */
export function sendProblem(response: ServerResponse, error: Trouble, traceId: string): number {
  const { status, headers, body } = answerOf(error, traceId)
  if (response.headersSent) response.destroy()
  else {
    response.writeHead(status, headers)
    response.end(body)
  }
  return status
}

const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?$/
const NO_TRACE = '0'.repeat(32)

/** The trace that the client began (W3C Trace Context), or one of our own. */
export function traceIdOf(request: IncomingMessage): string {
  const header = request.headers[OTHER_HEADERS.traceparent]
  const traceId = typeof header === 'string' ? TRACEPARENT.exec(header)?.[1] : undefined
  return traceId === undefined || traceId === NO_TRACE ? newTraceId() : traceId
}

export function newTraceId(): string {
  // Drawn from a store of random bytes: ten times as fast as 16 of them by themselves, and as good for a name.
  return randomUUID().replaceAll('-', '')
}

/** Messages of the core are clauses; a detail is a sentence. */
function sentence(message: string): string {
  const text = message.charAt(0).toUpperCase() + message.slice(1)
  return /[.!?]$/.test(text) ? text : `${text}.`
}
