import {
  bytesOfKeyFields,
  encodeKeySegment,
  HEADERS,
  parseAcks,
  type Acks,
  type BatchOp,
  type BatchResult,
  type Consistency,
  type WriteConcern,
} from '@grapevine/contract'
import type { InnerRequest } from './connection.ts'
import type { Answer } from './contact.ts'
import { errorOfProblem, GrapevineError } from './grapevine-error.ts'
import { nodeTimeout } from './node-timeout.ts'

/** One operation on one key, ready for the wire. */
export type Operation = BatchOp<Uint8Array>

/** What all operations of one request have in common. */
export interface Manner {
  readonly w: WriteConcern | undefined
  readonly consistency: Consistency | undefined
}

/** What a node says of an operation that succeeded, however it was asked. */
export interface OperationResult {
  readonly etag: string
  readonly acks: Acks | undefined
  readonly value: Uint8Array | undefined
  readonly contentType: string | undefined
  readonly expiresAt: Date | undefined
  readonly lastModified: Date | undefined
  readonly servedBy: string | undefined
}

/** The operation as a request of its own. */
export function singleRequest(
  operation: Operation,
  { w, consistency }: Manner,
  timeoutMs: number,
): { readonly path: string; readonly init: InnerRequest } {
  const { segment, base64url } = encodeKeySegment(bytesOfKeyFields(operation) ?? new Uint8Array())
  const path = (...query: string[]): string =>
    `/v1/kv/${operation.bucket}/${segment}?${[...query, ...(base64url ? ['key_encoding=base64url'] : [])].join('&')}`.replace(
      /\?$/,
      '',
    )
  if (operation.op === 'get') {
    const query = consistency === undefined ? [] : [`consistency=${consistency}`, `timeout=${nodeTimeout(timeoutMs)}`]
    return { path: path(...query), init: { method: 'GET', safe: true, asksOthers: asksOthers(consistency) } }
  }
  const { ifMatch, ifAbsent, id } = operation
  const headers: Record<string, string> = {}
  if (ifMatch !== undefined) headers['if-match'] = quoteEtag(ifMatch)
  if (ifAbsent === true) headers['if-none-match'] = '*'
  if (id !== undefined) headers[HEADERS.idempotencyKey] = id
  const query = [`timeout=${nodeTimeout(timeoutMs)}`]
  if (w !== undefined) query.push(`w=${w}`)
  const common = { headers, safe: false, idempotent: id !== undefined, asksOthers: w !== undefined && w !== 1 }
  if (operation.op === 'delete') return { path: path(...query), init: { ...common, method: 'DELETE' } }
  const { value, contentType, ttl } = operation
  if (ttl !== undefined) query.push(`ttl=${ttl}`)
  if (contentType !== undefined) headers['content-type'] = contentType
  return { path: path(...query), init: { ...common, method: 'PUT', body: value } }
}

/** @throws {GrapevineError} `bad_answer` for what has no version: it comes from something that is no node. */
export function resultOfAnswer({ headers, body }: Answer): OperationResult {
  const etag = headers.get('etag')
  if (etag === null)
    throw new GrapevineError({ code: 'bad_answer', message: 'The answer has no ETag.', outcome: 'unknown' })
  return {
    etag: etag.replace(/^"(.*)"$/, '$1'),
    acks: parseAcks(headers.get(HEADERS.acks) ?? ''),
    value: body,
    contentType: headers.get('content-type') ?? undefined,
    expiresAt: dateOf(headers.get(HEADERS.expiresAt)),
    lastModified: dateOf(headers.get('last-modified')),
    servedBy: headers.get(HEADERS.servedBy) ?? undefined,
  }
}

/**
 * Of an operation in a batch that failed this is the error, with the outcome that its problem tells.
 * @throws {TypeError} for what is no result.
 */
export function resultOfBatch(
  result: BatchResult<Uint8Array>,
  servedBy: string | undefined,
): OperationResult | GrapevineError {
  const { status, etag = '', acks, value, contentType, expiresAt, lastModified, problem } = result
  if (problem !== undefined) return errorOfProblem(problem)
  if (!(status >= 200 && status < 300)) throw new TypeError('This is no result of an operation.')
  return {
    etag,
    acks,
    value,
    contentType,
    expiresAt: dateOf(expiresAt),
    lastModified: dateOf(lastModified),
    servedBy,
  }
}

export function asksOthers(consistency: Consistency | undefined): boolean {
  return consistency === 'quorum' || consistency === 'all'
}

/** `*` means any version. */
function quoteEtag(etag: string): string {
  return etag === '*' || etag.startsWith('"') ? etag : `"${etag}"`
}

function dateOf(text: string | null | undefined): Date | undefined {
  const date = new Date(text ?? Number.NaN)
  return Number.isNaN(date.getTime()) ? undefined : date
}
