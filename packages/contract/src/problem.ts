import type { Acks } from './acks.ts'
import type { FailedOutcome } from './outcome.ts'

/** The lasting name of what went wrong. A code is never renamed; new ones may come. */
export type ProblemCode =
  | 'bad_request'
  | 'bad_key'
  | 'bad_bucket'
  | 'bad_query'
  | 'bad_header'
  | 'bad_body'
  | 'unauthorized'
  | 'forbidden'
  | 'not_found'
  | 'method_not_allowed'
  | 'not_acceptable'
  | 'request_timeout'
  | 'conflict'
  | 'length_required'
  | 'precondition_failed'
  | 'too_large'
  | 'uri_too_long'
  | 'unsupported_media_type'
  | 'expectation_failed'
  | 'wrong_cluster'
  | 'idempotency_mismatch'
  | 'rate_limited'
  | 'headers_too_large'
  | 'internal'
  | 'io_error'
  | 'not_implemented'
  | 'overloaded'
  | 'not_ready'
  | 'cloned'
  | 'draining'
  | 'behind'
  | 'quorum_not_met'
  | 'peer_unreachable'
  | 'timeout'
  | 'disk_full'

export interface ProblemKind {
  readonly status: number
  readonly title: string
  /**
   * Whether the same request may succeed later or on another node, and repeating it does no harm. `false` where the
   * outcome is unknown: whoever knows more (a read, a write with an idempotency key) may say otherwise.
   */
  readonly retryable: boolean
}

const never = (status: number, title: string): ProblemKind => ({ status, title, retryable: false })
const again = (status: number, title: string): ProblemKind => ({ status, title, retryable: true })

export const PROBLEMS: Readonly<Record<ProblemCode, ProblemKind>> = {
  bad_request: never(400, 'The request cannot be understood'),
  bad_key: never(400, 'The key is not valid'),
  bad_bucket: never(400, 'The bucket name is not valid'),
  bad_query: never(400, 'A query parameter is not valid'),
  bad_header: never(400, 'A header is not valid'),
  bad_body: never(400, 'The body is not valid'),
  unauthorized: never(401, 'A token is needed'),
  forbidden: never(403, 'The token does not permit this'),
  not_found: never(404, 'There is nothing here'),
  method_not_allowed: never(405, 'The method is not allowed here'),
  not_acceptable: never(406, 'The answer has no such form'),
  request_timeout: never(408, 'The request took too long to arrive'),
  conflict: never(409, 'The state of the cluster does not permit this'),
  length_required: never(411, 'A length is needed'),
  precondition_failed: never(412, 'The condition does not hold'),
  too_large: never(413, 'The body is too large'),
  uri_too_long: never(414, 'The URL is too long'),
  unsupported_media_type: never(415, 'The content type is not known here'),
  expectation_failed: never(417, 'The expectation cannot be met'),
  wrong_cluster: never(421, 'This node belongs to another cluster'),
  idempotency_mismatch: never(422, 'The idempotency key was used for another request'),
  rate_limited: again(429, 'Too many requests'),
  headers_too_large: never(431, 'The headers are too large'),
  internal: never(500, 'A bug of ours'),
  io_error: never(500, 'The disk failed'),
  not_implemented: never(501, 'Not built yet'),
  overloaded: again(503, 'The node has too much to do'),
  not_ready: again(503, 'The node is not ready'),
  cloned: again(503, 'Another process goes by the id of this node'),
  draining: again(503, 'The node is stopping'),
  behind: again(503, 'The node has not yet seen what the session has'),
  quorum_not_met: again(503, 'Too few replicas are alive'),
  peer_unreachable: again(503, 'The other node does not answer'),
  timeout: never(504, 'No answer in time'),
  disk_full: again(507, 'The disk is full'),
}

/** The body of every answer that is not a success (RFC 9457). */
export interface Problem {
  /** A name for the kind of problem: {@link problemType}. */
  readonly type: string
  readonly title: string
  readonly status: number
  /** What is wrong, where, and what to try. */
  readonly detail: string
  readonly code: ProblemCode
  readonly retryable: boolean
  /** Finds the request in the node's log. */
  readonly traceId: string
  /** Of a write. */
  readonly outcome?: FailedOutcome
  /** Of a write that did not reach its `w` in time: the acknowledgements that did come. */
  readonly acks?: Acks
}

export interface ProblemDetails {
  readonly detail: string
  readonly traceId: string
  readonly outcome?: FailedOutcome
  readonly acks?: Acks
  /** Only where it differs from the table's. */
  readonly retryable?: boolean
}

export function problemOf(code: ProblemCode, details: ProblemDetails): Problem {
  const { status, title, retryable } = PROBLEMS[code]
  return { type: problemType(code), title, status, code, retryable, ...details }
}

export function problemType(code: ProblemCode): string {
  return `urn:problem-type:grapevine:${code}`
}

export function isProblemCode(text: unknown): text is ProblemCode {
  return typeof text === 'string' && Object.hasOwn(PROBLEMS, text)
}
