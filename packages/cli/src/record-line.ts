import {
  bytesOfKeyFields,
  decodeBase64,
  decodeUtf8,
  encodeBase64,
  encodeUtf8,
  formatDuration,
  isContentType,
  keyFieldsOf,
  MEDIA_TYPES,
  parseDuration,
  TTL_NONE,
} from '@grapevine/contract'
import type { Key } from '@grapevine/client'

const TEXT = 'text/plain; charset=utf-8'

export interface ImportRecord {
  readonly key: Key
  readonly value: Uint8Array
  readonly contentType: string
  readonly ttl: string | undefined
}

/** A line that is no record: what is wrong with it, as the end of a sentence. */
export class BadLineError extends Error {
  override readonly name = 'BadLineError'
}

const FIELDS = new Set(['key', 'keyEncoding', 'value', 'base64', 'contentType', 'ttl'])

/**
 * One line of NDJSON: `{ "key", "value" or "base64", "contentType"?, "ttl"? }`. A `value` that is a string stands
 * for its text, any other for its JSON.
 * @throws {BadLineError}
 */
export function parseRecord(line: string): ImportRecord {
  const fields = parseObject(line)
  const unknown = [...fields.keys()].find((name) => !FIELDS.has(name))
  if (unknown !== undefined) throw new BadLineError(`it has a field ${JSON.stringify(unknown)}, which is not known`)
  const contentType = optionalText(fields, 'contentType')
  const ttl = optionalText(fields, 'ttl')
  if (ttl !== undefined && ttl !== TTL_NONE && (parseDuration(ttl) ?? 0) === 0)
    throw new BadLineError(`"ttl" must be a duration such as 30s or 7d, or none`)
  if (contentType !== undefined && !isContentType(contentType))
    throw new BadLineError('"contentType" must be 1 to 255 characters of ASCII')
  const key = parseKey(fields)
  if (fields.has('value') === fields.has('base64')) throw new BadLineError('it needs either "value" or "base64"')
  if (fields.has('base64')) {
    const value = decodeBase64(optionalText(fields, 'base64') ?? '')
    if (value === undefined) throw new BadLineError('"base64" is not base64')
    return { key, value, contentType: contentType ?? MEDIA_TYPES.bytes, ttl }
  }
  const given = fields.get('value')
  const isText = typeof given === 'string'
  const value = encodeUtf8(isText ? given : JSON.stringify(given))
  if (value === undefined) throw new BadLineError('"value" holds a lone surrogate, which has no UTF-8: use "base64"')
  return { key, value, contentType: contentType ?? (isText ? TEXT : MEDIA_TYPES.json), ttl }
}

export interface ExportRecord {
  readonly key: Uint8Array
  readonly value: Uint8Array
  readonly contentType: string
  readonly expiresAt: Date | undefined
}

/** The line from which {@link parseRecord} makes the same bytes again. What is left of its time becomes its `ttl`. */
export function formatRecord({ key, value, contentType, expiresAt }: ExportRecord, nowMs: number): string {
  const ttl = expiresAt && formatDuration(Math.max(1, expiresAt.getTime() - nowMs))
  const type = contentType === '' ? {} : { contentType }
  return JSON.stringify({ ...keyFieldsOf(key), ...valueFields(value, contentType), ...type, ...(ttl && { ttl }) })
}

function valueFields(value: Uint8Array, contentType: string): Readonly<Record<string, unknown>> {
  const text = decodeUtf8(value)
  if (text === undefined) return { base64: encodeBase64(value) }
  if (!/^application\/(.+\+)?json\b/.test(contentType)) return { value: text }
  const json = parseJson(text)
  // Only if writing it again gives the same bytes: spaces, repeated names and long numbers would be lost. A string
  // stands for its text, so JSON that is one must go as text too.
  const same = json !== undefined && typeof json !== 'string' && JSON.stringify(json) === text
  return { value: same ? json : text }
}

function parseKey(fields: ReadonlyMap<string, unknown>): Uint8Array {
  const key = optionalText(fields, 'key')
  const keyEncoding = optionalText(fields, 'keyEncoding')
  if (key === undefined) throw new BadLineError('it has no "key"')
  if (keyEncoding !== undefined && keyEncoding !== 'base64url')
    throw new BadLineError('"keyEncoding" can only be "base64url"')
  const bytes = bytesOfKeyFields({ key, ...(keyEncoding !== undefined && { keyEncoding }) })
  if (bytes === undefined)
    throw new BadLineError(keyEncoding ? '"key" is not base64url' : '"key" holds a lone surrogate, which has no UTF-8')
  if (bytes.length === 0 || bytes.length > 1024)
    throw new BadLineError(`"key" has ${bytes.length} bytes, and must have 1 to 1024`)
  return bytes
}

function parseObject(line: string): ReadonlyMap<string, unknown> {
  const value = parseJson(line)
  if (value === undefined) throw new BadLineError('it is not JSON')
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new BadLineError('it is not an object such as {"key":"k","value":"v"}')
  return new Map(Object.entries(value))
}

function optionalText(fields: ReadonlyMap<string, unknown>, name: string): string | undefined {
  const value = fields.get(name)
  if (value === undefined || typeof value === 'string') return value
  throw new BadLineError(`"${name}" must be a string`)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
