import { byteStringOf, bytesOf } from '../bytes/latin1.ts'
import { WALL_MS_MAX } from '../clock/hlc.ts'

/** What holds for all writes to a bucket that do not say otherwise. */
export interface BucketPolicy {
  /** How long a value lives when its write names no time of its own, or 0 for ever. */
  readonly ttlMs: number
}

export const NO_POLICY: BucketPolicy = { ttlMs: 0 }

/** The value of the entry that keeps a policy: JSON, so that later versions may add to it. */
export function encodePolicy({ ttlMs }: BucketPolicy): Uint8Array {
  return bytesOf(JSON.stringify({ ttlMs }))
}

/** What is not understood is no policy: a value must never live shorter because of a mistake. */
export function decodePolicy(value: Uint8Array | undefined): BucketPolicy {
  if (value === undefined) return NO_POLICY
  try {
    const fields: unknown = JSON.parse(byteStringOf(value))
    if (typeof fields !== 'object' || fields === null || !('ttlMs' in fields)) return NO_POLICY
    const { ttlMs } = fields
    return typeof ttlMs === 'number' && Number.isSafeInteger(ttlMs) && ttlMs > 0 ? { ttlMs } : NO_POLICY
  } catch {
    return NO_POLICY
  }
}

/** When a value that is written now expires by its bucket's policy: milliseconds since 1970, or 0 for never. */
export function expiryByPolicy({ ttlMs }: BucketPolicy, wallMs: number): number {
  return ttlMs === 0 ? 0 : Math.min(WALL_MS_MAX, Math.floor(wallMs) + ttlMs)
}
