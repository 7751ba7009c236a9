import type { ByteString } from '../bytes/latin1.ts'
import type { Hlc } from '../clock/hlc.ts'
import type { Dot, Version } from '../version/version.ts'
import type { Address } from './address.ts'
import type { WriteName } from './write-name.ts'

/** 32 bytes of SHA-256. */
export type Digest = ByteString

/** One key's record: a value, or a tombstone (the memory of a deletion). Immutable once it has a version. */
export interface Entry {
  readonly address: Address
  /** SHA-256 of the address: the top 8 bits are the partition, the top 16 the leaf. */
  readonly keyHash: Digest
  readonly version: Version
  readonly dot: Dot
  /** Milliseconds since 1970, or 0 for never. */
  readonly expiresAtMs: number
  readonly contentType: string
  /** `undefined` in a tombstone. An empty value is a value. */
  readonly value: Uint8Array | undefined
  /** What the client called this write, if it did. */
  readonly name: WriteName | undefined
  /** SHA-256 of the envelope's body, which covers every other field. */
  readonly hash: Digest
  /** The bytes that go to disk and to other replicas: the hash, then the body. */
  readonly envelope: Uint8Array
}

export function isTombstone(entry: Entry): boolean {
  return entry.value === undefined
}

/** An expired entry reads as absent, but is kept and hashed as it was (frontier.md R10). */
export function isExpired(entry: Pick<Entry, 'expiresAtMs'>, wallMs: number): boolean {
  return entry.expiresAtMs !== 0 && entry.expiresAtMs <= wallMs
}

/** Whether a reader sees a value here. */
export function isVisible(entry: Entry, wallMs: number): boolean {
  return entry.value !== undefined && !isExpired(entry, wallMs)
}

/** What an expired or deleted entry must be behind the frontier of before it may go (R10). */
export function purgeableAt(entry: Entry): Hlc | undefined {
  if (entry.value === undefined) return entry.version.hlc
  if (entry.expiresAtMs === 0) return undefined
  const expiry: Hlc = { wallMs: entry.expiresAtMs, counter: 0 }
  return expiry.wallMs > entry.version.hlc.wallMs ? expiry : entry.version.hlc
}
