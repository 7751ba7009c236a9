import { bytesOf, type Digest, type Entry, type Hash } from '@grapevine/core'

export const SUM_BYTES = 32

/** What an entry adds to the sum of its leaf: SHA-256(0x00 ‖ key hash ‖ entry hash). */
export function entryDigest({ keyHash, hash: entryHash }: Pick<Entry, 'keyHash' | 'hash'>, hash: Hash): Digest {
  return hash.sha256(bytesOf(`\0${keyHash}${entryHash}`))
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
