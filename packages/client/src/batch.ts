import type { Acks, WriteConcern } from '@grapevine/contract'
import { checkCondition, checkContentType, checkTtl, type Condition } from './arguments.ts'
import type { BucketContext } from './bucket.ts'
import type { CallOptions, Connection } from './connection.ts'
import { Dispatcher } from './dispatcher.ts'
import { GrapevineError } from './grapevine-error.ts'
import { checkBucket, fieldsOfKey, type Key } from './key.ts'
import type { Operation, OperationResult } from './operation.ts'

export interface BatchOptions extends CallOptions {
  /** Of every write in it. */
  readonly w?: WriteConcern | undefined
}

interface Where {
  readonly bucket: string
  readonly key: Key
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
 * Sends many operations in as few requests as the limits permit. It is no transaction: each operation has an outcome of its
 * own, and one that fails does not stop the others.
 * @throws {GrapevineError} only for arguments that cannot be right, before anything is sent.
 */
export async function sendBatch(
  operations: readonly BatchOperation[],
  options: BatchOptions,
  { connection, session }: BucketContext,
): Promise<BatchOutcome[]> {
  // One of its own: what the caller made one batch is neither mixed with others nor taken apart.
  const dispatcher = new Dispatcher(connection, session, 'together')
  const ops = operations.map((operation) => operationOf(operation, connection))
  return Promise.all(ops.map((op) => dispatcher.submit(op, options).then(outcomeOf, failureOf)))
}

/** Of an outcome that is none. */
export const NOTHING = { etag: undefined, acks: undefined, value: undefined, contentType: undefined }

function outcomeOf(result: OperationResult | undefined): BatchOutcome {
  if (result === undefined)
    return failureOf(new GrapevineError({ code: 'not_found', status: 404, message: 'No value.' }))
  const { etag, acks, value, contentType } = result
  return { etag, acks, value, contentType, error: undefined }
}

/** What is no failure of the world is thrown on. */
function failureOf(error: unknown): BatchOutcome {
  if (error instanceof GrapevineError) return { ...NOTHING, error }
  throw error
}

function operationOf(operation: BatchOperation, connection: Connection): Operation {
  const where = { bucket: checkBucket(operation.bucket), ...fieldsOfKey(operation.key) }
  if (operation.op === 'get') return { op: 'get', ...where }
  const condition = checkCondition(operation, connection.nextWriteId)
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
