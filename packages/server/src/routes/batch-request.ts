import { BATCH_OPS_MAX, bytesOfKeyFields, MEDIA_TYPES } from '@grapevine/contract'
import { addressOf, byteStringOf, isBucketName, KEY_BYTES_MAX, type Address, type Precondition } from '@grapevine/core'
import { preconditionOf } from '../http/entity-tags.ts'
import { decodeMsgpack, MalformedMsgpackError } from '../http/msgpack.ts'
import { ProblemError, problemFrom } from '../http/problem.ts'
import { notImplemented } from '../http/route.ts'
import { contentTypeOf, expiryOf } from './parameters.ts'

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
}

type Fields = ReadonlyMap<string, unknown>

const REQUEST_FIELDS = ['ops', 'w', 'timeout']
const ADDRESS_FIELDS = ['op', 'bucket', 'key', 'keyEncoding']
const WRITE_FIELDS = [...ADDRESS_FIELDS, 'ifMatch', 'ifAbsent', 'id']
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  get: ADDRESS_FIELDS,
  put: [...WRITE_FIELDS, 'value', 'contentType', 'ttl'],
  delete: WRITE_FIELDS,
}

/**
 * What has no form is refused as a whole, before anything of it is done; what has a form and is not allowed, as an
 * invalid key, is the problem of that operation alone.
 * @throws {ProblemError} `bad_body` or `unsupported_media_type`.
 */
export function parseBatch(body: Uint8Array, mediaType: string, limits: BatchLimits): ParsedBatch {
  const request = fieldsOf(decode(body, mediaType), 'The body', REQUEST_FIELDS)
  const ops = request.get('ops')
  if (!Array.isArray(ops)) throw badBody('The body needs "ops", a list of operations.')
  if (ops.length > BATCH_OPS_MAX)
    throw badBody(`A batch has at most ${BATCH_OPS_MAX} operations, and this one ${ops.length}.`)
  const w = request.get('w')
  return {
    steps: ops.map((op: unknown, index) => parseOp(op, `ops[${index}]`, limits)),
    w: w === undefined ? undefined : typeof w === 'number' ? String(w) : textOf(w, 'w'),
    timeout: optionalText(request, 'timeout', 'timeout'),
  }
}

function decode(body: Uint8Array, mediaType: string): unknown {
  const buffer = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  try {
    if (mediaType === MEDIA_TYPES.json) return JSON.parse(buffer.toString('utf8'))
    if (mediaType === MEDIA_TYPES.msgpack) return decodeMsgpack(body)
  } catch (cause) {
    const why = cause instanceof MalformedMsgpackError ? cause.message : 'it is not valid JSON'
    throw badBody(`The body cannot be read: ${why}.`, cause)
  }
  throw new ProblemError('unsupported_media_type', `A batch is ${MEDIA_TYPES.json} or ${MEDIA_TYPES.msgpack}.`, {
    outcome: 'not-applied',
  })
}

function parseOp(op: unknown, where: string, limits: BatchLimits): BatchStep {
  const name = fieldsOf(op, where, undefined).get('op')
  const known = typeof name === 'string' && Object.hasOwn(FIELDS, name) ? FIELDS[name] : undefined
  if (known === undefined) throw badBody(`${where}.op must be put, get or delete.`)
  const fields = fieldsOf(op, where, known)
  const bucket = textOf(fields.get('bucket'), `${where}.bucket`)
  const encoding = optionalText(fields, 'keyEncoding', where)
  if (encoding !== undefined && encoding !== 'base64url') throw badBody(`${where}.keyEncoding can only be base64url.`)
  const key = textOf(fields.get('key'), `${where}.key`)
  const value = name === 'put' ? bytesOf(fields.get('value'), `${where}.value`) : undefined
  const contentType = optionalText(fields, 'contentType', where)
  const ttl = optionalText(fields, 'ttl', where)
  const id = optionalText(fields, 'id', where)
  const ifMatch = optionalText(fields, 'ifMatch', where)
  const ifAbsent = fields.get('ifAbsent')
  if (ifAbsent !== undefined && typeof ifAbsent !== 'boolean') throw badBody(`${where}.ifAbsent must be true or false.`)

  try {
    const address = addressFor(bucket, key, encoding)
    if (name === 'get') return { kind: 'get', address }
    if (id !== undefined) throw notImplemented('The idempotency key of an operation ("id")', true)
    if (value !== undefined && value.length > limits.valueMax)
      throw new ProblemError('too_large', `The value may have at most ${limits.valueMax} bytes.`)
    return {
      kind: 'write',
      address,
      value,
      contentType: name === 'put' ? contentTypeOf(contentType) : '',
      expiresAtMs: expiryOf(ttl, limits.wallMs, 'bad_body'),
      // An ETag stands in quotes in its header, and without them in bodies.
      precondition: preconditionOf(
        ifMatch === undefined || ifMatch === '*' || ifMatch.includes('"') ? ifMatch : `"${ifMatch}"`,
        ifAbsent === true ? '*' : undefined,
      ),
    }
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error
    return { kind: 'wrong', problem: name === 'get' ? error : problemFrom(error, { outcome: 'not-applied' }) }
  }
}

function addressFor(bucket: string, key: string, keyEncoding: 'base64url' | undefined): Address {
  if (!isBucketName(bucket)) throw new ProblemError('bad_bucket', 'This is no bucket name.')
  const bytes = bytesOfKeyFields(keyEncoding === undefined ? { key } : { key, keyEncoding })
  if (bytes === undefined)
    throw new ProblemError(
      'bad_key',
      keyEncoding === undefined ? 'The key holds a lone surrogate.' : 'The key is not canonical base64url.',
    )
  if (bytes.length < 1 || bytes.length > KEY_BYTES_MAX)
    throw new ProblemError('bad_key', `A key is 1 to ${KEY_BYTES_MAX} bytes long, and this one has ${bytes.length}.`)
  return addressOf(bucket, byteStringOf(bytes))
}

/** Base64 in JSON, bytes in msgpack. */
function bytesOf(value: unknown, where: string): Uint8Array {
  if (value instanceof Uint8Array) return value
  if (typeof value !== 'string') throw badBody(`${where} must be base64 text in JSON, bytes in msgpack.`)
  const bytes = Buffer.from(value, 'base64')
  // The platform's decoder skips what it does not know.
  if (bytes.toString('base64') !== value) throw badBody(`${where} is not base64 (with padding).`)
  return bytes
}

/** @param known the fields that it may have, or `undefined` for any. */
function fieldsOf(value: unknown, where: string, known: readonly string[] | undefined): Fields {
  const fields: Fields | undefined =
    value instanceof Map
      ? value
      : typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
        ? new Map(Object.entries(value))
        : undefined
  if (fields === undefined) throw badBody(`${where} must be an object.`)
  if (known !== undefined)
    for (const name of fields.keys())
      if (!known.includes(name))
        throw badBody(
          `${where} has ${JSON.stringify(name.slice(0, 50))}, which is not known there. Known are ${known.join(', ')}.`,
        )
  return fields
}

function textOf(value: unknown, where: string): string {
  if (typeof value === 'string') return value
  throw badBody(`${where} must be a text.`)
}

function optionalText(fields: Fields, name: string, where: string): string | undefined {
  const value = fields.get(name)
  return value === undefined ? undefined : textOf(value, `${where}.${name}`)
}

function badBody(detail: string, cause?: unknown): ProblemError {
  return new ProblemError('bad_body', detail, { outcome: 'not-applied', cause })
}
