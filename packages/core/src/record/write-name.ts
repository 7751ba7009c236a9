import { bytesOf, type ByteString } from '../bytes/latin1.ts'
import type { Hash } from '../ports.ts'
import type { Precondition } from '../version/precondition.ts'
import type { Address } from './address.ts'

/** The first 16 bytes of the SHA-256 of an idempotency key: however long that is, rows and envelopes stay small. */
export type WriteId = ByteString

export const WRITE_ID_BYTES = 16
export const FINGERPRINT_BYTES = 8

/**
 * What a client called its write, so that a repetition is known for one. It is part of the entry, and so travels with it by
 * every way: rumor, pull, exchange, snapshot.
 */
export interface WriteName {
  readonly id: WriteId
  /** The first 8 bytes of a hash of all that makes the request what it is: the same key with another one is a mistake. */
  readonly fingerprint: ByteString
}

/** What makes a request the same (contract, `idempotency.ts`); not `w`, the time-out or the session. */
export interface NamedRequest {
  readonly address: Address
  readonly value: Uint8Array | undefined
  readonly contentType: string
  /** As the request says it: its expiry would be another one at each attempt. `undefined` when it says nothing. */
  readonly ttlMs: number | undefined
  readonly precondition: Precondition | undefined
}

export function writeNameOf(key: string, request: NamedRequest, hash: Hash): WriteName {
  const { address, value, contentType, ttlMs, precondition } = request
  const method = value === undefined ? 'delete' : 'put'
  const said = JSON.stringify([method, address, contentType, ttlMs ?? null, precondition ?? null])
  const parts = hash.sha256(bytesOf(said)) + (value === undefined ? '' : hash.sha256(value))
  return {
    id: hash.sha256(bytesOf(key)).slice(0, WRITE_ID_BYTES),
    fingerprint: hash.sha256(bytesOf(parts)).slice(0, FINGERPRINT_BYTES),
  }
}
