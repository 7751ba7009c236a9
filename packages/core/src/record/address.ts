import type { ByteString } from '../bytes/latin1.ts'

/**
 * Where a record lives: the bucket, a NUL, the key's bytes, as one byte string. One value serves as map key, as
 * the row's name in the store and as the input of the key hash. It sorts by bucket, then bytewise by key.
 */
export type Address = ByteString

export const KEY_BYTES_MAX = 1024
const BUCKET = /^[a-z0-9][a-z0-9._-]{0,62}$/

export function addressOf(bucket: string, key: ByteString): Address {
  return `${bucket}\0${key}`
}

/** The bucket's name cannot hold a NUL, so the first one ends it, whatever bytes the key has. */
export function bucketOf(address: Address): string {
  return address.slice(0, address.indexOf('\0'))
}

export function keyOf(address: Address): ByteString {
  return address.slice(address.indexOf('\0') + 1)
}

/**
 * Where the cluster keeps its own entries, such as the policies of buckets. No client can name it, since no bucket's name
 * begins like it; otherwise these are entries as all others, so that rumors, pulls and trees carry them.
 */
const RESERVED_BUCKET = '_buckets'

/** The policy of a bucket is an entry too. */
export function policyAddress(bucket: string): Address {
  return addressOf(RESERVED_BUCKET, bucket)
}

/** Whether this is the cluster's own, which no list and no count of keys shows. */
export function isReserved(address: Address): boolean {
  return address.charCodeAt(0) === UNDERSCORE
}

const UNDERSCORE = 0x5f

export function isBucketName(text: string): boolean {
  return BUCKET.test(text)
}

/** Whether bytes from outside are an address: a bucket's name, NUL, 1 to 1024 bytes of key. */
export function isAddress(text: ByteString): boolean {
  const nul = text.indexOf('\0')
  const keyBytes = text.length - nul - 1
  if (nul <= 0 || keyBytes < 1 || keyBytes > KEY_BYTES_MAX) return false
  const bucket = text.slice(0, nul)
  return isBucketName(bucket) || (bucket === RESERVED_BUCKET && isBucketName(text.slice(nul + 1)))
}
