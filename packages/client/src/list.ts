import {
  bytesOfKeyFields,
  decodeBase64,
  decodeUtf8,
  encodeBase64Url,
  LIST_LIMIT_DEFAULT,
  LIST_LIMIT_MAX,
  type ListBody,
  type ListItem,
} from '@grapevine/contract'
import type { Codec } from './codec.ts'
import type { CallOptions, Connection } from './connection.ts'
import { GrapevineError } from './grapevine-error.ts'
import { boundBytes, keyOfBytes, type Key } from './key.ts'

export interface ListOptions extends CallOptions {
  readonly prefix?: Key | undefined
  /** Inclusive. */
  readonly start?: Key | undefined
  /** Exclusive. */
  readonly end?: Key | undefined
  readonly reverse?: boolean | undefined
  /** Entries in all, over all pages. */
  readonly limit?: number | undefined
}

/** An entry without its value. */
export interface ListedKey {
  /** Text, or bytes where they are not UTF-8. */
  readonly key: Key
  readonly etag: string
  /** Bytes of the value. */
  readonly size: number
  readonly contentType: string
  readonly expiresAt: Date | undefined
}

export interface ListedEntry<Value> extends ListedKey {
  readonly value: Value
}

export async function* listEntries<Value>(
  bucket: string,
  codec: Codec<Value>,
  connection: Connection,
  options: ListOptions,
): AsyncGenerator<ListedEntry<Value>, void, void> {
  // As many as the server gives by itself: with values of 1 MiB a page is already large.
  for await (const item of pages(bucket, connection, options, LIST_LIMIT_DEFAULT, true)) {
    const value = decodeBase64(item.value ?? '')
    if (value === undefined) throw malformed('a value that is not base64')
    yield { ...listedKeyOf(item), value: await codec.decode(value, item.contentType) }
  }
}

export async function* listKeys(
  bucket: string,
  connection: Connection,
  options: ListOptions,
): AsyncGenerator<ListedKey, void, void> {
  for await (const item of pages(bucket, connection, options, LIST_LIMIT_MAX, false)) yield listedKeyOf(item)
}

async function* pages(
  bucket: string,
  connection: Connection,
  options: ListOptions,
  pageMax: number,
  withValues: boolean,
): AsyncGenerator<ListItem, void, void> {
  const { limit = Infinity, timeoutMs, signal } = options
  const range = rangeQuery(options)
  if (withValues) range['include'] = 'value'
  let left = limit
  let cursor: string | null = null
  while (left > 0) {
    const query: Record<string, string> = { ...range, limit: String(Math.min(left, pageMax)) }
    if (cursor !== null) query['cursor'] = cursor
    const path = `/v1/kv/${bucket}?${new URLSearchParams(query).toString()}`
    const page: ListBody = await connection.requestJson<ListBody>(path, { timeoutMs, signal })
    yield* page.items.slice(0, left)
    left -= page.items.length
    if (page.cursor === null) return
    // A page without items and with a cursor is one of tombstones only: there may be more behind them.
    cursor = page.cursor
  }
}

/** Text where all bounds are UTF-8, otherwise all of them as base64url: the encoding is said of all at once. */
function rangeQuery({ prefix, start, end, reverse }: ListOptions): Record<string, string> {
  const bounds = Object.entries({ prefix, start, end }).flatMap(([name, bound]) =>
    bound === undefined ? [] : [{ name, bytes: boundBytes(bound, name) }],
  )
  const texts = bounds.map(({ name, bytes }) => ({ name, bytes, text: decodeUtf8(bytes) }))
  const asText = texts.every(({ text }) => text !== undefined)
  const query: Record<string, string> = {}
  for (const { name, bytes, text } of texts) query[name] = asText && text !== undefined ? text : encodeBase64Url(bytes)
  if (!asText) query['key_encoding'] = 'base64url'
  if (reverse === true) query['reverse'] = 'true'
  return query
}

function listedKeyOf(item: ListItem): ListedKey {
  const bytes = bytesOfKeyFields(item)
  if (bytes === undefined) throw malformed('a key that cannot be decoded')
  const { etag, size, contentType, expiresAt } = item
  return { key: keyOfBytes(bytes), etag, size, contentType, expiresAt: expiresAt ? new Date(expiresAt) : undefined }
}

function malformed(what: string): GrapevineError {
  return new GrapevineError({ code: 'bad_answer', message: `The list holds ${what}.` })
}
