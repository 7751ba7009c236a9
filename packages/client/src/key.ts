import {
  decodeUtf8,
  decodeWtf8,
  encodeUtf8,
  encodeWtf8,
  isBucketName,
  KEY_BYTES_MAX,
  keyFieldsOf,
  type KeyFields,
} from '@grapevine/contract'
import { GrapevineError } from './grapevine-error.ts'

/**
 * Text stands for its UTF-8 bytes, so `'é'` and `new TextEncoder().encode('é')` are one key. Nothing is normalised.
 * A lone surrogate, which has no UTF-8, stands for the three bytes that the scheme of UTF-8 gives its number (WTF-8), so
 * that every text is a key and no two texts are the same one.
 */
export type Key = string | Uint8Array

/** Whatever is no longer than this in UTF-16 is within the limit in UTF-8. */
const SHORT_CHARS = Math.floor(KEY_BYTES_MAX / 3)

/**
 * The bytes of a key.
 * @throws {GrapevineError} `bad_key`, before anything is sent: for a key that is empty or longer than 1024 bytes.
 */
export function bytesOfKey(key: Key): Uint8Array {
  const bytes = bytesOfBound(key)
  if (bytes.length > 0 && bytes.length <= KEY_BYTES_MAX) return bytes
  const wrong = bytes.length === 0 ? 'is empty' : `has ${bytes.length} bytes`
  const message = `The key ${wrong}: 1 to ${KEY_BYTES_MAX} are allowed.`
  throw new GrapevineError({ code: 'bad_key', message, outcome: 'not-applied' })
}

/** A prefix or an end of a range, which may be empty. */
export function bytesOfBound(bound: Key): Uint8Array {
  return typeof bound === 'string' ? (encodeUtf8(bound) ?? encodeWtf8(bound)) : bound
}

/** As it stands in JSON. */
export function fieldsOfKey(key: Key): KeyFields {
  if (typeof key === 'string' && key.length > 0 && key.length <= SHORT_CHARS && key.isWellFormed()) return { key }
  return keyFieldsOf(bytesOfKey(key))
}

/** Text where the bytes are those of a text, which gives the same key back; otherwise the bytes. */
export function keyOfBytes(bytes: Uint8Array): Key {
  return decodeUtf8(bytes) ?? decodeWtf8(bytes) ?? bytes
}

export function checkBucket(name: string): string {
  if (isBucketName(name)) return name
  const message = `${JSON.stringify(name)} is no bucket name: 1 to 63 of a-z 0-9 . _ -, not a sign first.`
  throw new GrapevineError({ code: 'bad_bucket', message, outcome: 'not-applied' })
}
