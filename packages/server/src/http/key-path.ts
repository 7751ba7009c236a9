import { decodeBase64Url } from '@grapevine/contract'
import { addressOf, byteStringOf, isBucketName, KEY_BYTES_MAX, type Address, type ByteString } from '@grapevine/core'
import { ProblemError } from './problem.ts'
import { badQuery, isUtf8Bytes, percentDecoded } from './query.ts'

/** A request's target, taken apart but not yet decoded: bucket and key as they came. */
export interface KeyPath {
  readonly bucket: string
  /** `undefined` where the path ends with the bucket. */
  readonly key: string | undefined
  readonly query: string
}

const PREFIX = '/v1/kv/'
const NOT_UTF8 = 'The key is not valid UTF-8. Any bytes may be a key with ?key_encoding=base64url.'

/**
 * Takes the raw target of a request apart: frameworks decode paths to text, but a key is bytes. A slash that is
 * percent-encoded is one of the key's bytes, and so is a plain one behind the bucket.
 * @param segments how many segments stand before the bucket: 2 in `/v1/kv/{bucket}/{key}`.
 */
export function keyPathOf(url: string, segments = 2): KeyPath {
  const mark = url.indexOf('?')
  const path = mark < 0 ? url : url.slice(0, mark)
  const query = mark < 0 ? '' : url.slice(mark + 1)
  // Nearly always at once; otherwise part of the path is needlessly encoded.
  const at = segments === 2 && path.startsWith(PREFIX) ? PREFIX.length : bucketStart(path, segments)
  const slash = path.indexOf('/', at)
  if (slash < 0) return { bucket: path.slice(at), key: undefined, query }
  return { bucket: path.slice(at, slash), key: path.slice(slash + 1), query }
}

function bucketStart(path: string, segments: number): number {
  let at = 0
  for (let segment = 0; segment < segments; segment++) at = path.indexOf('/', at + 1)
  return at + 1
}

/** @throws {ProblemError} `bad_bucket`. */
export function decodeBucket(text: string): string {
  const bucket = text.includes('%') ? (percentDecoded(text) ?? '') : text
  if (isBucketName(bucket)) return bucket
  throw new ProblemError(
    'bad_bucket',
    'A bucket name is 1 to 63 lower-case letters, digits, dots, dashes and underscores, and begins with a letter or a digit.',
  )
}

/** @throws {ProblemError} `bad_key`. */
export function decodeKey(text: string, base64url: boolean): ByteString {
  const key = isPlain(text) ? text : percentDecoded(text)
  if (key === undefined)
    throw badKey(
      'The key is not percent-encoded correctly: each byte that is no visible ASCII character needs a percent sign and two digits.',
    )
  if (base64url) return decodeBase64UrlKey(key)
  // Plain keys are ASCII, and only others can fail to be UTF-8.
  if (key !== text && !isUtf8Bytes(key)) throw badKey(NOT_UTF8)
  return checkLength(key)
}

/** Only the canonical form: two texts for one key would be a way around every check on the key. */
export function decodeBase64UrlKey(text: string): ByteString {
  const bytes = decodeBase64Url(text)
  if (bytes === undefined)
    throw badKey('The key is not canonical base64url: no padding, no other characters, unused bits zero.')
  return checkLength(byteStringOf(bytes))
}

/** @throws {ProblemError} */
export function addressFrom(path: KeyPath, base64url: boolean): Address {
  return addressOf(decodeBucket(path.bucket), decodeKey(path.key ?? '', base64url))
}

/** The same of what a query says, where it is decoded already. @throws {ProblemError} */
export function addressFromQuery(bucket: ByteString, key: ByteString, base64url: boolean): Address {
  if (base64url) return addressOf(decodeBucket(bucket), decodeBase64UrlKey(key))
  if (!isUtf8Bytes(key)) throw badKey(NOT_UTF8)
  return addressOf(decodeBucket(bucket), checkLength(key))
}

/** The value of `key_encoding`. */
export function isBase64Url(encoding: string | undefined): boolean {
  if (encoding === undefined) return false
  if (encoding === 'base64url') return true
  throw badQuery('key_encoding can only be base64url.')
}

export function badKey(detail: string): ProblemError {
  return new ProblemError('bad_key', detail)
}

function checkLength(key: ByteString): ByteString {
  if (key.length >= 1 && key.length <= KEY_BYTES_MAX) return key
  throw badKey(`A key is 1 to ${KEY_BYTES_MAX} bytes long, and this one has ${key.length}.`)
}

/** Whether the text stands for itself: visible ASCII without a percent sign. A number sign has no place in a target. */
function isPlain(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code === 0x25 || code <= 0x20 || code >= 0x7f) return false
    if (code === 0x23) throw badKey('The number sign in the key must be percent-encoded, as %23.')
  }
  return true
}
