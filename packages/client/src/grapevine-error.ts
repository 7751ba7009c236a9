import type { Acks, FailedOutcome, Problem, ProblemCode } from '@grapevine/contract'

/** A problem that a node reported, or one of these, which only a client can have. */
export type ErrorCode =
  | ProblemCode
  /** No node could be reached, or the connection broke. */
  | 'unreachable'
  /** The caller's signal fired. */
  | 'aborted'
  /** The client was closed. */
  | 'closed'
  /** A value that its codec does not take or cannot make sense of. */
  | 'bad_value'
  /** An argument that cannot be right. */
  | 'bad_argument'
  /** An answer that is not Grapevine's: something else listens there, or stands between. */
  | 'bad_answer'

export interface ErrorFacts {
  readonly code: ErrorCode
  readonly message: string
  readonly status?: number | undefined
  readonly outcome?: FailedOutcome | undefined
  readonly retryable?: boolean
  readonly traceId?: string | undefined
  readonly acks?: Acks | undefined
  readonly cause?: unknown
}

/** The one error that this library throws for what the world did. Branch on `code`, for writes on `outcome`. */
export class GrapevineError extends Error {
  override readonly name = 'GrapevineError'
  readonly code: ErrorCode
  /** HTTP status, when a node answered. */
  readonly status: number | undefined
  /** Of a write: whether it is certain that nothing happened. */
  readonly outcome: FailedOutcome | undefined
  /** Whether the same call may succeed later, and repeating it does no harm. */
  readonly retryable: boolean
  /** Finds the request in the node's log. */
  readonly traceId: string | undefined
  /** Of a write that missed its `w`: the acknowledgements that did come. */
  readonly acks: Acks | undefined

  constructor(facts: ErrorFacts) {
    super(facts.message, facts.cause === undefined ? undefined : { cause: facts.cause })
    this.code = facts.code
    this.status = facts.status
    this.outcome = facts.outcome
    this.retryable = facts.retryable ?? false
    this.traceId = facts.traceId
    this.acks = facts.acks
  }
}

export function errorOfProblem(problem: Problem): GrapevineError {
  const { code, detail, title, status, outcome, retryable, traceId, acks } = problem
  return new GrapevineError({ code, message: detail || title, status, outcome, retryable, traceId, acks })
}
