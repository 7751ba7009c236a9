import { HEADERS, type BatchRequest, type WriteConcern } from '@grapevine/contract'
import type { Connection } from './connection.ts'
import type { Answer } from './contact.ts'
import { GrapevineError, withOutcome } from './grapevine-error.ts'
import { nodeTimeout } from './node-timeout.ts'
import { resultOfBatch, type Operation, type OperationResult } from './operation.ts'
import type { SessionTokens } from './session-tokens.ts'

interface SendOptions {
  readonly w: WriteConcern | undefined
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/**
 * One request for operations that fit one. The results are in their order, and of those that failed errors.
 * @throws {GrapevineError} when there is no answer for any of them.
 */
export async function sendOperations(
  ops: readonly Operation[],
  { w, timeoutMs, signal }: SendOptions,
  connection: Connection,
  session: SessionTokens | undefined,
): Promise<(OperationResult | GrapevineError)[]> {
  const { batchFormat } = connection
  const request: BatchRequest<Uint8Array> = { ops, ...(w !== undefined && { w }), timeout: nodeTimeout(timeoutMs) }
  const safe = ops.every((op) => op.op === 'get')
  const answer = await connection.request('/v1/batch', {
    method: 'POST',
    headers: { 'content-type': batchFormat.mediaType, accept: batchFormat.mediaType },
    body: batchFormat.encode(request),
    safe,
    idempotent: ops.every((op) => op.op === 'get' || op.id !== undefined),
    asksOthers: w !== undefined && w !== 1,
    timeoutMs,
    signal,
    session,
  })
  const servedBy = answer.headers.get(HEADERS.servedBy) ?? undefined
  try {
    const results = batchFormat
      .decode(answer.body)
      .results.map((result, index) => inFullView(resultOfBatch(result, servedBy), ops[index], answer))
    if (results.length === ops.length) return results
    throw new RangeError(`${ops.length} operations were answered by ${results.length} results.`)
  } catch (cause) {
    const message = 'The answer to a batch cannot be read.'
    throw new GrapevineError({ code: 'bad_answer', message, outcome: safe ? undefined : 'unknown', cause })
  }
}

/** The node that answers knows nothing of an attempt at another one. */
function inFullView(
  result: OperationResult | GrapevineError,
  op: Operation | undefined,
  { inDoubt }: Answer,
): OperationResult | GrapevineError {
  const isDoubtful = inDoubt === true && op?.op !== 'get' && result instanceof GrapevineError
  return isDoubtful ? withOutcome(result, 'unknown') : result
}

/** What a failure of the whole request means for one operation in it. */
export function errorFor(op: Operation, error: GrapevineError): GrapevineError {
  return op.op === 'get' ? withOutcome(error, undefined) : error
}

/** `{"ops":[],"w":"quorum","timeout":"…"}` */
export const ENVELOPE_BYTES = 100
/** Names and signs of the fields beside their content, and an idempotency key of ours. */
const OP_BYTES = 220

/**
 * Not less than it takes in either form: in JSON a value grows by a third, and a character of a key is at most six of
 * its bytes, when it is escaped.
 */
export function bytesOfOperation(op: Operation): number {
  const value = op.op === 'put' ? Math.ceil(op.value.length / 3) * 4 + (op.contentType?.length ?? 0) : 0
  const condition = op.op === 'get' ? 0 : (op.id?.length ?? 0) + (op.ifMatch?.length ?? 0)
  return OP_BYTES + op.bucket.length + 6 * op.key.length + value + condition
}
