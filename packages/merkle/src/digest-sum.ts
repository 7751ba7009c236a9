import { writeByteString, type Digest, type Entry, type Hash } from '@grapevine/core'

export const SUM_BYTES = 32
const HASH_BYTES = 32
/** What is hashed, made once: 0x00, the key hash, the entry hash. Nothing else runs between filling and hashing it. */
const INPUT: Uint8Array = new Uint8Array(1 + 2 * HASH_BYTES)

/** What an entry adds to the sum of its leaf: SHA-256(0x00 ‖ key hash ‖ entry hash). */
export function entryDigest({ keyHash, hash: entryHash }: Pick<Entry, 'keyHash' | 'hash'>, hash: Hash): Digest {
  writeByteString(INPUT, 1, keyHash)
  writeByteString(INPUT, 1 + HASH_BYTES, entryHash)
  return hash.sha256(INPUT)
}

/** Adds a digest to a sum, in place, as big-endian integers modulo 2²⁵⁶. */
export function addDigest(sum: Uint8Array, digest: Digest): void {
  let carry = 0
  for (let index = SUM_BYTES - 1; index >= 0; index--) {
    const total = (sum[index] ?? 0) + digest.charCodeAt(index) + carry
    sum[index] = total
    carry = total >>> 8
  }
}

/** Takes a digest out of a sum again, in place: the inverse of {@link addDigest}. */
export function subtractDigest(sum: Uint8Array, digest: Digest): void {
  let borrow = 0
  for (let index = SUM_BYTES - 1; index >= 0; index--) {
    const difference = (sum[index] ?? 0) - digest.charCodeAt(index) - borrow
    sum[index] = difference
    borrow = difference < 0 ? 1 : 0
  }
}
