import type { Acks } from './acks.ts'
import type { KeyFields } from './key.ts'
import type { Problem } from './problem.ts'
import type { WriteConcern } from './write-concern.ts'

interface BatchAddress extends KeyFields {
  readonly bucket: string
}

interface BatchWrite extends BatchAddress {
  readonly ifMatch?: string
  readonly ifAbsent?: boolean
  /** Idempotency key of this operation, as `Idempotency-Key` of a single request. */
  readonly id?: string
}

/** `Bytes` is base64 text in JSON and a `Uint8Array` in msgpack. */
export interface BatchPut<Bytes = string> extends BatchWrite {
  readonly op: 'put'
  readonly value: Bytes
  readonly contentType?: string
  /** A duration: `30s`; `none` to live for ever in a bucket whose policy says otherwise. */
  readonly ttl?: string
}

export interface BatchGet extends BatchAddress {
  readonly op: 'get'
}

export interface BatchDelete extends BatchWrite {
  readonly op: 'delete'
}

export type BatchOp<Bytes = string> = BatchPut<Bytes> | BatchGet | BatchDelete

/**
 * Many operations in one request. Each stands alone: this is not a transaction. `Grapevine-Session` is of the request as
 * a whole: every `get` and every condition waits for it, and the one token of the answer contains all results.
 */
export interface BatchRequest<Bytes = string> {
  readonly ops: readonly BatchOp<Bytes>[]
  /** Of every write in it. */
  readonly w?: WriteConcern
  /** A duration. */
  readonly timeout?: string
}

/** What the operation would have answered by itself. */
export interface BatchResult<Bytes = string> {
  readonly status: number
  readonly etag?: string
  readonly acks?: Acks
  readonly value?: Bytes
  readonly contentType?: string
  readonly expiresAt?: string
  /** RFC 3339. Of a `get`: when the version was made. */
  readonly lastModified?: string
  readonly problem?: Problem
}

export interface BatchBody<Bytes = string> {
  /** One for each operation, in their order. */
  readonly results: readonly BatchResult<Bytes>[]
}
