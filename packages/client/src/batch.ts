import {
  BATCH_BYTES_MAX,
  BATCH_OPS_MAX,
  decodeBase64,
  encodeBase64,
  keyFieldsOf,
  type Acks,
  type BatchBody,
  type BatchOp,
  type BatchRequest,
  type BatchResult,
  type WriteConcern,
} from '@grapevine/contract'
import { checkTtl } from './bucket.ts'
import type { CallOptions, Connection } from './connection.ts'
import { errorOfProblem, GrapevineError } from './grapevine-error.ts'
import { bytesOfKey, checkBucket, type Key } from './key.ts'
import { nodeTimeout } from './node-timeout.ts'

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
}

export type BatchOperation =
  | (Where &
      Condition & {
        readonly op: 'put'
        readonly value: Uint8Array
        readonly contentType?: string | undefined
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
): Promise<BatchOutcome[]> {
  const outcomes: BatchOutcome[] = []
  for (const ops of splitBatch(operations.map(wireOpOf))) outcomes.push(...(await sendOne(ops, options, connection)))
  return outcomes
}

/** In order, so that each part fits one request. An operation too large for any stands alone, and is refused there. */
export function splitBatch(
  ops: readonly BatchOp[],
  opsMax: number = BATCH_OPS_MAX,
  bytesMax: number = BATCH_BYTES_MAX,
): BatchOp[][] {
  const parts: BatchOp[][] = []
  let bytes = Infinity
  for (const op of ops) {
    const size = sizeOf(op)
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
const ENVELOPE_BYTES = 100
/** Names and signs of the fields beside their content. */
const OP_BYTES = 160

/** Not less than the JSON's bytes: a character of a key is at most six of them, when it is escaped. */
function sizeOf(op: BatchOp): number {
  const value = op.op === 'put' ? op.value.length + (op.contentType?.length ?? 0) : 0
  return OP_BYTES + op.bucket.length + 6 * op.key.length + value
}

async function sendOne(
  ops: readonly BatchOp[],
  { w, timeoutMs, signal }: BatchOptions,
  connection: Connection,
): Promise<BatchOutcome[]> {
  const ms = timeoutMs ?? connection.timeoutMs
  const request: BatchRequest = { ops, ...(w !== undefined && { w }), timeout: nodeTimeout(ms) }
  const safe = ops.every((op) => op.op === 'get')
  try {
    const { results } = await connection.requestJson<BatchBody>('/v1/batch', { json: request, safe, timeoutMs, signal })
    if (results.length === ops.length) return results.map(outcomeOf)
    throw new GrapevineError({
      code: 'bad_answer',
      message: `${ops.length} operations were answered by ${results.length} results.`,
      outcome: 'unknown',
    })
  } catch (error) {
    if (!(error instanceof GrapevineError)) throw error
    return ops.map(() => ({ ...NOTHING, error }))
  }
}

const NOTHING = { etag: undefined, acks: undefined, value: undefined, contentType: undefined }

function outcomeOf({ etag, acks, value, contentType, problem, status }: BatchResult): BatchOutcome {
  if (problem !== undefined) return { ...NOTHING, error: errorOfProblem(problem) }
  if (status >= 400)
    return { ...NOTHING, error: new GrapevineError({ code: 'bad_answer', status, message: `Status ${status}.` }) }
  return {
    etag,
    acks,
    value: value === undefined ? undefined : decodeBase64(value),
    contentType,
    error: undefined,
  }
}

function wireOpOf(operation: BatchOperation): BatchOp {
  const where = { bucket: checkBucket(operation.bucket), ...keyFieldsOf(bytesOfKey(operation.key)) }
  if (operation.op === 'get') return { op: 'get', ...where }
  const { ifMatch, ifAbsent } = operation
  const condition = { ...(ifMatch !== undefined && { ifMatch }), ...(ifAbsent === true && { ifAbsent }) }
  if (operation.op === 'delete') return { op: 'delete', ...where, ...condition }
  const { value, contentType, ttl } = operation
  return {
    op: 'put',
    ...where,
    value: encodeBase64(value),
    ...(contentType !== undefined && { contentType }),
    ...(ttl !== undefined && { ttl: checkTtl(ttl) }),
    ...condition,
  }
}
