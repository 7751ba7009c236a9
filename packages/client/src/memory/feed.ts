import { keyFieldsOf, WATCH_HEARTBEAT_MS, type WatchData } from '@grapevine/contract'
import { bytesOfByteKey, type ByteKey } from './rows.ts'

/** What is older is forgotten, and whoever comes from before gets a `resync`. */
const EVENTS_MAX = 10_000

export interface FeedEvent {
  readonly type: 'put' | 'delete' | 'expire'
  readonly bucket: string
  readonly key: ByteKey
  readonly etag: string
}

interface Watcher {
  readonly bucket: string
  readonly prefix: ByteKey
  readonly send: (text: string) => void
  readonly end: () => void
}

/** The changes of one node in their order, for those who watch now and those who come back. */
export class Feed {
  readonly #origin: string
  #events: FeedEvent[] = []
  #first = 1
  readonly #watchers = new Set<Watcher>()
  readonly #idPrefix: string

  constructor(origin: string, idPrefix: string) {
    this.#origin = origin
    this.#idPrefix = idPrefix
  }

  get watchers(): number {
    return this.#watchers.size
  }

  add(event: FeedEvent): void {
    this.#events.push(event)
    if (this.#events.length > EVENTS_MAX) {
      this.#events = this.#events.slice(EVENTS_MAX / 2)
      this.#first += EVENTS_MAX / 2
    }
    for (const watcher of this.#watchers) this.#tell(watcher, event, this.#next - 1)
  }

  /** Server-sent events of one bucket from here on, or from after `lastId`. */
  watch(
    bucket: string,
    prefix: ByteKey,
    lastId: string | undefined,
    signal: AbortSignal | undefined,
  ): ReadableStream<Uint8Array> {
    const encoder = new TextEncoder()
    let watcher: Watcher
    let heartbeat: ReturnType<typeof setInterval>
    const leave = (): void => {
      clearInterval(heartbeat)
      this.#watchers.delete(watcher)
    }
    return new ReadableStream({
      start: (controller) => {
        watcher = {
          bucket,
          prefix,
          send: (text) => controller.enqueue(encoder.encode(text)),
          end: () => {
            leave()
            controller.close()
          },
        }
        heartbeat = setInterval(
          () => watcher.send(`: still here\nid: ${this.#idOf(this.#next - 1)}\n\n`),
          WATCH_HEARTBEAT_MS,
        )
        this.#begin(watcher, lastId)
        this.#watchers.add(watcher)
        // As a connection does: what was not read yet is lost.
        const giveUp = (): void => {
          leave()
          controller.error(signal?.reason)
        }
        if (signal?.aborted === true) giveUp()
        else signal?.addEventListener('abort', giveUp, { once: true })
      },
      cancel: leave,
    })
  }

  /** Ends all watches, as a node does that is going away. */
  endAll(): void {
    for (const watcher of this.#watchers) watcher.end()
  }

  get #next(): number {
    return this.#first + this.#events.length
  }

  #begin(watcher: Watcher, lastId: string | undefined): void {
    const after = lastId === undefined ? this.#next - 1 : this.#sequenceOf(lastId)
    const known = after !== undefined && after >= this.#first - 1 && after < this.#next
    if (!known) watcher.send(`event: resync\nid: ${this.#idOf(this.#next - 1)}\ndata: {}\n\n`)
    else watcher.send(`id: ${this.#idOf(after)}\n\n`)
    if (known)
      for (const [index, event] of this.#events.slice(after - this.#first + 1).entries())
        this.#tell(watcher, event, after + 1 + index)
  }

  #tell({ bucket, prefix, send }: Watcher, event: FeedEvent, sequence: number): void {
    if (event.bucket !== bucket || !event.key.startsWith(prefix)) return
    const data: WatchData = {
      ...keyFieldsOf(bytesOfByteKey(event.key)),
      etag: event.etag,
      origin: this.#origin,
      via: 'local',
      lagMs: 0,
    }
    send(`event: ${event.type}\nid: ${this.#idOf(sequence)}\ndata: ${JSON.stringify(data)}\n\n`)
  }

  #idOf(sequence: number): string {
    return this.#idPrefix + sequence
  }

  #sequenceOf(id: string): number | undefined {
    const sequence = Number(id.slice(this.#idPrefix.length))
    return id.startsWith(this.#idPrefix) && Number.isSafeInteger(sequence) ? sequence : undefined
  }
}
