import {
  admit,
  admitImport,
  assert,
  bytesOf,
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
  leavesNoTrace,
  partitionOf,
  presentAt,
  purgeableAt,
  RefusalError,
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
  type ImportAdmission,
  type KnownPeer,
  type Leaf,
  type Partition,
  type ReplicaId,
  type Roster,
  type RowRepairs,
  type StrayRow,
  type Totals,
  type WriterId,
} from '@grapevine/core'
import { addDigest, entryDigest, subtractDigest } from '@grapevine/merkle'
import type {
  Arrival,
  CommitFailure,
  IndexRepair,
  LeafRepair,
  Import,
  LocalOutcome,
  LocalWrite,
  MembershipChange,
  PlannedArrival,
  Purge,
  RemoteEntries,
} from './arrival.ts'
import { isSameSum, type LeafRows } from './leaf-look.ts'
import { PlannedReceipts, type ReceiptChanges } from './planned-receipts.ts'
import type { ReplicaState } from './replica-state.ts'

export interface PlanContext {
  readonly state: ReplicaState
  readonly hash: Hash
  /** The plan that is on its way to the disk, and that this one is made on top of. */
  readonly below: CommitPlan | undefined
}

/** What a group of arrivals comes to: one batch, and what each arrival is told once the batch is durable. */
export interface CommitPlan {
  readonly arrivals: readonly PlannedArrival[]
  readonly batch: CommitBatch
  /** The last entry of each key that changes; `undefined` for one that is dropped. */
  readonly after: ReadonlyMap<Address, Entry | undefined>
  readonly sums: ReadonlyMap<Leaf, Uint8Array>
  readonly receipts: ReceiptChanges
  /** Whether the policy of a bucket is among the changes. */
  readonly changesPolicies: boolean
  /**
   * Leaves in which something took the place of what cannot be read, and whose sum is another one now: had they lost more
   * than that, the new sum would hide it.
   */
  readonly doubtful: readonly Leaf[]
  /** Writes of others that lost against one of this replica that had not seen them: the two were concurrent (P5). */
  readonly overwritten: number
  /** The clock behind this plan's last version and before the next one's first: what may be promised by it (R2). */
  readonly promise: Hlc
  /** Tells each arrival, in their order. To be called once the batch is durable, and only then. */
  readonly tell: readonly (() => void)[]
  /** Whether there is anything to write. */
  readonly isEmpty: boolean
  /** Whether another plan may be made on top of this one before it is durable. */
  readonly bearsAnother: boolean
}

/** What an entry was judged by. */
interface Judged {
  readonly current: Held
  readonly covered: boolean
  readonly isHealing: boolean
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
  readonly receipts: PlannedReceipts
  readonly #arrivals: PlannedArrival[] = []
  readonly #tell: (() => void)[] = []
  /** The last entry of each key that changed, in order of its first change. */
  readonly #after = new Map<Address, Entry | undefined>()
  /** What each key that an arrival names held when this plan began. */
  readonly #before = new Map<Address, Held>()
  readonly #dots: CommitBatch['dots'][number][] = []
  readonly #adopted: CommitBatch['adopted'][number][] = []
  readonly #sums = new Map<Leaf, Uint8Array>()
  readonly #recomputed = new Map<Leaf, Uint8Array>()
  readonly #absent: RowRepairs['absent'][number][] = []
  readonly #reindexed: Entry[] = []
  readonly #strays: StrayRow[] = []
  #hasCorrupt = false
  #leaf: LeafRows | undefined
  /** By a clean member: there is no doubt about it. */
  #repaired: Leaf | undefined
  readonly #soundWithout = new Set<Address>()
  #changesPolicies = false
  #overwritten = 0
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
    this.receipts = new PlannedReceipts(below?.receipts)
    this.#totals = below?.batch.totals ?? state.totals
    this.#rebuilds = below?.batch.rebuilds ?? state.rebuilds
  }

  get arrivals(): readonly PlannedArrival[] {
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

  /** Notes the rows of the leaf that is to be repaired. */
  readLeaf(rows: LeafRows): void {
    this.#leaf = rows
  }

  /** Notes that there is no row of an address, and that its leaf adds up without. */
  readSound(address: Address): void {
    this.#soundWithout.add(address)
  }

  /** The sum of a leaf, worked out from its rows: the old one includes an entry that can no longer be read. */
  recomputed(leaf: Leaf, sum: Uint8Array): void {
    // It holds once something takes the place of that entry: what is refused changes no sum.
    this.#recomputed.set(leaf, sum)
  }

  /** Every key that the arrival names has to be `planned` or `read`, and so have the receipts of names. */
  decide(arrival: PlannedArrival, wallMs: number): void {
    this.#arrivals.push(arrival)
    this.#entries += countOf(arrival)
    this.#bytes += weightOf(arrival)
    this.#wallMs = wallMs
    this.#tell.push(this.#decide(arrival, wallMs))
  }

  #decide(arrival: PlannedArrival, wallMs: number): () => void {
    switch (arrival.kind) {
      case 'write': {
        const outcome = this.#write(arrival, wallMs)
        return () => (outcome === undefined ? arrival.fail(UNREADABLE) : arrival.settle(outcome))
      }
      case 'entries': {
        const admissions = this.#takeIn(arrival)
        return () => arrival.settle(admissions)
      }
      case 'import': {
        const admissions = this.#import(arrival)
        return () => arrival.settle(admissions)
      }
      case 'purge': {
        const dropped = this.#purge(arrival)
        return () => arrival.settle(dropped)
      }
      case 'leaf': {
        if (this.#isOutdated(arrival.from, arrival.frontier)) {
          const cause = new RefusalError('busy', 'what is known of the leaf is of before an eviction or a purge')
          return () => arrival.fail({ outcome: 'not-applied', cause })
        }
        const changed = this.#repairLeaf(arrival)
        return () => arrival.settle(changed)
      }
      case 'index': {
        const mended = this.#repairIndex(arrival)
        return () => arrival.settle(mended)
      }
      case 'forgetting': {
        const forgotten = this.receipts.forget(arrival.groups)
        return () => arrival.settle(forgotten)
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
    // Before any condition, which the write itself may have made fail.
    const known = write.name === undefined ? 'new' : this.receipts.judge(write.name, wallMs)
    if (known === 'mismatch') return { kind: 'idempotency-mismatch' }
    if (known !== 'new') {
      // What is neither there nor behind the frontier was lost here.
      const isLost = current === undefined && compareHlc(known.version.hlc, this.#frontierNow) > 0
      return { kind: 'replayed', receipt: known, held: isLost ? 'corrupt' : current }
    }
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
        name: write.name,
      },
      hash,
    )
    this.#dots.push({ partition, dot: entry.dot })
    this.#put(entry, current)
    this.receipts.keep(entry, wallMs)
    return { kind: 'applied', entry }
  }

  /** Whether who answered was evicted meanwhile, or what is absent here may have been dropped since the question (R15, I1). */
  #isOutdated(from: ReplicaId, askedAt: Hlc): boolean {
    return this.#isFenced(from) || compareHlc(this.#frontierNow, askedAt) > 0
  }

  #isFenced(from: ReplicaId): boolean {
    return standingOf(this.#roster ?? this.#context.state.roster, from) === 'evicted'
  }

  #takeIn({ entries, claims, clock, frontier, from, source, askedAt }: RemoteEntries): readonly Admission[] {
    const { state } = this.#context
    if (askedAt !== undefined && this.#isOutdated(from, askedAt)) return entries.map(() => 'refused')
    // The frame was judged when it came. Whoever has been evicted while it waited is behind the fence with it: others count
    // on what our publication with the mark shows being all that we have of the evicted (frontier.md I3, R15).
    if (source !== 'bootstrap' && this.#isFenced(from)) return entries.map(() => 'refused')
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
      this.#apply(entry, admission, { current, covered, isHealing: source === 'heal' })
      return admission
    })
    if (claims.length > 0 && !admissions.includes('failed')) {
      for (const [partition, rows] of claims) this.#adopted.push({ partition, rows })
      state.clock.witness(clock)
      if (compareHlc(frontier, this.#frontierNow) > 0) this.#raiseFrontier(takenOver(frontier, from, this.#wallMs))
    }
    return admissions
  }

  #import({ entries }: Import): readonly ImportAdmission[] {
    const { state, below } = this.#context
    // Once the plan below is durable its promise may be published, and then this plan is not in the vector yet.
    const promise = below === undefined ? state.promise : laterHlc(state.promise, below.promise)
    return entries.map((entry) => {
      const current = this.#current(entry.address)
      const covered = state.covers(partitionOf(entry.keyHash), entry.dot)
      const admission = admitImport(entry, {
        held: presentAt(current, this.#frontierNow),
        clock: state.clock.now,
        covered,
        frontier: this.#frontierNow,
        promise,
      })
      this.#apply(entry, admission, { current, covered, isHealing: false })
      return admission
    })
  }

  /** What was judged is done (frontier.md R6): the dot is covered, the clock rises, and what is news takes its place. */
  #apply(entry: Entry, admission: ImportAdmission, { current, covered, isHealing }: Judged): void {
    if (leavesNoTrace(admission)) return
    // Heard twice changes nothing, and so costs no batch.
    if (!covered) {
      this.#dots.push({ partition: partitionOf(entry.keyHash), dot: entry.dot })
      if (admission === 'superseded' && this.#isOwn(current)) this.#overwritten++
      // Also of one that lost: its client asks what became of it, not whether it is still there.
      this.receipts.keep(entry, this.#wallMs)
    }
    this.#context.state.clock.witness(entry.version.hlc)
    if (admission !== 'news') return
    if (!isPurgeable(entry, this.#frontierNow)) this.#put(entry, current, isHealing)
    // It beats what is held, and is itself absent already: what it beats goes.
    else if (typeof current === 'object') this.#drop(current)
    else if (current === 'corrupt') this.#dropUnreadable(entry)
  }

  /** What was written here was written knowing all that was covered here. */
  #isOwn(held: Held): boolean {
    return typeof held === 'object' && this.#context.state.writers.includes(held.dot.writer)
  }

  #purge({ rows }: Purge): number {
    const frontier = this.#frontierNow
    let dropped = 0
    for (const { at, address } of rows) {
      const held = this.#current(address)
      // What cannot be read is for the scrub: its dot is not known, so it could not be dropped whole.
      if (held === 'corrupt') continue
      const from = held && purgeableAt(held)
      // It led to what could not be read and was replaced, and would be looked at for ever.
      if (from === undefined || compareHlc(from, at) !== 0) this.#strays.push({ index: 'purge', at, address })
      if (held === undefined || !isPurgeable(held, frontier)) continue
      this.#drop(held)
      dropped++
    }
    return dropped
  }

  #repairLeaf(repair: LeafRepair): { put: number; dropped: number } {
    const { hash, state } = this.#context
    const rows = this.#leaf
    assert(rows !== undefined, 'a leaf was repaired before it was read')
    this.#repaired = repair.leaf
    const known = repair.entries.map(({ address }) => this.#current(address))
    const listed = new Set(rows.entries.map(({ address }) => address))
    // Rows to which the hash index does not lead any more.
    const unlisted = known.filter((held) => typeof held === 'object').filter(({ address }) => !listed.has(address))
    this.#reindexed.push(...unlisted)
    const held = [...rows.entries, ...unlisted]
    if (repair.isComplete && (repair.replaces || unlisted.length > 0)) {
      // Also when nothing comes and nothing goes: the rows may be right, and the sum that of what was lost.
      this.recomputed(repair.leaf, addAll(rows.sum, unlisted, hash))
      this.#sum(repair.leaf)
    }
    const { put, drop } = repair.change(held)
    const before = new Map(held.map((entry) => [entry.address, entry]))
    for (const entry of held) this.#before.set(entry.address, entry)
    for (const entry of put) {
      state.clock.witness(entry.version.hlc)
      const current = before.get(entry.address) ?? this.#current(entry.address)
      // A frontier that has risen since makes it absent.
      if (!isPurgeable(entry, this.#frontierNow)) this.#put(entry, current, repair.replaces)
    }
    for (const entry of drop) this.#drop(entry)
    for (const address of repair.unreadable) this.#dropAbsent(address)
    for (const keyHash of rows.strays) this.#strays.push({ index: 'hash', keyHash })
    // It does not add up before it is whole.
    if (!repair.isComplete) this.#sums.delete(repair.leaf)
    return { put: put.length, dropped: drop.length + this.#absent.length }
  }

  /** What could not be read when a clean member was asked, and still cannot: that one holds nothing, so there is nothing. */
  #dropAbsent(address: Address): void {
    if (this.#current(address) === undefined && this.#after.has(address)) return
    if (typeof this.#current(address) === 'object') return
    const { hash } = this.#context
    this.#absent.push({ address, keyHash: hash.sha256(bytesOf(address)) })
    this.#after.set(address, undefined)
    // Had it been a value, its delete would have come here as well, and taken its place: it was the delete itself.
    this.#totals = { ...this.#totals, tombstones: Math.max(0, this.#totals.tombstones - 1) }
  }

  #repairIndex({ reindex, dots, hashes }: IndexRepair): number {
    for (const address of reindex) {
      const held = this.#current(address)
      if (typeof held === 'object') this.#reindexed.push(held)
    }
    for (const { address, dot, partition } of dots) {
      const held = this.#current(address)
      if (isStrayDot({ dot, partition }, held, this.#soundWithout.has(address)))
        this.#strays.push({ index: 'dot', partition, dot })
    }
    for (const keyHash of hashes) this.#strays.push({ index: 'hash', keyHash })
    return this.#reindexed.length + this.#strays.length
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
      ...(this.#hasRepairs && {
        repairs: { absent: this.#absent, reindexed: this.#reindexed, strays: this.#strays },
      }),
      ...this.receipts.rows(this.#wallMs),
    }
    const changesMembership = [batch.identity, batch.roster, batch.peers, batch.frontier, batch.folded].some(
      (part) => part !== undefined,
    )
    return {
      arrivals: this.#arrivals,
      batch,
      after: this.#after,
      sums: this.#sums,
      receipts: this.receipts.changes,
      changesPolicies: this.#changesPolicies,
      doubtful: this.#doubtful(),
      overwritten: this.#overwritten,
      promise: state.clock.now,
      tell: this.#tell,
      // A healed entry changes a row whose dot was covered all along.
      isEmpty:
        this.#dots.length === 0 &&
        this.#after.size === 0 &&
        this.#sums.size === 0 &&
        !this.#hasRepairs &&
        this.#adopted.length === 0 &&
        this.receipts.isEmpty &&
        !changesMembership &&
        !this.#ticked,
      bearsAnother: this.#adopted.length === 0 && !changesMembership,
    }
  }

  #doubtful(): Leaf[] {
    const { below, state } = this.#context
    return [...this.#recomputed.keys()].filter((leaf) => {
      const sum = this.#sums.get(leaf)
      const before = below?.sums.get(leaf) ?? state.sumOf(leaf)
      return leaf !== this.#repaired && sum !== undefined && !isSameSum(sum, before)
    })
  }

  get #hasRepairs(): boolean {
    return this.#absent.length + this.#reindexed.length + this.#strays.length > 0
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

  /** @param isHealed whether it takes the place of what was lost or cannot be read, and is most likely the same. */
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
    // What was lost was counted once; most likely it was a value, and its size is not known.
    if (typeof before !== 'object' && isHealed) return
    if (before === 'corrupt' && !isReserved(entry.address))
      this.#totals = { ...this.#totals, values: Math.max(0, this.#totals.values - 1) }
    this.#count(entry, 1)
  }

  /** What could not be read was this entry or an older one, and is absent. The sum of its leaf is already without it. */
  #dropUnreadable(entry: Entry): void {
    this.#sum(leafOf(entry.keyHash))
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
      const recomputed = this.#recomputed.get(leaf)
      if (recomputed !== undefined) this.#rebuilds++
      sum = (recomputed ?? below?.sums.get(leaf) ?? state.sumOf(leaf)).slice()
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
export function countOf(arrival: PlannedArrival): number {
  if (arrival.kind === 'entries' || arrival.kind === 'import') return arrival.entries.length
  if (arrival.kind === 'forgetting') return arrival.groups.reduce((sum, { ids }) => sum + ids.length, 0)
  return arrival.kind === 'purge' ? arrival.rows.length : 1
}

/**
 * Whether a row of the dot index says nothing: its entry was written as another dot, since what it was made for could not be
 * read when something newer came; or nothing is there, and nothing is missing.
 */
function isStrayDot(row: { dot: Dot; partition: Partition }, held: Held, isSoundWithout: boolean): boolean {
  if (typeof held !== 'object') return held === undefined && isSoundWithout
  const { dot, keyHash } = held
  return dot.writer !== row.dot.writer || dot.seq !== row.dot.seq || partitionOf(keyHash) !== row.partition
}

function addAll(sum: Uint8Array, entries: readonly Entry[], hash: Hash): Uint8Array {
  const total = sum.slice()
  for (const entry of entries) addDigest(total, entryDigest(entry, hash))
  return total
}

/** What a write has to beat beside the clock: whatever can be read here, also a tombstone that is absent already. */
function heldVersion(held: Held): Hlc {
  return typeof held === 'object' ? held.version.hlc : HLC_ZERO
}

/** Bytes that an arrival holds while it waits. */
export function weightOf(arrival: Arrival): number {
  if (arrival.kind === 'write') return arrival.address.length + (arrival.value?.length ?? 0)
  if (!('entries' in arrival)) return 0
  return arrival.entries.reduce((sum, entry) => sum + entry.envelope.length, 0)
}
