import { BATCH_OPS_MAX, decodeBase64Url, MEDIA_TYPES, OTHER_MEDIA_TYPES } from '@grapevine/contract'
import {
  addressOf,
  byteStringOf,
  isBucketName,
  KEY_BYTES_MAX,
  NO_POLICY,
  writeNameOf,
  type Address,
  type BucketPolicy,
  type ByteString,
  type Hash,
  type Precondition,
  type WriteName,
} from '@grapevine/core'
import { preconditionOf } from '../http/entity-tags.ts'
import { checkIdempotencyKey } from '../http/idempotency.ts'
import { decodeMsgpack, MalformedMsgpackError } from '../http/msgpack.ts'
import { ProblemError, problemFrom } from '../http/problem.ts'
import { parseJson } from '../http/route.ts'
import { contentTypeOf, expiryOf, ttlAsSaid } from './parameters.ts'

/** One operation, ready to be done; or what is wrong with this one alone, which harms none of the others. */
export type BatchStep =
  | { readonly kind: 'get'; readonly address: Address }
  | {
      readonly kind: 'write'
      readonly address: Address
      /** `undefined` deletes. */
      readonly value: Uint8Array | undefined
      readonly contentType: string
      readonly expiresAtMs: number
      readonly precondition: Precondition | undefined
      readonly name: WriteName | undefined
    }
  | { readonly kind: 'wrong'; readonly problem: ProblemError }

export interface ParsedBatch {
  readonly steps: readonly BatchStep[]
  readonly w: string | undefined
  readonly timeout: string | undefined
}

export interface BatchLimits {
  readonly valueMax: number
  readonly wallMs: number
  readonly policyOf: (bucket: string) => BucketPolicy
  readonly hash: Hash
}

type Fields = ReadonlyMap<string, unknown>

const REQUEST_FIELDS: ReadonlySet<string> = new Set(['ops', 'w', 'timeout'])
const ADDRESS_FIELDS = ['op', 'bucket', 'key', 'keyEncoding']
const WRITE_FIELDS = [...ADDRESS_FIELDS, 'ifMatch', 'ifAbsent', 'id']
const OP_FIELDS: ReadonlyMap<unknown, ReadonlySet<string>> = new Map([
  ['get', new Set(ADDRESS_FIELDS)],
  ['put', new Set([...WRITE_FIELDS, 'value', 'contentType', 'ttl'])],
  ['delete', new Set(WRITE_FIELDS)],
])

/**
 * What has no form is refused as a whole, before anything of it is done; what has a form and is not allowed, as an
 * invalid key, is the problem of that operation alone.
 * @throws {ProblemError} `bad_body` or `unsupported_media_type`.
 */
export function parseBatch(body: Uint8Array, mediaType: string, limits: BatchLimits): ParsedBatch {
  const request = fieldsOf(decode(body, mediaType), 'the body')
  refuseUnknown(request, REQUEST_FIELDS, 'the body')
  const ops = request.get('ops')
  if (!Array.isArray(ops)) throw badBody('The body needs "ops", a list of operations.')
  if (ops.length > BATCH_OPS_MAX)
    throw badBody(`A batch has at most ${BATCH_OPS_MAX} operations, and this one ${ops.length}.`)
  const w = request.get('w')
  return {
    steps: ops.map((op: unknown, index) => parseOp(op, index, limits)),
    w: typeof w === 'number' ? String(w) : optionalText(request, 'w', 'the body'),
    timeout: optionalText(request, 'timeout', 'the body'),
  }
}

function decode(body: Uint8Array, mediaType: string): unknown {
  try {
    if (mediaType === MEDIA_TYPES.json) return parseJson(body)
    if (mediaType === OTHER_MEDIA_TYPES.msgpack) return decodeMsgpack(body)
  } catch (cause) {
    const why = cause instanceof MalformedMsgpackError ? cause.message : 'it is not valid JSON'
    throw badBody(`The body cannot be read: ${why}.`, cause)
  }
  throw new ProblemError('unsupported_media_type', `A batch is ${MEDIA_TYPES.json} or ${OTHER_MEDIA_TYPES.msgpack}.`, {
    outcome: 'not-applied',
  })
}

function parseOp(op: unknown, index: number, limits: BatchLimits): BatchStep {
  const fields = fieldsOf(op, index)
  const name = fields.get('op')
  const known = OP_FIELDS.get(name)
  if (known === undefined) throw badBody(`op in ${placeOf(index)} must be put, get or delete.`)
  refuseUnknown(fields, known, index)
  const bucket = textOf(fields, 'bucket', index)
  const key = textOf(fields, 'key', index)
  const encoding = optionalText(fields, 'keyEncoding', index)
  if (encoding !== undefined && encoding !== 'base64url')
    throw badBody(`keyEncoding in ${placeOf(index)} can only be base64url.`)
  const value = name === 'put' ? bytesOf(fields.get('value'), index) : undefined
  const contentType = optionalText(fields, 'contentType', index)
  const ttl = optionalText(fields, 'ttl', index)
  const id = optionalText(fields, 'id', index)
  const ifMatch = optionalText(fields, 'ifMatch', index)
  const ifAbsent = fields.get('ifAbsent')
  if (ifAbsent !== undefined && typeof ifAbsent !== 'boolean')
    throw badBody(`ifAbsent in ${placeOf(index)} must be true or false.`)

  try {
    const address = addressFor(bucket, key, encoding)
    if (name === 'get') return { kind: 'get', address }
    if (value !== undefined && value.length > limits.valueMax)
      throw new ProblemError('too_large', `The value may have at most ${limits.valueMax} bytes.`)
    const write = {
      address,
      value,
      contentType: name === 'put' ? contentTypeOf(contentType) : '',
      precondition: preconditionOf(ifMatch && quoted(ifMatch), ifAbsent === true ? '*' : undefined),
    }
    if (id !== undefined) checkIdempotencyKey(id, 'bad_body')
    return {
      kind: 'write',
      ...write,
      expiresAtMs: expiryOf(ttl, name === 'put' ? limits.policyOf(bucket) : NO_POLICY, limits.wallMs, 'bad_body'),
      name: id === undefined ? undefined : writeNameOf(id, { ...write, ttlMs: ttlAsSaid(ttl) }, limits.hash),
    }
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error
    return { kind: 'wrong', problem: name === 'get' ? error : problemFrom(error, { outcome: 'not-applied' }) }
  }
}

/** An ETag stands in quotes in its header, and without them in bodies. */
function quoted(etag: string): string {
  return etag === '*' || etag.includes('"') ? etag : `"${etag}"`
}

/** Bucket and key as JSON shows them. */
export function addressFor(bucket: string, key: string, keyEncoding: 'base64url' | undefined): Address {
  if (!isBucketName(bucket)) throw new ProblemError('bad_bucket', 'This is no bucket name.')
  const bytes = keyEncoding === undefined ? utf8Of(key) : base64UrlOf(key)
  if (bytes.length >= 1 && bytes.length <= KEY_BYTES_MAX) return addressOf(bucket, bytes)
  throw new ProblemError('bad_key', `A key is 1 to ${KEY_BYTES_MAX} bytes long, and this one has ${bytes.length}.`)
}

function utf8Of(key: string): ByteString {
  // Most keys are ASCII, and ASCII is its own UTF-8.
  if (isAscii(key)) return key
  if (key.isWellFormed()) return Buffer.from(key, 'utf8').toString('latin1')
  throw new ProblemError('bad_key', 'The key holds a lone surrogate.')
}

function base64UrlOf(key: string): ByteString {
  const bytes = decodeBase64Url(key)
  if (bytes !== undefined) return byteStringOf(bytes)
  throw new ProblemError('bad_key', 'The key is not canonical base64url.')
}

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) >= 0x80) return false
  return true
}

/** Base64 in JSON, bytes in msgpack. */
function bytesOf(value: unknown, index: number): Uint8Array {
  if (value instanceof Uint8Array) return value
  if (typeof value !== 'string')
    throw badBody(`value in ${placeOf(index)} must be base64 text in JSON, bytes in msgpack.`)
  const bytes = Buffer.from(value, 'base64')
  // The platform's decoder skips what it does not know.
  if (bytes.toString('base64') !== value) throw badBody(`value in ${placeOf(index)} is not base64 (with padding).`)
  return bytes
}

/** Which part of the request is meant: an operation by its number. Put into words only when something is wrong. */
type Place = number | 'the body'

function placeOf(place: Place): string {
  return typeof place === 'number' ? `ops[${place}]` : place
}

function fieldsOf(value: unknown, place: Place): Fields {
  if (value instanceof Map) return value
  if (typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array))
    return new Map(Object.entries(value))
  throw badBody(`An object is needed as ${placeOf(place)}.`)
}

function refuseUnknown(fields: Fields, known: ReadonlySet<string>, place: Place): void {
  for (const name of fields.keys())
    if (!known.has(name))
      throw badBody(
        `${JSON.stringify(name.slice(0, 50))} in ${placeOf(place)} is not known. Known are ${[...known].join(', ')}.`,
      )
}

function textOf(fields: Fields, name: string, place: Place): string {
  const text = optionalText(fields, name, place)
  if (text !== undefined) return text
  throw badBody(`${name} is missing in ${placeOf(place)}.`)
}

function optionalText(fields: Fields, name: string, place: Place): string | undefined {
  const value = fields.get(name)
  if (value === undefined || typeof value === 'string') return value
  throw badBody(`${name} in ${placeOf(place)} must be a text.`)
}

function badBody(detail: string, cause?: unknown): ProblemError {
  return new ProblemError('bad_body', detail, { outcome: 'not-applied', cause })
}
