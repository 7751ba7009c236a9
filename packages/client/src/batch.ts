import {
  BATCH_BYTES_MAX,
  BATCH_OPS_MAX,
  HEADERS,
  type Acks,
  type BatchRequest,
  type BatchResult,
  type WriteConcern,
} from '@grapevine/contract'
import { checkContentType, checkId, checkTtl } from './arguments.ts'
import type { CallOptions, Connection } from './connection.ts'
import { GrapevineError, withOutcome } from './grapevine-error.ts'
import { checkBucket, fieldsOfKey, type Key } from './key.ts'
import { nodeTimeout } from './node-timeout.ts'
import { resultOfBatch, type Operation, type OperationResult } from './operation.ts'
import type { SessionTokens } from './session-tokens.ts'

export interface BatchOptions extends CallOptions {
  /** Of every write in it. */
  readonly w?: WriteConcern | undefined
}

interface Where {
  readonly bucket: string
  readonly key: Key
}

interface Condition {
  readonly ifMatch?: string | undefined
  readonly ifAbsent?: boolean | undefined
  /** Idempotency key, instead of one of the client's making. */
  readonly id?: string | undefined
}

export type BatchOperation =
  | (Where &
      Condition & {
        readonly op: 'put'
        readonly value: Uint8Array
        readonly contentType?: string | undefined
        /** A duration as `30s`, or milliseconds. */
        readonly ttl?: string | number | undefined
      })
  | (Where & Condition & { readonly op: 'delete' })
  | (Where & { readonly op: 'get' })

/** What became of one operation. Of a missing key `error` is `not_found`. */
export interface BatchOutcome {
  readonly etag: string | undefined
  readonly acks: Acks | undefined
  readonly value: Uint8Array | undefined
  readonly contentType: string | undefined
  readonly error: GrapevineError | undefined
}

/**
 * Sends many operations in as few requests as the limits permit, one request after the other. It is no
 * transaction: each operation has an outcome of its own, and one that fails does not stop the others.
 * @throws {GrapevineError} only for arguments that cannot be right, before anything is sent.
 */
export async function sendBatch(
  operations: readonly BatchOperation[],
  options: BatchOptions,
  connection: Connection,
  session: SessionTokens | undefined,
): Promise<BatchOutcome[]> {
  const outcomes: BatchOutcome[] = []
  const ops = operations.map((operation) => operationOf(operation, connection))
  for (const part of splitBatch(ops)) {
    const results = await sendOperations(part, options, connection, session).catch((error: unknown) => {
      if (error instanceof GrapevineError) return part.map((op) => errorFor(op, error))
      throw error
    })
    outcomes.push(...results.map(outcomeOf))
  }
  return outcomes
}

/**
 * One request for operations that fit one. The results are in their order, and of those that failed errors.
 * @throws {GrapevineError} when there is no answer for any of them.
 */
export async function sendOperations(
  ops: readonly Operation[],
  { w, timeoutMs = Number.NaN, signal }: BatchOptions,
  connection: Connection,
  session: SessionTokens | undefined,
): Promise<(OperationResult | GrapevineError)[]> {
  const { batchFormat } = connection
  const ms = Number.isNaN(timeoutMs) ? connection.timeoutMs : timeoutMs
  const request: BatchRequest<Uint8Array> = { ops, ...(w !== undefined && { w }), timeout: nodeTimeout(ms) }
  const safe = ops.every((op) => op.op === 'get')
  const answer = await connection.request('/v1/batch', {
    method: 'POST',
    headers: { 'content-type': batchFormat.mediaType, accept: batchFormat.mediaType },
    body: batchFormat.encode(request),
    safe,
    idempotent: ops.every((op) => op.op === 'get' || op.id !== undefined),
    asksOthers: w !== undefined && w !== 1,
    timeoutMs: ms,
    signal,
    session,
  })
  const servedBy = answer.headers.get(HEADERS.servedBy) ?? undefined
  const results = readResults(() => batchFormat.decode(answer.body).results, ops.length, safe)
  return results.map((result) => resultOfBatch(result, servedBy))
}

/** What a failure of the whole request means for one operation in it. */
export function errorFor(op: Operation, error: GrapevineError): GrapevineError {
  return op.op === 'get' ? withOutcome(error, undefined) : error
}

/** In order, so that each part fits one request. An operation too large for any stands alone, and is refused there. */
export function splitBatch(
  ops: readonly Operation[],
  opsMax: number = BATCH_OPS_MAX,
  bytesMax: number = BATCH_BYTES_MAX,
): Operation[][] {
  const parts: Operation[][] = []
  let bytes = Infinity
  for (const op of ops) {
    const size = bytesOfOperation(op)
    const part = parts.at(-1)
    if (part === undefined || part.length >= opsMax || bytes + size > bytesMax) {
      parts.push([op])
      bytes = ENVELOPE_BYTES + size
    } else {
      part.push(op)
      bytes += size
    }
  }
  return parts
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

function readResults(
  read: () => readonly BatchResult<Uint8Array>[],
  count: number,
  safe: boolean,
): readonly BatchResult<Uint8Array>[] {
  let message = `The answer to a batch of ${count} operations cannot be read.`
  try {
    const results = read()
    if (results.length === count) return results
    message = `${count} operations were answered by ${results.length} results.`
  } catch (cause) {
    throw badAnswer(message, safe, cause)
  }
  throw badAnswer(message, safe, undefined)
}

function badAnswer(message: string, safe: boolean, cause: unknown): GrapevineError {
  return new GrapevineError({ code: 'bad_answer', message, outcome: safe ? undefined : 'unknown', cause })
}

function outcomeOf(result: OperationResult | GrapevineError): BatchOutcome {
  if (result instanceof GrapevineError)
    return { etag: undefined, acks: undefined, value: undefined, contentType: undefined, error: result }
  const { etag, acks, value, contentType } = result
  return { etag, acks, value, contentType, error: undefined }
}

function operationOf(operation: BatchOperation, connection: Connection): Operation {
  const where = { bucket: checkBucket(operation.bucket), ...fieldsOfKey(operation.key) }
  if (operation.op === 'get') return { op: 'get', ...where }
  const { ifMatch, ifAbsent } = operation
  const id = operation.id === undefined ? connection.nextWriteId() : checkId(operation.id)
  const condition = {
    ...(id !== undefined && { id }),
    ...(ifMatch !== undefined && { ifMatch }),
    ...(ifAbsent === true && { ifAbsent }),
  }
  if (operation.op === 'delete') return { op: 'delete', ...where, ...condition }
  const { value, contentType, ttl } = operation
  return {
    op: 'put',
    ...where,
    // A copy: the caller may use its buffer again while parts of the batch wait for others.
    value: value.slice(),
    ...(contentType !== undefined && { contentType: checkContentType(contentType) }),
    ...(ttl !== undefined && { ttl: checkTtl(ttl) }),
    ...condition,
  }
}
