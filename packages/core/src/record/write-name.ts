import { bytesOf, writeByteString, type ByteString } from '../bytes/latin1.ts'
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
  // A JSON array tells by itself where it ends, so what comes behind it can only be the value.
  const said = JSON.stringify([method, address, contentType, ttlMs ?? null, precondition ?? null])
  const bytes = new Uint8Array(said.length + (value?.length ?? 0))
  writeByteString(bytes, 0, said)
  if (value !== undefined) bytes.set(value, said.length)
  return {
    id: hash.sha256(bytesOf(key)).slice(0, WRITE_ID_BYTES),
    fingerprint: hash.sha256(bytes).slice(0, FINGERPRINT_BYTES),
  }
}
