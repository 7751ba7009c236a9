import {
  HLC_ZERO,
  HOT_MS,
  isBeyondDrift,
  openEnvelope,
  PARKED_BYTES_MAX,
  PARKED_ENTRIES_MAX,
  standingOf,
  type Address,
  type Admission,
  type Clock,
  type Entry,
  type Hash,
  type Hlc,
  type Log,
  type Measures,
  type Partition,
  type ReplicaId,
  type Timer,
  type Timers,
  type VectorRows,
} from '@grapevine/core'
import { errorOf, type CommitFailure, type RemoteEntries, type Source } from './arrival.ts'
import type { Committer } from './committer.ts'

export interface IntakeContext {
  readonly committer: Committer
  readonly clock: Clock
  readonly hash: Hash
  readonly timers: Timers
  readonly measures: Measures
  readonly log: Log
  readonly driftMs: number
}

export interface Received {
  readonly entries: readonly Entry[]
  readonly claims?: readonly (readonly [Partition, VectorRows])[]
  readonly clock?: Hlc
  /** The answerer's frontier of the moment of its claims. */
  readonly frontier?: Hlc
  readonly source: Source
  readonly from: ReplicaId
  readonly askedAt?: Hlc
}

/** What became of each entry; `parked` ones are not covered and wait for their time. */
export type Fate = Admission | 'parked'

/**
 * Where entries of other replicas come in. What is stamped beyond the permitted drift is parked (R3, P9): neither
 * applied nor covered, it does not move the clock, and no claim that came with it is adopted (R7).
 */
export class Intake {
  readonly #context: IntakeContext
  /** Newest per key; when full, the earliest to come is worth keeping and the rest comes again by anti-entropy. */
  readonly #parked = new Map<string, { readonly entry: Entry; readonly from: ReplicaId }>()
  #parkedBytes = 0
  #timer: Timer | undefined
  #stopped = false
  #lastNewsMs = Number.NEGATIVE_INFINITY

  constructor(context: IntakeContext) {
    this.#context = context
  }

  /** Since the last entry that was news, by whatever way it came. */
  get sinceNewsMs(): number {
    return this.#context.clock.monotonicMs() - this.#lastNewsMs
  }

  /** Called when something was news after a quiet time, and with how long that was. */
  onNews: (quietMs: number) => void = () => {}

  /** How many entries wait, by the replica that made them. */
  parkedFrom(): ReadonlyMap<ReplicaId, number> {
    const counts = new Map<ReplicaId, number>()
    for (const { entry } of this.#parked.values()) {
      const { replica } = entry.version
      counts.set(replica, (counts.get(replica) ?? 0) + 1)
    }
    return counts
  }

  /** Called with an entry of an exchange that was refused: a key that one side has and the other must not take. */
  onRefused: (entry: Entry, from: ReplicaId) => void = () => {}

  /** Called with an address whose row here cannot be read, so that what arrived could not be judged. */
  onUnreadable: (address: Address) => void = () => {}

  get parked(): number {
    return this.#parked.size
  }

  async takeIn(received: Received): Promise<readonly Fate[]> {
    return (await this.takeAnswer(received)).fates
  }

  /** The same, and whether the claims of the answer were adopted: all of them or none (frontier.md R7). */
  async takeAnswer({
    entries,
    claims = [],
    clock: theirClock = HLC_ZERO,
    frontier = HLC_ZERO,
    source,
    from,
    askedAt,
  }: Received): Promise<{ readonly fates: readonly Fate[]; readonly isAdopted: boolean }> {
    const { clock, committer, driftMs, measures } = this.#context
    // Nothing is taken in and nothing claimed: whoever sends it keeps it, and a later pull asks for it again.
    if (committer.isReadOnly) return { fates: entries.map(() => 'failed'), isAdopted: false }
    const wallMs = clock.wallMs()
    const inTime = entries.filter((entry) => !isBeyondDrift(entry, wallMs, driftMs))
    const early = inTime.length === entries.length ? [] : entries.filter((entry) => !inTime.includes(entry))
    if (early.length > 0) this.#park(early, from)
    const isClaimInTime = early.length === 0 && theirClock.wallMs <= wallMs + driftMs
    const admissions = await this.#commit({
      source,
      entries: inTime,
      claims: isClaimInTime ? claims : [],
      clock: theirClock,
      frontier,
      from,
      askedAt,
    })
    if (admissions.includes('news')) this.#noteNews()
    for (const [index, admission] of admissions.entries())
      if (admission === 'failed') this.onUnreadable(inTime[index]?.address ?? '')
    const refused = inTime.filter((_, index) => admissions[index] === 'refused')
    if (refused.length > 0) measures.add('refused_entries', refused.length)
    if (source === 'anti-entropy') for (const entry of refused) this.onRefused(entry, from)
    // Whoever was evicted while its answer waited is behind the fence, with its claims.
    const isFenced = source !== 'bootstrap' && standingOf(committer.state.roster, from) === 'evicted'
    const isAdopted = isClaimInTime && !isFenced && !admissions.includes('failed')
    if (early.length === 0) return { fates: admissions, isAdopted }
    let next = 0
    const fates = entries.map((entry) => (inTime[next] === entry ? (admissions[next++] ?? 'refused') : 'parked'))
    return { fates, isAdopted }
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  #noteNews(): void {
    const quietMs = this.sinceNewsMs
    this.#lastNewsMs = this.#context.clock.monotonicMs()
    if (quietMs > HOT_MS) this.onNews(quietMs)
  }

  #commit(arrived: Omit<RemoteEntries, 'kind' | 'settle' | 'fail'>): Promise<readonly Admission[]> {
    if (arrived.entries.length === 0 && arrived.claims.length === 0) return Promise.resolve([])
    return new Promise((settle, reject) => {
      const fail = (failure: CommitFailure): void => reject(errorOf(failure))
      this.#context.committer.submit({ kind: 'entries', ...arrived, settle, fail })
    })
  }

  #park(entries: readonly Entry[], from: ReplicaId): void {
    const { hash, log } = this.#context
    let parked = 0
    for (const received of entries) {
      // A copy: what was received is a view of its whole frame, which would stay in memory as long.
      const entry = openEnvelope(received.envelope.slice(), hash) ?? received
      const held = this.#parked.get(entry.address)?.entry
      const isFull = this.#parked.size >= PARKED_ENTRIES_MAX || this.#parkedBytes >= PARKED_BYTES_MAX
      if (isFull && held === undefined) continue
      if (held !== undefined && held.version.hlc.wallMs >= entry.version.hlc.wallMs) continue
      this.#parked.set(entry.address, { entry, from })
      this.#parkedBytes += entry.envelope.length - (held?.envelope.length ?? 0)
      parked++
    }
    if (parked > 0) log.warn('entries-parked', { from, parked, waiting: this.#parked.size })
    this.#timer ??= this.#context.timers.after(this.#context.driftMs / 10, () => void this.#release())
  }

  /** Takes in what has come into its time. */
  async #release(): Promise<void> {
    const { clock, committer, driftMs, log } = this.#context
    this.#timer = undefined
    const wallMs = clock.wallMs()
    // There is no room for them yet.
    if (committer.isReadOnly) return this.#releaseLater()
    const due = [...this.#parked.values()].filter(({ entry }) => !isBeyondDrift(entry, wallMs, driftMs))
    for (const { entry } of due) {
      this.#parked.delete(entry.address)
      this.#parkedBytes -= entry.envelope.length
    }
    try {
      // By sender: who was evicted meanwhile is heard no more.
      for (const [from, sent] of Map.groupBy(due, (parked) => parked.from)) {
        const entries = sent.map(({ entry }) => entry)
        const none = { claims: [], clock: HLC_ZERO, frontier: HLC_ZERO }
        await this.#commit({ source: 'anti-entropy', entries, ...none, from })
      }
    } catch (error) {
      // Nothing is covered, so anti-entropy brings them again.
      log.warn('parked-entries-not-committed', { entries: due.length, error: String(error) })
    }
    this.#releaseLater()
  }

  #releaseLater(): void {
    const { driftMs, timers } = this.#context
    if (this.#parked.size > 0 && !this.#stopped) this.#timer ??= timers.after(driftMs / 10, () => void this.#release())
  }
}
