import type { IncomingMessage, ServerResponse } from 'node:http'
import { HEADERS, OTHER_MEDIA_TYPES, type Consistency, type ListBody, type ListItem } from '@grapevine/contract'
import {
  addressOf,
  etagOf,
  isVisible,
  keyOf,
  LIST_LIMIT_DEFAULT,
  LIST_LIMIT_MAX,
  type Address,
  type ByteString,
  type Entry,
  type Held,
  type Range,
  type SessionToken,
  type Sighting,
} from '@grapevine/core'
import type { Replica } from '@grapevine/replica'
import type { FastifyInstance } from 'fastify'
import type { ServerContext } from '../context.ts'
import { keyFields } from '../http/key-fields.ts'
import { badKey, decodeBase64UrlKey, decodeBucket, isBase64Url, keyPathOf } from '../http/key-path.ts'
import { badQuery, countOf, isUtf8Bytes, parseQuery, yesOrNo, type Query } from '../http/query.ts'
import { route, sendJson } from '../http/route.ts'
import { awaitSession, sessionHeaders, sessionHeadersOfAll, sessionOf } from '../http/session.ts'
import { writeAndWait } from '../http/slow-reader.ts'
import { Turns } from '../http/turns.ts'
import { decodeCursor, encodeCursor } from './cursor.ts'
import { consistencyOf, timeoutOf } from './parameters.ts'

const QUERY = [
  'prefix',
  'start',
  'end',
  'limit',
  'reverse',
  'cursor',
  'include',
  'consistency',
  'timeout',
  'key_encoding',
]

/** Rows that one page may look at, deleted and expired ones included: then it ends early, with a cursor. */
const PAGE_ROWS_MAX = 20_000
/** Bytes of values in one page; the one that crosses the line is still in it. */
const PAGE_BYTES_MAX = 4 * 1024 * 1024

/** `GET /v1/kv/{bucket}`: pages of JSON, or everything as NDJSON. */
export function registerListRoute(app: FastifyInstance, context: ServerContext): void {
  route(app, context, 'GET', '/v1/kv/:bucket', async (request, response) => {
    if (!context.forwarder.servesHere) return context.forwarder.forward(request, response)
    const list = parseList(request, context)
    const hasGap = await awaitAll(list, context)
    if (acceptsLines(request.headers.accept)) await sendLines(list, hasGap, response, context)
    else await sendPage(list, hasGap, response, context)
  })
}

interface List {
  readonly range: Range
  /** `undefined` for all, which only NDJSON may ask for. */
  readonly limit: number | undefined
  readonly withValues: boolean
  /** All that a cursor of this list belongs to. */
  readonly asked: string
  readonly session: SessionToken | undefined
  readonly consistency: Consistency | undefined
  readonly timeoutMs: number
}

function parseList(request: IncomingMessage, context: ServerContext): List {
  const { hash, loaded } = context
  const path = keyPathOf(request.url ?? '')
  const bucket = decodeBucket(path.bucket)
  const query = parseQuery(path.query, QUERY)
  const consistency = consistencyOf(query.get('consistency'))
  if (consistency === 'quorum' || consistency === 'all')
    throw badQuery('The consistency of a list can only be local or session: no majority is asked for every key.')
  const timeoutMs = timeoutOf(query.get('timeout'), loaded.config.requestTimeout)
  const session = sessionOf(request, context)
  const include = query.get('include')
  if (include !== undefined && include !== 'value') throw badQuery('include can only be value.')

  const base64url = isBase64Url(query.get('key_encoding'))
  const [prefix, start, end] = ['prefix', 'start', 'end'].map((name) => boundOf(query, name, base64url))
  const reverse = yesOrNo(query, 'reverse')
  const asked = JSON.stringify([bucket, prefix, start, end, reverse])
  const limit = countOf(query, 'limit', 1, LIST_LIMIT_MAX, 0)

  let from = addressOf(bucket, later(prefix ?? '', start ?? ''))
  let below = earlier(endOfPrefix(bucket, prefix ?? ''), end === undefined ? undefined : addressOf(bucket, end))
  const cursor = query.get('cursor')
  if (cursor !== undefined) {
    // The position is the last key that was looked at.
    const position = addressOf(bucket, decodeCursor(asked, cursor, hash))
    if (reverse) below = earlier(below, position)
    else from = later(from, `${position}\0`)
  }
  if (below < from) below = from
  return {
    range: { from, below, reverse },
    limit: limit === 0 ? undefined : limit,
    withValues: include === 'value',
    asked,
    session,
    consistency,
    timeoutMs,
  }
}

/** A list shows keys of every partition, so all that its session has seen matters. */
async function awaitAll({ session, consistency, timeoutMs }: List, { replica }: ServerContext): Promise<boolean> {
  if (session === undefined || consistency === 'local') return false
  return awaitSession(session, undefined, { replica, timeoutMs })
}

async function sendPage(
  { range, limit, withValues, asked, session }: List,
  hasGap: boolean,
  response: ServerResponse,
  context: ServerContext,
): Promise<void> {
  const { clock, hash, loaded, replica } = context
  const wallMs = clock.wallMs()
  const items: ListItem[] = []
  // What is deleted or expired was seen as well: no later list may show what was there before.
  const sightings: Sighting[] = []
  const view = replica.view()
  let position: ByteString | undefined
  let corrupt = 0
  let rows = 0
  let bytes = 0
  let more = false
  const turns = Turns.brisk()
  try {
    for await (const row of view.scan(range)) {
      if (items.length >= (limit ?? LIST_LIMIT_DEFAULT) || bytes >= PAGE_BYTES_MAX || rows >= PAGE_ROWS_MAX) {
        more = true
        break
      }
      rows++
      position = keyOf('corrupt' in row ? row.corrupt : row.address)
      const held = 'corrupt' in row ? await readElsewhere(row.corrupt, corrupt, replica) : row
      if (held === 'corrupt') corrupt++
      else if (held !== undefined) sightings.push({ keyHash: held.keyHash, version: held.version, dot: held.dot })
      if (typeof held === 'object' && isVisible(held, wallMs)) {
        items.push(itemOf(held, withValues))
        if (withValues) bytes += held.value?.length ?? 0
      }
      if (turns.due) await turns.give()
    }
  } finally {
    await view.close()
  }
  const cursor = more && position !== undefined ? encodeCursor(asked, position, hash) : null
  const body: ListBody = { items, cursor, complete: cursor === null }
  sendJson(response, body, {
    [HEADERS.servedBy]: loaded.config.name,
    ...sessionHeaders(session, sightings, context, hasGap),
    ...corruptHeader(corrupt),
  })
}

/** One item a line, as fast as the client reads. It sees one moment of the store, however long that takes. */
async function sendLines(
  { range, limit, withValues, session }: List,
  hasGap: boolean,
  response: ServerResponse,
  context: ServerContext,
): Promise<void> {
  const { clock, loaded, replica, streams } = context
  const wallMs = clock.wallMs()
  const view = replica.view()
  const release = streams.open(() => response.destroy())
  const hasTrailers = response.req.httpVersion !== '1.0'
  let corrupt = 0
  try {
    response.writeHead(200, {
      'content-type': OTHER_MEDIA_TYPES.ndjson,
      'cache-control': 'no-store',
      // How many rows could not be read is known only at the end, of which HTTP/1.0 has no way to tell.
      ...(hasTrailers && { trailer: HEADERS.corruptRows }),
      [HEADERS.servedBy]: loaded.config.name,
      ...sessionHeadersOfAll(session, context, hasGap),
    })
    let sent = 0
    let lines = ''
    const turns = Turns.brisk()
    for await (const row of view.scan(range)) {
      if (limit !== undefined && sent >= limit) break
      const held = 'corrupt' in row ? await readElsewhere(row.corrupt, corrupt, replica) : row
      if (held === 'corrupt') corrupt++
      else if (held !== undefined && isVisible(held, wallMs)) {
        lines += `${JSON.stringify(itemOf(held, withValues))}\n`
        sent++
      }
      if (lines.length >= CHUNK_CHARACTERS) {
        if (!(await writeAndWait(response, lines))) return
        lines = ''
      }
      if (turns.due) await turns.give()
    }
    if (hasTrailers) response.addTrailers({ [HEADERS.corruptRows]: String(corrupt) })
    response.end(lines)
  } finally {
    await view.close()
    release()
  }
}

/**
 * Damaged rows that nobody gave back, after which a list no longer waits for others: each may take as long as all peers
 * together need to say no.
 */
const UNHEALED_MAX = 8

/** What is damaged here may be whole on another node. */
function readElsewhere(address: Address, unhealed: number, replica: Replica): Promise<Held> | Held {
  return unhealed < UNHEALED_MAX ? replica.heal(address) : 'corrupt'
}

/** Rows in the range that are damaged and that no other node gave back, and so are not listed. */
const CHUNK_CHARACTERS = 64 * 1024

function corruptHeader(corrupt: number): Readonly<Record<string, string>> {
  return corrupt === 0 ? {} : { [HEADERS.corruptRows]: String(corrupt) }
}

function itemOf(entry: Entry, withValue: boolean): ListItem {
  const { address, version, value, contentType, expiresAtMs } = entry
  return {
    ...keyFields(keyOf(address)),
    etag: etagOf(version),
    size: value?.length ?? 0,
    contentType,
    ...(expiresAtMs === 0 ? {} : { expiresAt: new Date(expiresAtMs).toISOString() }),
    ...(withValue && value !== undefined
      ? { value: Buffer.from(value.buffer, value.byteOffset, value.length).toString('base64') }
      : {}),
  }
}

/** A key, or the beginning of some, in a query. */
export function boundOf(query: Query, name: string, base64url: boolean): ByteString | undefined {
  const text = query.get(name)
  if (text === undefined || text === '') return undefined
  if (base64url) return decodeBase64UrlKey(text)
  if (!isUtf8Bytes(text))
    throw badKey(`${name} is not valid UTF-8. Any bytes may be given with key_encoding=base64url.`)
  return text
}

/** The first address behind all that begin so. */
function endOfPrefix(bucket: string, prefix: ByteString): Address {
  let kept = prefix.length
  while (kept > 0 && prefix.charCodeAt(kept - 1) === 0xff) kept--
  // A bucket's name is followed by a NUL, so what is behind all of its keys begins with the next byte.
  if (kept === 0) return `${bucket}\u0001`
  return addressOf(bucket, prefix.slice(0, kept - 1) + String.fromCharCode(prefix.charCodeAt(kept - 1) + 1))
}

function later<Text extends string>(a: Text, b: Text): Text {
  return a > b ? a : b
}

function earlier(a: Address, b: Address | undefined): Address {
  return b !== undefined && b < a ? b : a
}

/** NDJSON only when it is named: whoever takes anything gets a page. */
function acceptsLines(accept: string | undefined): boolean {
  return accept?.split(',').some((type) => type.split(';', 1)[0]?.trim() === OTHER_MEDIA_TYPES.ndjson) ?? false
}
