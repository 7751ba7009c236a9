import {
  changeOf,
  compareHlc,
  mayBeNewsTo,
  PARTITIONS,
  StoreError,
  vectorOfSeen,
  VersionVector,
  type Address,
  type Clock,
  type Entry,
  type Measures,
  type Partition,
  type Store,
  type StoreView,
  type Timers,
  type WatchChange,
  type WatchPosition,
  type WriterId,
} from '@grapevine/core'
import type { ReplicaState } from '../replica-state.ts'
import { sleep } from '../sleep.ts'
import type { ChangeFeed, FeedItem } from './change-feed.ts'
import type { Drop } from './drop-log.ts'
import { expired } from './expiry-teller.ts'

export interface WatchRequest {
  readonly bucket: string
  /** All addresses that begin so are watched; it begins with the bucket. */
  readonly prefix: Address
  /** Where an earlier watch got to, on whichever node. */
  readonly after: WatchPosition | undefined
}

export type WatchItem =
  | { readonly kind: 'change'; readonly change: WatchChange }
  /** All that it covers has been told. */
  | { readonly kind: 'position'; readonly position: WatchPosition }
  /** What came before the position is not known any more, at least not all of it. */
  | { readonly kind: 'resync'; readonly position: WatchPosition }

/** What one who watches is told, in pieces of bounded size. */
export interface Watch {
  /** Waits until there is something to tell. `undefined` when the watch is closed. */
  next(): Promise<readonly WatchItem[] | undefined>
  /** Whoever waits for `next` is let go. */
  close(): void
}

export interface WatchContext {
  readonly feed: ChangeFeed
  readonly state: () => ReplicaState
  readonly store: Store
  readonly clock: Clock
  readonly timers: Timers
  readonly measures: Measures
  /** Whether a batch is on its way to the disk, so that a view of the store may already show what the state does not. */
  readonly isCommitting: () => boolean
  /** A row that cannot be read stands in the way; what it held is told when it is back. */
  readonly onUnreadable: (address: Address) => void
  readonly isStopping: () => boolean
}

/** Each holds a socket, a piece of text, and takes its time of the event loop at each commit. */
export const WATCHERS_MAX = 1_024
/** Items in one piece: about 64 KiB as events. */
const PIECE_ITEMS = 256
/**
 * How long a node that lacks what the position covers waits for it, partition by partition: what it would tell until then
 * may be older than what was told elsewhere. A node that was restarted has caught up long before.
 */
const BEHIND_MS_MAX = 15_000
const BEHIND_LOOK_MS = 50
/** Until a store that is being opened again is looked at again. */
const REOPEN_WAIT_MS = 200

/** Begins to watch, with everything that is committed from this turn on. */
export function openWatch(request: WatchRequest, context: WatchContext): Watch {
  const watch = new Watcher(request, context)
  const pieces = watch.pieces()
  return {
    next: async () => {
      const { done, value } = await pieces.next()
      if (done === true) return undefined
      context.measures.add('watch_events', value.filter(({ kind }) => kind === 'change').length)
      return value
    },
    close: () => {
      watch.close()
      // Lets go of a view of the store that is read from at the moment.
      pieces.return(undefined).catch(() => {})
    },
  }
}

/** What has been told of one partition. */
interface Told {
  readonly vector: VersionVector
  /** Writers all of whose dots have been. */
  readonly folded: ReadonlySet<WriterId>
  /** The number of the first item of the feed that has not; `undefined` before the store was read. */
  readonly joinedAt: number | undefined
}

/** Where somebody stands who has everything from the store: what is left is in the feed. */
interface Joined {
  /** For each partition the number of the first item to be told. */
  readonly joinedAt: readonly number[]
  /** The number of the first item behind the last look into the store: all that expired or went before it has been told. */
  readonly settledAt: number
  /** The position there, to be told when the feed has been told up to it. */
  readonly position: WatchPosition | undefined
  /** The batch that the store had by then and the feed had not, if there is one: what went by it has to be told. */
  readonly pending: number | undefined
}

class Watcher {
  readonly #request: WatchRequest
  readonly #context: WatchContext
  /** Where to read on from when the feed has gone on without this watcher. */
  #position: WatchPosition
  #joined: Joined | undefined
  #isClosed = false
  #wake: () => void = () => {}

  constructor(request: WatchRequest, context: WatchContext) {
    this.#request = request
    this.#context = context
    context.feed.join()
    this.#position = request.after ?? context.feed.position()
    // Followed from this turn on, whenever the first piece is asked for.
    if (request.after === undefined) this.#joined = this.#joinedNow()
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#wake()
    this.#context.feed.leave()
  }

  get #isOver(): boolean {
    return this.#isClosed || this.#context.isStopping()
  }

  async *pieces(): AsyncGenerator<readonly WatchItem[], undefined, undefined> {
    const { feed, measures, timers } = this.#context
    measures.add('watches', 1, this.#joined === undefined ? 'resumed' : 'new')
    yield [{ kind: 'position', position: this.#position }]
    while (!this.#isOver) {
      const { epoch } = feed
      try {
        const joined = this.#joined ?? (yield* this.#catchUp(epoch))
        this.#joined = undefined
        if (joined !== undefined) yield* this.#follow(joined, epoch)
      } catch (error) {
        if (!(error instanceof StoreError)) throw error
        // It is being opened again, and took the view along.
        await sleep(timers, REOPEN_WAIT_MS)
      }
      if (!this.#isOver) measures.add('watches', 1, 'reread')
    }
    return undefined
  }

  /** Tells what the feed has and what comes, until the feed has gone on without this watcher. */
  async *#follow(joined: Joined, epoch: number): AsyncGenerator<readonly WatchItem[], void, undefined> {
    const { feed } = this.#context
    let isTold = joined.position === undefined
    let next = Math.min(...joined.joinedAt)
    while (!this.#isOver && feed.epoch === epoch && next >= feed.tail) {
      const piece: WatchItem[] = []
      for (; next < feed.head && piece.length < PIECE_ITEMS; next++) {
        if (!isTold && next === joined.settledAt) break
        const item = this.#itemOf(feed.at(next), next, joined)
        if (item !== undefined) piece.push(item)
      }
      if (!isTold && next === joined.settledAt && joined.position !== undefined) {
        piece.push({ kind: 'position', position: joined.position })
        isTold = true
      }
      const position = piece.findLast((item) => item.kind === 'position')?.position
      if (piece.length > 0) yield piece
      else if (next === feed.head) await this.#news()
      // Only what was handed over has been told.
      this.#position = position ?? this.#position
    }
  }

  #news(): Promise<void> {
    const { news, wake } = this.#context.feed.wait(this.#request.bucket)
    this.#wake = wake
    return news
  }

  #itemOf(item: FeedItem, number: number, { joinedAt, settledAt, pending }: Joined): WatchItem | undefined {
    switch (item.kind) {
      case 'change': {
        if (!item.change.address.startsWith(this.#request.prefix)) return undefined
        const isTold = number < (joinedAt[item.partition] ?? 0) || (item.isTimed && number < settledAt)
        return isTold ? undefined : { kind: 'change', change: item.change }
      }
      case 'drop': {
        const isHeard = item.batch === pending && item.drop.address.startsWith(this.#request.prefix)
        return isHeard ? this.#changeOfDrop(item.drop) : undefined
      }
      case 'mark': {
        const isReached = number >= settledAt && (pending === undefined || item.batch >= pending)
        return isReached ? { kind: 'position', position: item.position } : undefined
      }
    }
  }

  /**
   * Tells what the position lacks, from the store: partition by partition, so that no view of it is held for long, and the
   * feed from there on. `undefined` when the store has begun anew meanwhile.
   */
  async *#catchUp(epoch: number): AsyncGenerator<readonly WatchItem[], Joined | undefined, undefined> {
    const { feed, clock, timers } = this.#context
    if (this.#isTooOld()) return yield* this.#resync()
    const folded = feed.foldedBy(this.#position.folded) ?? NO_WRITERS
    const told = this.#position.seen.map((seen): Told => ({ vector: vectorOfSeen(seen), folded, joinedAt: undefined }))
    const patientUntilMs = clock.monotonicMs() + BEHIND_MS_MAX
    for (;;) {
      // The feed may have gone on without those that were told first.
      const left = [...told.entries()].filter(([, { joinedAt }]) => joinedAt === undefined || joinedAt < feed.tail)
      if (left.length === 0) break
      const isPatient = clock.monotonicMs() < patientUntilMs
      const ready = left.filter(([partition, { vector }]) => !isPatient || !this.#isBehind(partition, vector))
      for (const [partition, before] of ready) {
        told[partition] = yield* this.#tellPartition(partition, before)
        if (this.#isOver || feed.epoch !== epoch) return undefined
      }
      if (ready.length === 0) await sleep(timers, BEHIND_LOOK_MS)
    }
    return yield* this.#settle(told.map(({ joinedAt }) => joinedAt ?? 0))
  }

  /** Whether this replica lacks something that was told elsewhere: what it has instead may be older. */
  #isBehind(partition: Partition, told: VersionVector): boolean {
    const state = this.#context.state()
    return !state.vector(partition).containsAll(told, state.folded)
  }

  async *#tellPartition(partition: Partition, before: Told): AsyncGenerator<readonly WatchItem[], Told, undefined> {
    const { feed, store, onUnreadable } = this.#context
    const state = this.#context.state()
    const rows = state.vector(partition).rows()
    const after = { vector: VersionVector.of(rows), folded: state.folded, joinedAt: feed.head }
    if (before.folded === state.folded && before.vector.contains(rows)) return after
    // Taken in the same turn as vector and number: it may show more than they say, never less.
    const view = store.view()
    try {
      let piece: WatchItem[] = []
      for await (const found of view.missing(partition, before.vector, before.folded)) {
        if ('corrupt' in found) {
          if (found.corrupt.startsWith(this.#request.prefix)) onUnreadable(found.corrupt)
        } else if (found.address.startsWith(this.#request.prefix) && mayBeNewsTo(this.#position, found))
          piece.push(this.#changeOf(found))
        if (piece.length < PIECE_ITEMS) continue
        yield piece
        piece = []
      }
      if (piece.length > 0) yield piece
    } finally {
      await view.close()
    }
    return after
  }

  /** Tells what no dot in the store tells of: what was purged, and what has expired. */
  async *#settle(joinedAt: readonly number[]): AsyncGenerator<readonly WatchItem[], Joined | undefined, undefined> {
    const { feed, store, isCommitting } = this.#context
    // Some of it may have been forgotten while the store was read.
    if (this.#isTooOld()) return yield* this.#resync()
    const pending = isCommitting() ? feed.batch + 1 : undefined
    const joined = {
      joinedAt,
      settledAt: feed.head,
      // Of what went by a batch that is still on its way nobody has been told yet.
      position: pending === undefined ? feed.position() : undefined,
      pending,
    }
    const drops = this.#dropsUntold()
    const untilMs = feed.expiriesToldMs
    const view = store.view()
    try {
      let piece: WatchItem[] = []
      for (const drop of drops) {
        // Written anew meanwhile: that has been told, or will be.
        if (view.read(drop.address) !== undefined) continue
        piece.push(this.#changeOfDrop(drop))
        if (piece.length < PIECE_ITEMS) continue
        yield piece
        piece = []
      }
      if (piece.length > 0) yield piece
      yield* this.#tellExpired(view, untilMs)
    } finally {
      await view.close()
    }
    return joined
  }

  /** What went last of each key and was not heard of by the position. */
  #dropsUntold(): readonly Drop[] {
    const { feed } = this.#context
    const { seen, folded, expiriesToldMs } = this.#position
    const known = feed.foldedBy(folded) ?? NO_WRITERS
    const untold = new Map<Address, Drop>()
    for (const drop of feed.drops) {
      if (!drop.address.startsWith(this.#request.prefix)) continue
      const { writer, seq } = drop.dot
      const isTold =
        drop.type === 'expire'
          ? drop.expiresAtMs <= expiriesToldMs
          : !mayBeNewsTo(this.#position, drop) || known.has(writer) || seq <= (seen[drop.partition]?.get(writer) ?? 0)
      if (!isTold) untold.set(drop.address, drop)
    }
    return [...untold.values()]
  }

  async *#tellExpired(view: StoreView, untilMs: number): AsyncGenerator<readonly WatchItem[], void, undefined> {
    for await (const due of expired(view, this.#position.expiriesToldMs, untilMs)) {
      const watched = due.filter(({ address }) => address.startsWith(this.#request.prefix))
      if (watched.length > 0) yield watched.map((entry) => this.#changeOf(entry))
    }
  }

  async *#resync(): AsyncGenerator<readonly WatchItem[], Joined, undefined> {
    const { feed, measures } = this.#context
    measures.add('watches', 1, 'resync')
    this.#position = feed.position()
    const joined = this.#joinedNow()
    yield [{ kind: 'resync', position: this.#position }]
    return joined
  }

  /** From this turn on, whatever was before. */
  #joinedNow(): Joined {
    const { head } = this.#context.feed
    const joinedAt = Array.from({ length: PARTITIONS }, () => head)
    return { joinedAt, settledAt: head, position: undefined, pending: undefined }
  }

  /** Whether something was purged that the position may not have heard of, and that nobody remembers. */
  #isTooOld(): boolean {
    const { begin } = this.#context.feed.drops
    const { frontier, expiriesToldMs } = this.#position
    if (expiriesToldMs < begin.wallMs) return true
    return compareHlc(frontier, begin) < 0 && !this.#hasSeenAll()
  }

  /** Whether this replica has seen nothing that the position does not cover. */
  #hasSeenAll(): boolean {
    const { feed } = this.#context
    const state = this.#context.state()
    if (feed.foldedBy(this.#position.folded) !== state.folded) return false
    return this.#position.seen.every((seen, partition) => vectorOfSeen(seen).contains(state.vector(partition).rows()))
  }

  #changeOf(entry: Entry): WatchItem {
    const { clock, state } = this.#context
    const via = entry.version.replica === state().identity?.replica ? 'local' : 'anti-entropy'
    return { kind: 'change', change: changeOf(entry, via, clock.wallMs()) }
  }

  #changeOfDrop({ type, address, version }: Drop): WatchItem {
    const lagMs = Math.max(0, Math.floor(this.#context.clock.wallMs()) - version.hlc.wallMs)
    return { kind: 'change', change: { type, address, version, via: 'anti-entropy', lagMs } }
  }
}

const NO_WRITERS: ReadonlySet<WriterId> = new Set()
