import type { Acks, FailedOutcome, Problem, ProblemCode, VisibilityProblem } from '@grapevine/contract'

/** A problem that a node reported, or one of these, which only a client can have. */
export type ErrorCode =
  | ProblemCode
  /** No node could be reached, or the connection broke. */
  | 'unreachable'
  /** The caller's signal fired, or the client was closed during the call. */
  | 'aborted'
  /** The client was closed before the call. */
  | 'closed'
  /** A value that its codec does not take or cannot make sense of. */
  | 'bad_value'
  /** An argument that cannot be right. */
  | 'bad_argument'
  /** An answer that is not Grapevine's: something else listens there, or stands between. */
  | 'bad_answer'

/** A node that holds a version or a newer one. */
export interface Holder {
  readonly name: string
  readonly nodeId: string
  /** When it committed, by its own clock. */
  readonly committedAt: Date
}

export interface ErrorFacts {
  readonly code: ErrorCode
  readonly message: string
  readonly status?: number | undefined
  readonly outcome?: FailedOutcome | undefined
  readonly retryable?: boolean
  readonly traceId?: string | undefined
  readonly acks?: Acks | undefined
  readonly holders?: readonly Holder[] | undefined
  readonly cause?: unknown
}

/** The one error that this library throws for what the world did. Branch on `code`, for writes on `outcome`. */
export class GrapevineError extends Error {
  override readonly name = 'GrapevineError'
  readonly code: ErrorCode
  /** HTTP status, when a node answered. */
  readonly status: number | undefined
  /**
   * Of a write, over all attempts: `not-applied` when it is certain that nothing happened and nothing will, `unknown`
   * when it may have been applied.
   */
  readonly outcome: FailedOutcome | undefined
  /** Whether the same call may succeed later, and repeating it does no harm. */
  readonly retryable: boolean
  /** Finds the request in the node's log. */
  readonly traceId: string | undefined
  /** Of a write that missed its `w`: the acknowledgements that did come. */
  readonly acks: Acks | undefined
  /** Of `receipt.visible` that ran out of time: who does hold it. */
  readonly holders: readonly Holder[] | undefined

  constructor(facts: ErrorFacts) {
    super(facts.message, facts.cause === undefined ? undefined : { cause: facts.cause })
    this.code = facts.code
    this.status = facts.status
    this.outcome = facts.outcome
    this.retryable = facts.retryable ?? false
    this.traceId = facts.traceId
    this.acks = facts.acks
    this.holders = facts.holders
  }
}

export function errorOfProblem(problem: Problem & Partial<VisibilityProblem>): GrapevineError {
  const { code, detail, title, status, outcome, retryable, traceId, acks, nodes } = problem
  const holders = Array.isArray(nodes) ? holdersOf(nodes) : undefined
  return new GrapevineError({ code, message: detail || title, status, outcome, retryable, traceId, acks, holders })
}

export function holdersOf(nodes: VisibilityProblem['nodes']): Holder[] {
  return nodes.map(({ name, nodeId, committedAt }) => ({ name, nodeId, committedAt: new Date(committedAt) }))
}

/** The same error with another outcome: what one attempt knows is not what the call knows. */
export function withOutcome(error: GrapevineError, outcome: FailedOutcome | undefined): GrapevineError {
  if (error.outcome === outcome) return error
  const doubt = error.outcome === 'not-applied' && outcome === 'unknown'
  return new GrapevineError({
    // oxlint-disable-next-line typescript/no-misused-spread -- Its fields are what is wanted of it.
    ...error,
    message: error.message + (doubt ? ' An earlier attempt may have been applied.' : ''),
    outcome,
    retryable: error.retryable && outcome !== 'unknown',
    cause: error.cause,
  })
}
