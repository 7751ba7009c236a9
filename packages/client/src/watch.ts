import {
  bytesOfKeyFields,
  HEADERS,
  MEDIA_TYPES,
  WATCH_HEARTBEAT_MS,
  type WatchData,
  type WatchVia,
} from '@grapevine/contract'
import { abandonable, eitherOf } from './abandonable.ts'
import type { CallOptions, Connection } from './connection.ts'
import { TIMER_MS_MAX, type OutgoingRequest } from './contact.ts'
import { EventStreamParser, type StreamBlock } from './event-stream.ts'
import { GrapevineError } from './grapevine-error.ts'
import { judge } from './judge.ts'
import { keyOfBytes, type Key } from './key.ts'
import { rangeQuery } from './range-query.ts'
import { sleep } from './send.ts'

export interface WatchOptions extends CallOptions {
  readonly prefix?: Key | undefined
  /** Where another watch of the same bucket and prefix got to: the `id` of a change. */
  readonly after?: string | undefined
  /**
   * Begin with a `resync`, as soon as no later change can be missed. Who lists then, and follows from there, has all of it.
   * Default no.
   */
  readonly initial?: boolean | undefined
  /** After so many milliseconds without a sign of life another node is asked. Default 35,000. */
  readonly silenceMs?: number | undefined
}

interface Place {
  /** The newest id that was received: where to go on, later, on whichever node. */
  readonly id: string | undefined
}

/** A change of a key. It comes without the value: read that, if it is needed, and get the newest. */
export interface KeyChange extends Place {
  readonly type: 'put' | 'delete' | 'expire'
  /** Text, or bytes where they are not UTF-8. */
  readonly key: Key
  /** The version that was written, or that expired. */
  readonly etag: string
  /** Name of the node that took the write. */
  readonly origin: string
  /** How the change came to the node that tells of it. */
  readonly via: WatchVia
  /** Milliseconds from the write to its commit on that node. */
  readonly lagMs: number
}

/** Something may have been missed, and nobody can tell what: list what is watched. The events go on from here. */
export interface Resync extends Place {
  readonly type: 'resync'
}

export type Change = KeyChange | Resync

/** Two comment lines and what a busy network may hold them up. */
const SILENCE_MS: number = 2 * WATCH_HEARTBEAT_MS + 5_000
const WAIT_MS_MIN = 100
/** A cluster that comes back is found again within this time. */
const WAIT_MS_MAX = 5_000

/**
 * One watch, over as many connections as it takes. The first has to come about within `timeoutMs`; from then on it
 * goes on for ever, since nothing is lost by waiting that could be had by giving up.
 */
export function watchBucket(
  bucket: string,
  connection: Connection,
  options: WatchOptions,
): AsyncIterableIterator<Change> & AsyncDisposable {
  const query = new URLSearchParams(rangeQuery({ prefix: options.prefix }))
  const path = `/v1/watch/${bucket}${query.size > 0 ? `?${query.toString()}` : ''}`
  return abandonable(options.signal, (signal) => changes(path, connection, options, signal))
}

async function* changes(
  path: string,
  connection: Connection,
  options: WatchOptions,
  signal: AbortSignal,
): AsyncGenerator<Change, void, void> {
  const { timeoutMs = connection.timeoutMs, silenceMs = SILENCE_MS } = options
  const { pool } = connection
  const stopped = connection.signalWith(signal)
  const startedMs = Date.now()
  let established = false
  let id = options.after
  let initial = options.initial ?? false
  let failures = 0
  let failure: GrapevineError | undefined
  for (const tried = new Set<string>(); ;) {
    if (!established && failure !== undefined && Date.now() >= startedMs + timeoutMs) throw failure
    const url = pool.next(Date.now(), tried)
    if (url === undefined) {
      await sleep(Math.min(WAIT_MS_MAX, WAIT_MS_MIN * 2 ** failures) * (0.5 + Math.random() / 2), stopped)
      tried.clear()
      continue
    }
    tried.add(url)
    // Of a connection that was never told where it is, nobody knows what it has missed.
    const isLost = established && id === undefined
    let heard = false
    const headers = connection.headers({
      accept: MEDIA_TYPES.eventStream,
      ...(id !== undefined && { [HEADERS.lastEventId]: id }),
    })
    const request: OutgoingRequest = { method: 'GET', path, headers, safe: true, stream: true }
    const leftMs = established ? timeoutMs : Math.max(1, startedMs + timeoutMs - Date.now())
    // As any other call it leaves half of its time for the next node, if there is one.
    const attemptMs = pool.next(Date.now(), tried) === undefined ? leftMs : leftMs / 2
    // Reading ends when the watch ends or when the connection has fallen silent.
    const silence = new AbortController()
    try {
      const limits = { timeoutMs: attemptMs, signal: eitherOf(stopped, silence.signal) }
      const verdict = judge(await connection.contact(url, request, limits), request, url)
      if (verdict.kind === 'failed') {
        if (!verdict.repeatable) throw verdict.error
        failure = verdict.error
        failures += 1
        pool.failed(url, Date.now(), Math.random())
        continue
      }
      const { stream, headers: answered } = verdict.answer
      if (stream === undefined || !answered.get('content-type')?.startsWith(MEDIA_TYPES.eventStream))
        throw new GrapevineError({ code: 'bad_answer', message: `${url} does not answer with an event stream.` })
      established = true
      for await (const block of blocksOf(stream, silenceMs)) {
        const isFirst = !heard
        // Also so that whoever hears of a change here reads it here, where it is.
        pool.succeeded(url)
        heard = true
        id = block.id ?? id
        if ((initial && id !== undefined) || (isFirst && isLost)) {
          initial = false
          yield { type: 'resync', id }
        }
        const change = changeOf(block, id, url)
        if (change !== undefined) yield change
      }
    } finally {
      silence.abort()
    }
    if (stopped.aborted) {
      const cause: unknown = stopped.reason
      throw new GrapevineError({ code: 'aborted', message: 'The watch was ended.', cause })
    }
    // Whoever ends the stream is going away or not well: others first. Who said nothing at all is no way forward.
    pool.failed(url, Date.now(), Math.random())
    failures = heard ? 0 : failures + 1
    if (heard) tried.clear()
    tried.add(url)
  }
}

/** Until the stream ends, breaks, falls silent, or makes no sense: for whoever watches that is all one. */
async function* blocksOf(
  stream: ReadableStream<Uint8Array>,
  silenceMs: number,
): AsyncGenerator<StreamBlock, void, void> {
  const reader = stream.getReader()
  const decoder = new TextDecoder()
  const parser = new EventStreamParser()
  try {
    for (;;) {
      const chunk = await within(reader.read(), silenceMs)
      if (chunk === undefined || chunk.done) return
      yield* parser.push(decoder.decode(chunk.value, { stream: true }))
    }
  } catch (error) {
    if (error instanceof GrapevineError) throw error
  } finally {
    // Not awaited: a stream that hangs may hang on this as well.
    reader.cancel().catch(() => undefined)
  }
}

function within<Value>(promise: Promise<Value>, ms: number): Promise<Value | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), Math.min(ms, TIMER_MS_MAX))
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/** Names that a later version may add are passed over. @throws {GrapevineError} `bad_answer`. */
function changeOf({ event, data }: StreamBlock, id: string | undefined, url: string): Change | undefined {
  if (data === undefined) return undefined
  if (event === 'resync') return { type: 'resync', id }
  if (event !== 'put' && event !== 'delete' && event !== 'expire') return undefined
  try {
    const fields: WatchData = JSON.parse(data)
    const { etag, origin, via, lagMs } = fields
    const bytes = bytesOfKeyFields(fields)
    if (bytes === undefined || typeof etag !== 'string') throw new TypeError('This is no change of a key.')
    return { type: event, key: keyOfBytes(bytes), etag, origin, via, lagMs, id }
  } catch (cause) {
    throw new GrapevineError({ code: 'bad_answer', message: `${url} sent an event that cannot be read.`, cause })
  }
}
