import { decodeBase64Url, encodeBase64Url } from './base64.ts'
import { decodeUtf8, encodeUtf8 } from './utf8.ts'

/**
 * A key in JSON: as text where its bytes are valid UTF-8, otherwise as base64url and marked so. Bytes are bytes:
 * nothing is normalised, and a NUL, a slash or an NFD form is kept as it is.
 */
export interface KeyFields {
  readonly key: string
  readonly keyEncoding?: 'base64url'
}

export function keyFieldsOf(bytes: Uint8Array): KeyFields {
  const text = decodeUtf8(bytes)
  return text === undefined ? { key: encodeBase64Url(bytes), keyEncoding: 'base64url' } : { key: text }
}

/** The bytes of a key in JSON, or `undefined` for what is none: a lone surrogate, base64url not in canonical form. */
export function bytesOfKeyFields({ key, keyEncoding }: KeyFields): Uint8Array | undefined {
  return keyEncoding === 'base64url' ? decodeBase64Url(key) : encodeUtf8(key)
}

/** A key as one segment of a path, and whether the query must say `key_encoding=base64url`. */
export interface KeySegment {
  readonly segment: string
  readonly base64url: boolean
}

/**
 * Percent-encoded text where that arrives unharmed, base64url where it may not: `new URL` and `fetch` collapse `.`
 * and `..` even when they are percent-encoded, and proxies are known to touch control characters and backslashes.
 */
export function encodeKeySegment(bytes: Uint8Array): KeySegment {
  const text = decodeUtf8(bytes)
  if (text === undefined || needsBase64Url(text)) return { segment: encodeBase64Url(bytes), base64url: true }
  return { segment: encodeURIComponent(text), base64url: false }
}

function needsBase64Url(text: string): boolean {
  // oxlint-disable-next-line no-control-regex -- They are what is looked for.
  return text === '.' || text === '..' || /[\u0000-\u001f\u007f\\]/.test(text)
}

export function isBucketName(text: string): boolean {
  return /^[a-z0-9][a-z0-9._-]{0,62}$/.test(text)
}
