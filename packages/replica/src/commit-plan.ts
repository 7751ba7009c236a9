import {
  admit,
  assert,
  compareHlc,
  COMMIT_BYTES_MAX,
  COMMIT_ENTRIES_MAX,
  HLC_ZERO,
  isMet,
  isPurgeable,
  isReserved,
  isTombstone,
  laterHlc,
  leafOf,
  partitionOf,
  presentAt,
  sealEntry,
  standingOf,
  takenOver,
  type Address,
  type Admission,
  type CommitBatch,
  type Dot,
  type Entry,
  type FrontierGrounds,
  type Hash,
  type Held,
  type Hlc,
  type Identity,
  type KnownPeer,
  type Leaf,
  type Partition,
  type Roster,
  type Totals,
  type WriterId,
} from '@grapevine/core'
import { addDigest, entryDigest, subtractDigest } from '@grapevine/merkle'
import type {
  Arrival,
  CommitFailure,
  LocalOutcome,
  LocalWrite,
  MembershipChange,
  Purge,
  RemoteEntries,
} from './arrival.ts'
import type { ReplicaState } from './replica-state.ts'

export interface PlanContext {
  readonly state: ReplicaState
  readonly hash: Hash
  /** The plan that is on its way to the disk, and that this one is made on top of. */
  readonly below: CommitPlan | undefined
}

/** What a group of arrivals comes to: one batch, and what each arrival is told once the batch is durable. */
export interface CommitPlan {
  readonly arrivals: readonly Arrival[]
  readonly batch: CommitBatch
  /** The last entry of each key that changes; `undefined` for one that is dropped. */
  readonly after: ReadonlyMap<Address, Entry | undefined>
  readonly sums: ReadonlyMap<Leaf, Uint8Array>
  /** Whether the policy of a bucket is among the changes. */
  readonly changesPolicies: boolean
  /** The clock behind this plan's last version and before the next one's first: what may be promised by it (R2). */
  readonly promise: Hlc
  /** Tells each arrival, in their order. To be called once the batch is durable, and only then. */
  readonly tell: readonly (() => void)[]
  /** Whether there is anything to write. */
  readonly isEmpty: boolean
  /** Whether another plan may be made on top of this one before it is durable. */
  readonly bearsAnother: boolean
}

const UNREADABLE: CommitFailure = {
  outcome: 'not-applied',
  cause: new Error('the entry of this key cannot be read, so a condition on it cannot be checked'),
}

/**
 * Decides what becomes of arrivals, in their order, as if each were committed alone. Versions are given here and not
 * when a request came in: what a publication promised in between would not hold for them (R1, R2).
 *
 * It may be filled while the plan below is still on its way to the disk; then what that one changes counts as
 * done, and comes to nothing together with this one if it fails.
 */
export class CommitDraft {
  readonly #context: PlanContext
  readonly #arrivals: Arrival[] = []
  readonly #tell: (() => void)[] = []
  /** The last entry of each key that changed, in order of its first change. */
  readonly #after = new Map<Address, Entry | undefined>()
  /** What each key that an arrival names held when this plan began. */
  readonly #before = new Map<Address, Held>()
  readonly #dots: CommitBatch['dots'][number][] = []
  readonly #adopted: CommitBatch['adopted'][number][] = []
  readonly #sums = new Map<Leaf, Uint8Array>()
  #hasCorrupt = false
  #changesPolicies = false
  #entries = 0
  #bytes = 0
  #rebuilds: number
  #totals: Totals
  #identity: Identity | undefined
  #roster: Roster | undefined
  #peers: readonly KnownPeer[] | undefined
  #frontier: FrontierGrounds | undefined
  #folded: ReadonlySet<WriterId> | undefined
  /** Whether the promise is to rise, though nothing else changes. */
  #ticked = false
  /** Whether an own write is in it. */
  #hasIssued = false
  #wallMs = 0

  constructor(context: PlanContext) {
    const { below, state } = context
    assert(below === undefined || below.bearsAnother, 'nothing may be planned on top of this plan')
    this.#context = context
    this.#totals = below?.batch.totals ?? state.totals
    this.#rebuilds = below?.batch.rebuilds ?? state.rebuilds
  }

  get arrivals(): readonly Arrival[] {
    return this.#arrivals
  }

  get isFull(): boolean {
    return this.#entries >= COMMIT_ENTRIES_MAX || this.#bytes >= COMMIT_BYTES_MAX
  }

  /** What a key holds as far as plans tell; `unread` when the store has to be asked. */
  planned(address: Address): Held | 'unread' {
    for (const told of [this.#after, this.#context.below?.after, this.#before]) {
      const held = told?.get(address)
      if (held !== undefined || told?.has(address) === true) return held
    }
    return 'unread'
  }

  /** Adds a key of which no plan tells and that was not read yet. */
  noteUnread(address: Address, unread: Set<Address>): void {
    if (this.planned(address) === 'unread') unread.add(address)
  }

  /** Notes what the store holds of a key. */
  read(address: Address, held: Held): void {
    this.#before.set(address, held)
    if (held === 'corrupt') this.#hasCorrupt = true
  }

  /** Whether a key was read whose entry cannot be. */
  get hasCorrupt(): boolean {
    return this.#hasCorrupt
  }

  /** The sum of a leaf, worked out from its rows: the old one includes an entry that can no longer be read. */
  recomputed(leaf: Leaf, sum: Uint8Array): void {
    this.#sums.set(leaf, sum)
    this.#rebuilds++
  }

  /** Every key that the arrival names has to be `planned` or `read`. */
  decide(arrival: Arrival, wallMs: number): void {
    this.#arrivals.push(arrival)
    this.#entries += countOf(arrival)
    this.#bytes += weightOf(arrival)
    this.#wallMs = wallMs
    this.#tell.push(this.#decide(arrival, wallMs))
  }

  #decide(arrival: Arrival, wallMs: number): () => void {
    switch (arrival.kind) {
      case 'write': {
        const outcome = this.#write(arrival, wallMs)
        return () => (outcome === undefined ? arrival.fail(UNREADABLE) : arrival.settle(outcome))
      }
      case 'entries': {
        const admissions = this.#takeIn(arrival)
        return () => arrival.settle(admissions)
      }
      case 'purge': {
        const dropped = this.#purge(arrival)
        return () => arrival.settle(dropped)
      }
      case 'membership':
        try {
          this.#changeMembership(arrival)
          return arrival.settle
        } catch (cause) {
          // It refuses what holds now; nobody else in the group has to do with it.
          return () => arrival.fail({ outcome: 'not-applied', cause })
        }
    }
  }

  /** `undefined` when a condition would have to be checked against an entry that cannot be read. */
  #write(write: LocalWrite, wallMs: number): LocalOutcome | undefined {
    const { state, hash } = this.#context
    const current = this.#current(write.address)
    if (current === 'corrupt' && write.precondition !== undefined) return undefined
    const held = typeof current === 'object' && !isPurgeable(current, this.#frontierNow) ? current : undefined
    if (write.precondition !== undefined && !isMet(write.precondition, held, wallMs))
      return { kind: 'precondition-failed', held }
    const partition = partitionOf(write.keyHash)
    const entry = sealEntry(
      {
        address: write.address,
        keyHash: write.keyHash,
        version: {
          hlc: state.clock.tick(wallMs, laterHlc(heldVersion(current), write.after ?? HLC_ZERO)),
          replica: this.#replica(),
        },
        dot: this.#nextDot(partition),
        expiresAtMs: write.expiresAtMs,
        contentType: write.contentType,
        value: write.value,
      },
      hash,
    )
    this.#dots.push({ partition, dot: entry.dot })
    this.#put(entry, current)
    return { kind: 'applied', entry }
  }

  #takeIn({ entries, claims, clock, frontier, from, source }: RemoteEntries): readonly Admission[] {
    const { state } = this.#context
    // The frame was judged when it came. Whoever has been evicted while it waited is behind the fence with it: others count
    // on what our publication with the mark shows being all that we have of the evicted (frontier.md I3, R15).
    const isFenced = standingOf(this.#roster ?? state.roster, from) === 'evicted'
    if (isFenced && source !== 'bootstrap') return entries.map(() => 'refused')
    const admissions = entries.map((entry) => {
      const current = this.#current(entry.address)
      const partition = partitionOf(entry.keyHash)
      const covered = state.covers(partition, entry.dot)
      const admission = admit(entry, {
        held: presentAt(current, this.#frontierNow),
        clock: state.clock.now,
        covered,
        frontier: this.#frontierNow,
        bootstrapping: source === 'bootstrap',
        healing: source === 'heal',
      })
      if (admission === 'refused' || admission === 'failed') return admission
      // Heard twice changes nothing, and so costs no batch.
      if (!covered) this.#dots.push({ partition, dot: entry.dot })
      state.clock.witness(entry.version.hlc)
      if (admission === 'news' && !isPurgeable(entry, this.#frontierNow)) this.#put(entry, current, source === 'heal')
      // It beats what is held, and is itself absent already: what it beats goes.
      else if (admission === 'news' && typeof current === 'object') this.#drop(current)
      else if (admission === 'news' && current === 'corrupt') this.#dropUnreadable(entry)
      return admission
    })
    if (claims.length > 0 && !admissions.includes('failed')) {
      for (const [partition, rows] of claims) this.#adopted.push({ partition, rows })
      state.clock.witness(clock)
      if (compareHlc(frontier, this.#frontierNow) > 0) this.#raiseFrontier(takenOver(frontier, from, this.#wallMs))
    }
    return admissions
  }

  #purge({ addresses }: Purge): number {
    const frontier = this.#frontierNow
    let dropped = 0
    for (const address of addresses) {
      const held = this.#current(address)
      // What cannot be read is for the scrub: its dot is not known, so it could not be dropped whole.
      if (typeof held !== 'object' || !isPurgeable(held, frontier)) continue
      this.#drop(held)
      dropped++
    }
    return dropped
  }

  /** As this plan leaves it: what comes behind a raise is judged by what was raised. */
  get #frontierNow(): Hlc {
    return this.#frontier?.frontier ?? this.#context.state.frontier
  }

  #raiseFrontier(grounds: FrontierGrounds): void {
    if (compareHlc(grounds.frontier, this.#frontierNow) <= 0) return
    this.#frontier = grounds
  }

  #changeMembership({ change }: MembershipChange): void {
    const { state } = this.#context
    const changed = change({
      frontier: this.#frontierNow,
      folded: this.#folded ?? state.folded,
      identity: this.#identity ?? state.identity,
      roster: this.#roster ?? state.roster,
      peers: this.#peers ?? state.peers,
    })
    this.#identity = changed.identity ?? this.#identity
    this.#roster = changed.roster ?? this.#roster
    this.#peers = changed.peers ?? this.#peers
    if (changed.frontier !== undefined) this.#raiseFrontier(changed.frontier)
    if (changed.fold !== undefined) this.#folded = new Set([...(this.#folded ?? state.folded), ...changed.fold])
    if (changed.witness !== undefined) {
      this.#ticked = true
      state.clock.witness(changed.witness)
    }
  }

  /** To be called when the plan below is durable, and the state has advanced by it. */
  finish(): CommitPlan {
    const { state } = this.#context
    const reserve = state.clock.reserveFor(this.#wallMs)
    // On record no later than its first dot, so that a later run of this replica knows it for closed.
    const isNewWriter = this.#hasIssued && !state.writers.includes(state.writer)
    const batch: CommitBatch = {
      atMs: this.#wallMs,
      changes: [...this.#after].map(([address, after]) => ({ after, before: this.#heldBefore(address) })),
      dots: this.#dots,
      adopted: this.#adopted,
      leaves: [...this.#sums].map(([leaf, sum]) => ({ leaf, sum })),
      totals: this.#totals,
      rebuilds: this.#rebuilds,
      ...(reserve !== undefined && { reserve }),
      ...(this.#identity !== undefined && { identity: this.#identity }),
      ...(this.#roster !== undefined && { roster: this.#roster }),
      ...(this.#peers !== undefined && { peers: this.#peers }),
      ...(this.#frontier !== undefined && { frontier: this.#frontier }),
      ...(this.#folded !== undefined && { folded: [...this.#folded].toSorted() }),
      ...(isNewWriter && { writers: [...state.writers, state.writer] }),
    }
    const changesMembership = [batch.identity, batch.roster, batch.peers, batch.frontier, batch.folded].some(
      (part) => part !== undefined,
    )
    return {
      arrivals: this.#arrivals,
      batch,
      after: this.#after,
      sums: this.#sums,
      changesPolicies: this.#changesPolicies,
      promise: state.clock.now,
      tell: this.#tell,
      // A healed entry changes a row whose dot was covered all along.
      isEmpty:
        this.#dots.length === 0 &&
        this.#after.size === 0 &&
        this.#adopted.length === 0 &&
        !changesMembership &&
        !this.#ticked,
      bearsAnother: this.#adopted.length === 0 && !changesMembership,
    }
  }

  #heldBefore(address: Address): Held {
    const below = this.#context.below?.after
    return below?.has(address) === true ? below.get(address) : this.#before.get(address)
  }

  #current(address: Address): Held {
    const held = this.planned(address)
    assert(held !== 'unread', 'a key was decided on before it was read')
    return held
  }

  /** @param isHealed whether it takes the place of what cannot be read, and is most likely the same. */
  #put(entry: Entry, before: Held, isHealed = false): void {
    const { hash } = this.#context
    const sum = this.#sum(leafOf(entry.keyHash))
    if (typeof before === 'object') {
      // Of the same key, so its hash need not be worked out again.
      subtractDigest(sum, entryDigest({ keyHash: entry.keyHash, hash: before.hash }, hash))
      this.#count(before, -1)
    }
    this.#after.set(entry.address, entry)
    if (isReserved(entry.address)) this.#changesPolicies = true
    addDigest(sum, entryDigest(entry, hash))
    // What cannot be read was counted once; most likely it was a value, and its size is not known.
    if (before === 'corrupt' && isHealed) return
    if (before === 'corrupt' && !isReserved(entry.address))
      this.#totals = { ...this.#totals, values: Math.max(0, this.#totals.values - 1) }
    this.#count(entry, 1)
  }

  /** What could not be read was this entry or an older one, and is absent. The sum of its leaf is already without it. */
  #dropUnreadable(entry: Entry): void {
    this.#before.set(entry.address, entry)
    this.#count(entry, -1)
    this.#after.set(entry.address, undefined)
  }

  #drop(entry: Entry): void {
    const { hash } = this.#context
    subtractDigest(this.#sum(leafOf(entry.keyHash)), entryDigest(entry, hash))
    this.#count(entry, -1)
    this.#after.set(entry.address, undefined)
  }

  #count(entry: Entry, sign: 1 | -1): void {
    const { values, tombstones, bytes, tombstoneBytes } = this.#totals
    const deleted = isTombstone(entry)
    this.#totals = {
      // The cluster's own entries are no keys of anybody's.
      values: values + (deleted || isReserved(entry.address) ? 0 : sign),
      tombstones: tombstones + (deleted ? sign : 0),
      bytes: bytes + sign * entry.envelope.length,
      tombstoneBytes: tombstoneBytes + (deleted ? sign * entry.envelope.length : 0),
    }
  }

  #sum(leaf: Leaf): Uint8Array {
    let sum = this.#sums.get(leaf)
    if (sum === undefined) {
      const { below, state } = this.#context
      sum = (below?.sums.get(leaf) ?? state.sumOf(leaf)).slice()
      this.#sums.set(leaf, sum)
    }
    return sum
  }

  #nextDot(partition: Partition): Dot {
    this.#hasIssued = true
    return this.#context.state.nextDot(partition)
  }

  #replica(): string {
    return this.#context.state.identity?.replica ?? ''
  }
}

/** Entries that an arrival may change. */
export function countOf(arrival: Arrival): number {
  if (arrival.kind === 'entries') return arrival.entries.length
  return arrival.kind === 'purge' ? arrival.addresses.length : 1
}

/** What a write has to beat beside the clock: whatever can be read here, also a tombstone that is absent already. */
function heldVersion(held: Held): Hlc {
  return typeof held === 'object' ? held.version.hlc : HLC_ZERO
}

/** Bytes that an arrival holds while it waits. */
export function weightOf(arrival: Arrival): number {
  if (arrival.kind === 'membership' || arrival.kind === 'purge') return 0
  if (arrival.kind === 'write') return arrival.address.length + (arrival.value?.length ?? 0)
  return arrival.entries.reduce((sum, entry) => sum + entry.envelope.length, 0)
}
