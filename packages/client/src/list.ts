import {
  bytesOfKeyFields,
  decodeBase64,
  HEADERS,
  LIST_LIMIT_DEFAULT,
  LIST_LIMIT_MAX,
  type ListBody,
  type ListItem,
} from '@grapevine/contract'
import { abandonable } from './abandonable.ts'
import type { BucketContext } from './bucket.ts'
import type { Codec } from './codec.ts'
import { parseJson, type CallOptions } from './connection.ts'
import { GrapevineError } from './grapevine-error.ts'
import { keyOfBytes, type Key } from './key.ts'
import { rangeQuery } from './range-query.ts'

/** `timeoutMs` is for each page. */
export interface ListOptions extends CallOptions {
  readonly prefix?: Key | undefined
  /** Inclusive. */
  readonly start?: Key | undefined
  /** Exclusive. */
  readonly end?: Key | undefined
  readonly reverse?: boolean | undefined
  /** Entries in all, over all pages. */
  readonly limit?: number | undefined
  /** Told of keys that are left out, since the node could read their entries neither itself nor from another: how many. */
  readonly onUnreadable?: ((keys: number) => void) | undefined
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

export function listEntries<Value, Input>(
  bucket: string,
  codec: Codec<Value, Input>,
  context: BucketContext,
  options: ListOptions,
): AsyncIterableIterator<ListedEntry<Value>> & AsyncDisposable {
  return abandonable(options.signal, async function* entries(signal) {
    // As many as the server gives by itself: with values of 1 MiB a page is already large.
    for await (const item of pages(bucket, context, options, LIST_LIMIT_DEFAULT, true, signal)) {
      const value = decodeBase64(item.value ?? '')
      if (value === undefined) throw malformed('a value that is not base64')
      yield { ...listedKeyOf(item), value: await codec.decode(value, item.contentType) }
    }
  })
}

export function listKeys(
  bucket: string,
  context: BucketContext,
  options: ListOptions,
): AsyncIterableIterator<ListedKey> & AsyncDisposable {
  return abandonable(options.signal, async function* keys(signal) {
    for await (const item of pages(bucket, context, options, LIST_LIMIT_MAX, false, signal)) yield listedKeyOf(item)
  })
}

async function* pages(
  bucket: string,
  { connection, session }: BucketContext,
  options: ListOptions,
  pageMax: number,
  withValues: boolean,
  signal: AbortSignal,
): AsyncGenerator<ListItem, void, void> {
  const { limit = Infinity, timeoutMs } = options
  const range = rangeQuery(options)
  if (withValues) range['include'] = 'value'
  let left = limit
  let cursor: string | null = null
  while (left > 0) {
    const query: Record<string, string> = { ...range, limit: String(Math.min(left, pageMax)) }
    if (cursor !== null) query['cursor'] = cursor
    const path = `/v1/kv/${bucket}?${new URLSearchParams(query).toString()}`
    const answer = await connection.send(path, { timeoutMs, signal, session })
    const unreadable = answer.headers.get(HEADERS.corruptRows)
    if (unreadable !== null) options.onUnreadable?.(Number(unreadable))
    const page = checkPage(parseJson(answer))
    yield* page.items.slice(0, left)
    left -= page.items.length
    cursor = page.cursor
    // A page without items and with a cursor is one of tombstones only: there may be more behind them.
    if (cursor === null) return
  }
}

/** A node that speaks JSON is taken at its word, but not at its silence: what is not there would end a list early. */
function checkPage(body: unknown): Pick<ListBody, 'items' | 'cursor'> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- Each field is looked at.
  const page = (body ?? {}) as ListBody
  if (Array.isArray(page.items) && (page.cursor === null || typeof page.cursor === 'string')) return page
  throw malformed('neither items nor a cursor')
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
