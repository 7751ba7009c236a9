import type { IncomingMessage, ServerResponse } from 'node:http'
import { HEADERS, MEDIA_TYPES, WATCH_HEARTBEAT_MS, type WatchData } from '@grapevine/contract'
import {
  addressOf,
  decodeWatchPosition,
  encodeWatchPosition,
  etagOf,
  keyOf,
  type Address,
  type WatchChange,
  type WatchPosition,
} from '@grapevine/core'
import { WATCHERS_MAX, type Replica, type Watch, type WatchItem } from '@grapevine/replica'
import type { FastifyInstance } from 'fastify'
import type { ServerContext } from '../context.ts'
import { keyFields } from '../http/key-fields.ts'
import { decodeBucket, isBase64Url, keyPathOf } from '../http/key-path.ts'
import { ProblemError } from '../http/problem.ts'
import { parseQuery } from '../http/query.ts'
import { route } from '../http/route.ts'
import { writeAndWait } from '../http/slow-reader.ts'
import { boundOf } from './list.ts'

/** `GET /v1/watch/{bucket}`: the changes of a bucket as server-sent events, for as long as somebody reads them. */
export function registerWatchRoute(app: FastifyInstance, context: ServerContext): void {
  const { replica, forwarder } = context
  route(app, context, 'GET', '/v1/watch/:bucket', async (request, response) => {
    // Not passed on: who watches stays for long, and a node that is joining now is not for long.
    if (!forwarder.servesHere || context.draining()) throw notReady(context)
    const { bucket, prefix } = targetOf(request)
    const after = positionOf(request, context)
    const watch = replica.watch({ bucket, prefix, after })
    if (watch === undefined)
      throw new ProblemError('overloaded', `This node has ${WATCHERS_MAX} watches already. Others may have room.`, {
        headers: { 'retry-after': '5' },
      })
    await sendEvents(watch, response, context)
  })
}

function notReady(context: ServerContext): ProblemError {
  return context.draining()
    ? new ProblemError('draining', 'This node is stopping. Watch at another one.')
    : new ProblemError('not_ready', 'This node is still joining. Watch at another one.')
}

function targetOf(request: IncomingMessage): { readonly bucket: string; readonly prefix: Address } {
  const path = keyPathOf(request.url ?? '')
  const bucket = decodeBucket(path.bucket)
  const query = parseQuery(path.query, ['prefix', 'key_encoding'])
  const prefix = boundOf(query, 'prefix', isBase64Url(query.get('key_encoding'))) ?? ''
  return { bucket, prefix: addressOf(bucket, prefix) }
}

/** @throws {ProblemError} for an id that no node of this cluster has sent. */
function positionOf(request: IncomingMessage, { hash, replica }: ServerContext): WatchPosition | undefined {
  const text = request.headers['last-event-id']
  // What EventSource sends that has not got one yet.
  if (text === undefined || text === '') return undefined
  const bytes = typeof text === 'string' && /^[\w-]+$/.test(text) ? Buffer.from(text, 'base64url') : undefined
  const position = bytes && decodeWatchPosition(bytes, hash)
  if (position === undefined)
    throw new ProblemError(
      'bad_header',
      `${HEADERS.lastEventId} is no id that a watch has sent, or not all of it. Watch without it, and list what is there.`,
    )
  const { cluster } = replica.status().identity
  if (position.cluster !== cluster)
    throw new ProblemError(
      'wrong_cluster',
      `${HEADERS.lastEventId} is from the cluster ${position.cluster}, and this node belongs to ${cluster}.`,
    )
  return position
}

async function sendEvents(watch: Watch, response: ServerResponse, context: ServerContext): Promise<void> {
  const { streams, loaded } = context
  const events = new EventText(context)
  const close = (): void => watch.close()
  const release = streams.open(close)
  response.on('close', close)
  const heartbeat = setInterval(() => {
    // Whoever does not read gets no more to read, and is cut off by the stall of what is being written.
    if (!response.writableNeedDrain) response.write(events.heartbeat())
  }, WATCH_HEARTBEAT_MS)
  try {
    response.writeHead(200, {
      'content-type': MEDIA_TYPES.eventStream,
      'cache-control': 'no-store',
      // Proxies that gather answers before they pass them on would hold events back for minutes.
      'x-accel-buffering': 'no',
      [HEADERS.servedBy]: loaded.config.name,
    })
    response.flushHeaders()
    for (;;) {
      const piece = await watch.next()
      if (piece === undefined) break
      const text = events.of(piece)
      // A watch is woken by writes to other buckets too, and then says nothing.
      if (text === '') continue
      if (!(await writeAndWait(response, text))) break
      heartbeat.refresh()
    }
    response.end()
  } finally {
    clearInterval(heartbeat)
    response.off('close', close)
    watch.close()
    release()
  }
}

/** What a watch tells, as lines of an event stream. */
class EventText {
  readonly #context: ServerContext
  readonly #names: Names
  #position: WatchPosition | undefined
  /** Whether anything was told since the last id: to those who hear nothing an id with each comment line is enough. */
  #isDue = true

  constructor(context: ServerContext) {
    this.#context = context
    this.#names = new Names(context.replica)
  }

  of(piece: readonly WatchItem[]): string {
    let text = ''
    for (const item of piece) {
      if (item.kind === 'change') {
        text += `event: ${item.change.type}\ndata: ${JSON.stringify(this.#dataOf(item.change))}\n\n`
        this.#isDue = true
        continue
      }
      this.#position = item.position
      if (item.kind === 'resync') text += `event: resync\n${this.#id()}data: {}\n\n`
      else if (this.#isDue) text += `${this.#id()}\n`
      this.#isDue = false
    }
    return text
  }

  heartbeat(): string {
    this.#isDue = false
    return `: still here\n${this.#id()}\n`
  }

  #id(): string {
    return this.#position === undefined ? '' : `id: ${idOf(this.#position, this.#context)}\n`
  }

  #dataOf({ address, version, via, lagMs }: WatchChange): WatchData {
    const origin = this.#names.of(version.replica)
    return { ...keyFields(keyOf(address)), etag: etagOf(version), origin, via, lagMs }
  }
}

/** All who watch come by the same positions. */
const IDS = new WeakMap<WatchPosition, string>()

function idOf(position: WatchPosition, { hash }: ServerContext): string {
  let id = IDS.get(position)
  if (id === undefined) {
    id = Buffer.from(encodeWatchPosition(position, hash)).toString('base64url')
    IDS.set(position, id)
  }
  return id
}

/** Names of members by their ids. One that is not known (any more) goes by its id. */
class Names {
  readonly #replica: Replica
  #names: ReadonlyMap<string, string> = new Map()

  constructor(replica: Replica) {
    this.#replica = replica
  }

  of(id: string): string {
    const known = this.#names.get(id)
    if (known !== undefined) return known
    this.#names = new Map(this.#replica.members().map(({ replica, name }) => [replica, name]))
    return this.#names.get(id) ?? id
  }
}
