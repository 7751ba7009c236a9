import { decodeUtf8, encodeUtf8, isBucketName, KEY_BYTES_MAX } from '@grapevine/contract'
import { GrapevineError } from './grapevine-error.ts'

/** Text stands for its UTF-8 bytes, so `'é'` and `new TextEncoder().encode('é')` are one key. Nothing is normalised. */
export type Key = string | Uint8Array

/**
 * The bytes of a key.
 * @throws {GrapevineError} `bad_key`, before anything is sent: for a key that is empty or longer than 1024 bytes,
 * and for text with a lone surrogate, which has no bytes. Give such a key as bytes of your own choosing.
 */
export function bytesOfKey(key: Key): Uint8Array {
  const bytes = boundBytes(key, 'The key')
  if (bytes.length === 0) throw badKey('The key is empty: it needs at least one byte.')
  if (bytes.length > KEY_BYTES_MAX) throw badKey(`The key has ${bytes.length} bytes; ${KEY_BYTES_MAX} is the most.`)
  return bytes
}

/** A prefix or the end of a range, which may be empty. */
export function boundBytes(bound: Key, what: string): Uint8Array {
  const bytes = typeof bound === 'string' ? encodeUtf8(bound) : bound
  if (bytes === undefined) throw badKey(`${what} holds a lone surrogate, which has no UTF-8: give bytes instead.`)
  return bytes
}

/** Text where the bytes are UTF-8, which gives the same key back; otherwise the bytes. */
export function keyOfBytes(bytes: Uint8Array): Key {
  return decodeUtf8(bytes) ?? bytes
}

export function checkBucket(name: string): string {
  if (isBucketName(name)) return name
  const message = `${JSON.stringify(name)} is no bucket name: 1 to 63 of a-z, 0-9, '.', '_', '-', not beginning with a sign.`
  throw new GrapevineError({ code: 'bad_bucket', message, outcome: 'not-applied' })
}

function badKey(message: string): GrapevineError {
  return new GrapevineError({ code: 'bad_key', message, outcome: 'not-applied' })
}
