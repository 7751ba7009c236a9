import {
  assert,
  bucketOf,
  changeOf,
  compareVersions,
  isPurgeable,
  partitionOf,
  seenWrites,
  type Address,
  type Change,
  type Clock,
  type Entry,
  type Hlc,
  type Partition,
  type ShortHash,
  type Timer,
  type Timers,
  type WatchChange,
  type WatchPosition,
  type WatchVia,
  type WriterId,
} from '@grapevine/core'
import type { Source } from '../arrival.ts'
import type { CommitPlan } from '../commit-plan.ts'
import type { ReplicaState } from '../replica-state.ts'
import { DropLog, type Drop } from './drop-log.ts'

export interface ChangeFeedContext {
  readonly state: () => ReplicaState
  readonly clock: Clock
  readonly timers: Timers
  readonly itemsMax: number
}

/** What happened, in the order of commits. */
export type FeedItem =
  | {
      readonly kind: 'change'
      readonly change: WatchChange
      readonly partition: Partition
      /** Told because its time had come, and not because it was committed. */
      readonly isTimed: boolean
    }
  /** A row went of which those who came while it went cannot know otherwise. */
  | { readonly kind: 'drop'; readonly drop: Drop; readonly batch: number }
  /** All that the position covers stands before it. */
  | { readonly kind: 'mark'; readonly position: WatchPosition; readonly batch: number }

/** Between two positions. Less often would mean more duplicates after a resume, more often more bytes. */
const MARK_INTERVAL_MS = 1_000
/** Folded sets that are remembered by their hash: about as many as there are folds in half an hour of restarts. */
const FOLDED_SETS_MAX = 64

/**
 * Committed changes, for those who watch: one ring for all of them, in which each has its own place. It is filled only
 * while somebody watches, since whoever comes later reads the store.
 */
export class ChangeFeed {
  readonly #context: ChangeFeedContext
  /** Grows to `itemsMax` once somebody watches. */
  readonly #ring: (FeedItem | undefined)[] = []
  readonly #waiting = new Map<string, Set<() => void>>()
  readonly #folded = new Map<ShortHash, ReadonlySet<WriterId>>()
  #drops: DropLog | undefined
  #head = 0
  #tail = 0
  #epoch = 0
  #batch = 0
  #watchers = 0
  #expiriesToldMs = 0
  /** What is committed from now on and has expired by then is told as expired: nobody will look for it again. */
  #expiriesSoughtMs = 0
  #hasMoved = false
  #marking: Timer | undefined

  constructor(context: ChangeFeedContext) {
    this.#context = context
  }

  /** Told of each entry with an expiry that is committed while somebody watches. */
  onExpiring: (atMs: number) => void = () => {}
  /** Told when the first begins to watch, and when the last has ended. */
  onWatched: (isWatched: boolean) => void = () => {}

  get watchers(): number {
    return this.#watchers
  }

  /** The number of the next item. */
  get head(): number {
    return this.#head
  }

  /** The number of the oldest item that is still here. */
  get tail(): number {
    return this.#tail
  }

  /** Another number whenever something may have happened that no item tells of. */
  get epoch(): number {
    return this.#epoch
  }

  /** The number of the last batch that is in it. */
  get batch(): number {
    return this.#batch
  }

  get drops(): DropLog {
    return (this.#drops ??= new DropLog(this.#context.state().frontier))
  }

  /** Expiries up to here have been told. By the wall clock. */
  get expiriesToldMs(): number {
    return this.#expiriesToldMs
  }

  at(number: number): FeedItem {
    const item = this.#ring[number % this.#context.itemsMax]
    assert(item !== undefined && number >= this.#tail && number < this.#head, 'the feed has no such item')
    return item
  }

  /** From here on it is known what is dropped: to be called before anything is, and when a joiner has got everything. */
  start(): void {
    this.#drops = new DropLog(this.#context.state().frontier)
    this.#rememberFolded()
  }

  join(): void {
    if (this.#watchers++ > 0) return
    this.#expiriesToldMs = Math.floor(this.#context.clock.wallMs())
    this.#expiriesSoughtMs = this.#expiriesToldMs
    this.onWatched(true)
    this.#markLater()
  }

  leave(): void {
    if (--this.#watchers > 0) return
    this.#marking?.cancel()
    this.#marking = undefined
    this.onWatched(false)
    this.#ring.fill(undefined)
    this.#tail = this.#head
  }

  /** Where everybody is who has been told all that has happened. */
  position(): WatchPosition {
    const state = this.#context.state()
    return {
      cluster: state.identity?.cluster ?? '',
      frontier: state.frontier,
      expiriesToldMs: this.#expiriesToldMs,
      folded: state.foldedHash(),
      seen: state.vectors().map((vector) => seenWrites(vector.rows())),
    }
  }

  /** The writers that were folded when the set had this hash, if that is known. */
  foldedBy(hash: ShortHash): ReadonlySet<WriterId> | undefined {
    const { folded } = this.#context.state()
    return hash === this.#context.state().foldedHash() ? folded : this.#folded.get(hash)
  }

  /** Resolves when there is something new in this bucket, or a mark, or when `wake` of it is called. */
  wait(bucket: string): { readonly news: Promise<void>; readonly wake: () => void } {
    const { promise: news, resolve } = Promise.withResolvers<void>()
    const waiting = this.#waiting.get(bucket) ?? new Set()
    this.#waiting.set(bucket, waiting)
    const wake = (): void => {
      waiting.delete(wake)
      if (waiting.size === 0) this.#waiting.delete(bucket)
      resolve()
    }
    waiting.add(wake)
    return { news, wake }
  }

  /** The batch is durable, and the state has advanced by it, in this turn. */
  committed(plan: CommitPlan): void {
    this.#batch++
    this.#hasMoved = true
    if (plan.batch.folded !== undefined) this.#rememberFolded()
    const { changes } = plan.batch
    const isWatched = this.#watchers > 0
    if (!isWatched && changes.every(({ after }) => after !== undefined)) return
    const arrived = arrivedIn(plan, this.#context.state().frontier)
    const wallMs = Math.max(this.#context.clock.wallMs(), this.#expiriesSoughtMs)
    for (const change of changes) {
      if (change.after === undefined) this.#dropped(change, arrived, wallMs)
      else if (isWatched) this.#changed(change.after, arrived.sources.get(change.after), wallMs)
    }
    this.#wakeTouched(changes)
  }

  /** What was committed is not known any more: everybody has to look into the store. */
  reset(): void {
    this.#epoch++
    this.#hasMoved = true
    this.#folded.clear()
    this.start()
    this.#wakeAll()
  }

  /** From this turn's view of the store all is told that expires until then. */
  seeksExpiries(untilMs: number): void {
    this.#expiriesSoughtMs = Math.max(this.#expiriesSoughtMs, untilMs)
  }

  /** Nothing more will be committed: whoever waits looks up, and ends. */
  end(): void {
    this.#wakeAll()
  }

  /** These have expired by now, and no commit tells of it. */
  expired(entries: readonly Entry[], wallMs: number): void {
    for (const entry of entries)
      this.#push({
        kind: 'change',
        change: changeOf(entry, 'local', wallMs),
        partition: partitionOf(entry.keyHash),
        isTimed: true,
      })
    for (const bucket of new Set(entries.map(({ address }) => bucketOf(address)))) this.#wake(bucket)
  }

  /** Everything that expired by then is in it. */
  expiredUpTo(wallMs: number): void {
    this.#expiriesToldMs = Math.max(this.#expiriesToldMs, wallMs)
  }

  /** Notes the position of this moment, for everybody who gets there. */
  mark(): void {
    if (!this.#hasMoved) return
    this.#hasMoved = false
    this.#push({ kind: 'mark', position: this.position(), batch: this.#batch })
    this.#wakeAll()
  }

  #changed(after: Entry, source: Source | undefined, wallMs: number): void {
    const change = changeOf(after, viaOf(source), wallMs)
    this.#push({ kind: 'change', change, partition: partitionOf(after.keyHash), isTimed: false })
    if (change.type === 'put' && after.expiresAtMs !== 0) this.onExpiring(after.expiresAtMs)
  }

  /** Purged in its turn, or beaten by something that is absent already itself. */
  #dropped({ before }: Change, arrived: Arrived, wallMs: number): void {
    if (typeof before !== 'object') return
    const absent = arrived.absent.get(before.address) ?? before
    const partition = partitionOf(absent.keyHash)
    const { address, version, dot, expiresAtMs } = absent
    // A value without an expiry goes when a leaf is mended, and it turns out to be deleted.
    const type = absent.value === undefined || absent.expiresAtMs === 0 ? 'delete' : 'expire'
    const drop: Drop = { type, address, partition, version, dot, expiresAtMs }
    this.drops.note(absent, drop)
    if (this.#watchers === 0) return
    if (before.value !== undefined && !this.#isToldAsExpired(before)) {
      const change: WatchChange = { ...changeOf(absent, viaOf(arrived.sources.get(absent)), wallMs), type }
      this.#push({ kind: 'change', change, partition, isTimed: false })
    } else this.#push({ kind: 'drop', drop, batch: this.#batch })
  }

  #isToldAsExpired({ expiresAtMs }: Entry): boolean {
    return expiresAtMs !== 0 && expiresAtMs <= this.#expiriesToldMs
  }

  #push(item: FeedItem): void {
    if (this.#watchers === 0) return
    this.#ring[this.#head % this.#context.itemsMax] = item
    this.#head++
    this.#tail = Math.max(this.#tail, this.#head - this.#context.itemsMax)
  }

  #wakeTouched(changes: readonly Change[]): void {
    if (this.#waiting.size === 0) return
    const buckets = new Set<string>()
    for (const { after, before } of changes) {
      const address = after?.address ?? (typeof before === 'object' ? before.address : undefined)
      if (address !== undefined) buckets.add(bucketOf(address))
    }
    for (const bucket of buckets) this.#wake(bucket)
  }

  #wake(bucket: string): void {
    for (const wake of [...(this.#waiting.get(bucket) ?? [])]) wake()
  }

  #wakeAll(): void {
    for (const bucket of [...this.#waiting.keys()]) this.#wake(bucket)
  }

  #markLater(): void {
    this.#marking = this.#context.timers.after(MARK_INTERVAL_MS, () => {
      this.mark()
      this.#markLater()
    })
  }

  #rememberFolded(): void {
    const state = this.#context.state()
    this.#folded.set(state.foldedHash(), state.folded)
    const [oldest] = this.#folded.keys()
    if (this.#folded.size > FOLDED_SETS_MAX && oldest !== undefined) this.#folded.delete(oldest)
  }
}

/** What came from elsewhere in a group: from where, and what of it is absent already. */
interface Arrived {
  readonly sources: ReadonlyMap<Entry, Source>
  readonly absent: ReadonlyMap<Address, Entry>
}

function arrivedIn({ arrivals }: CommitPlan, frontier: Hlc): Arrived {
  const sources = new Map<Entry, Source>()
  const absent = new Map<Address, Entry>()
  for (const arrival of arrivals) {
    if (arrival.kind === 'leaf') for (const entry of arrival.entries) sources.set(entry, 'heal')
    if (arrival.kind !== 'entries') continue
    for (const entry of arrival.entries) {
      sources.set(entry, arrival.source)
      if (!isPurgeable(entry, frontier)) continue
      const other = absent.get(entry.address)
      if (other === undefined || compareVersions(entry.version, other.version) > 0) absent.set(entry.address, entry)
    }
  }
  return { sources, absent }
}

function viaOf(source: Source | undefined): WatchVia {
  switch (source) {
    case undefined:
      return 'local'
    case 'rumor':
      return 'rumor'
    case 'heal':
    case 'read-repair':
      return 'read-repair'
    case 'pull':
    case 'anti-entropy':
    case 'bootstrap':
      return 'anti-entropy'
  }
}
