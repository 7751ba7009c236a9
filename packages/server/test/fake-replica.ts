import {
  addressOf,
  HLC_ZERO,
  decodePolicy,
  etagOf,
  HybridClock,
  isMet,
  leafOf,
  partitionOf,
  PARTITIONS,
  policyAddress,
  sealEntry,
  VersionVector,
  type Address,
  type BucketPolicy,
  type Entry,
  type EntryOutline,
  type Held,
  type MemberValue,
  type Peer,
  type Range,
  type SessionStanding,
  type SessionToken,
  type SessionView,
  type StoreView,
} from '@grapevine/core'
import type {
  Departure,
  DiffPage,
  DivergenceReport,
  ExchangeReport,
  FormerMember,
  ImportFate,
  KeyOnReplica,
  MembershipEvent,
  LeaveError,
  MemberView,
  Pausable,
  Replica,
  ReplicaStatus,
  ScrubReport,
  TombstoneExplanation,
  TombstoneReport,
  SnapshotMoment,
  Watch,
  WatchItem,
  WatchRequest,
  Visibility,
  VisibilityRequest,
  WriteRequest,
  WriteResult,
} from '@grapevine/replica'
import { addDigest, entryDigest, HashTree } from '@grapevine/merkle'
import { systemHash } from '../src/index.ts'

export const NODE_ID = '00000000000000a1'
export const OTHER_ID = '00000000000000b2'
export const CLUSTER_ID = '0123456789abcdef0123456789abcdef'

const SCRUBBED = {
  running: false,
  partitions: 256,
  leaves: 65_536,
  entries: 7,
  bytes: 700,
  corrupt: 2,
  hidden: 1,
  healed: 3,
  cleared: 0,
  orphanedIndexRows: 0,
  reindexed: 0,
  mendedLeaves: 1,
  suspectLeaves: 0,
}

/** A replica of one process's memory: what the server may ask of one, and no more. */
export class FakeReplica implements Replica {
  wallMs = Date.UTC(2026, 0, 1)
  stage: 'member' | 'joining' = 'member'
  /** Why it is not ready, although it is a member. */
  reason: string | undefined
  stopped = false
  isReadOnly = false
  openViews = 0
  writes = 0
  lastWrite: WriteRequest | undefined
  lastVisibility: VisibilityRequest | undefined
  /** What is answered to whoever waits for a version; `undefined` for nothing. */
  visible: Visibility | 'too-many' | undefined
  /** What the next writes reject with, first to last. */
  readonly failures: Error[] = []
  /** What each read throws while it is set. */
  readFailure: Error | undefined
  readonly corrupt = new Set<Address>()
  /** What other nodes hold of rows that are corrupt here. */
  readonly elsewhere = new Map<Address, Entry>()
  #scrubbed: ScrubReport | undefined
  tombstonesPileUp = false
  tombstoneReport: TombstoneReport | undefined
  explanation: TombstoneExplanation | undefined
  readonly explained: Address[] = []
  readonly rows = new Map<Address, Entry>()
  memberViews: MemberView[] = [
    memberView('n1', NODE_ID, { isSelf: true, rttMs: undefined }),
    memberView('n2', OTHER_ID, { skew: { skewMs: -1_500.06, errorMs: 2.31 } }),
  ]
  exchangeReports: ExchangeReport[] = []
  divergenceReport: DivergenceReport | undefined
  diffPages: DiffPage[] = []
  readonly diffCalls: (readonly [string, number, number])[] = []
  readonly #clock = new HybridClock()
  readonly #paused = new Set<Pausable>()
  #seq = 0

  status(): ReplicaStatus {
    const entries = [...this.rows.values()]
    const values = entries.filter(({ value }) => value !== undefined).length
    return {
      identity: {
        cluster: CLUSTER_ID,
        replica: NODE_ID,
        name: 'n1',
        stage: this.stage,
        sponsor: '',
        incarnation: 1,
      },
      ready: this.stage === 'member' && this.reason === undefined,
      ...(this.reason === undefined ? {} : { reason: this.reason }),
      ...(this.stage === 'member' ? {} : { reason: 'it is joining' }),
      joined: true,
      report: {
        name: 'n1',
        root: '\u0001'.repeat(32),
        totals: { values, tombstones: entries.length - values, bytes: 0, tombstoneBytes: 0 },
        hotRumors: 0,
        lastExchangeMs: -1,
        ready: true,
      },
      membersByState: { alive: 2, suspect: 0, dead: 0, left: 0 },
      localHealth: 0,
      parked: 3,
      parkedFrom: { n2: 3 },
      skewsMs: { n2: 1_500 },
      writeQueue: 0,
      suspectLeaves: 0,
      undecided: [{ address: addressOf('b', 'k'), with: 'n2', isHeldHere: false }],
      disk: { isReadOnly: this.isReadOnly, freeBytes: 5, reserveBytes: 4 },
      rebuilds: 0,
      paused: [...this.#paused],
      divergentPartitions: { n2: 3 },
      frontier: HLC_ZERO,
      oldestTombstoneMs: undefined,
      frontierLagsMs: { n1: 0, n2: 38_000 },
      tombstonesPileUp: this.tombstonesPileUp,
      watchers: this.watches.filter(({ isClosed }) => !isClosed).length,
    }
  }

  read(address: Address): Held {
    if (this.readFailure !== undefined) throw this.readFailure
    return this.corrupt.has(address) ? 'corrupt' : this.rows.get(address)
  }

  /** What it covers; the tests of the replica tell how it comes to more. */
  readonly vectors = Array.from({ length: 256 }, () => new VersionVector())
  /** How a session is waited for, and for how long each time. */
  standing: SessionStanding = 'lacking'
  readonly sessionWaits: number[] = []

  get seen(): SessionView {
    return {
      cluster: CLUSTER_ID,
      replica: NODE_ID,
      clock: this.#clock.now,
      frontier: HLC_ZERO,
      folded: new Set(),
      vector: (partition) => this.vectors[partition] ?? new VersionVector(),
      lost: () => undefined,
    }
  }

  untilSeen(token: SessionToken, partition: number | undefined, timeoutMs: number): Promise<SessionStanding> {
    const standing = token.standing(this.seen, partition)
    if (standing === 'lacking') this.sessionWaits.push(timeoutMs)
    return Promise.resolve(standing === 'lacking' ? this.standing : standing)
  }

  readonly readsFrom: (readonly ['quorum' | 'all', number])[] = []

  async readFrom(address: Address, members: 'quorum' | 'all', timeoutMs: number): Promise<Held> {
    await Promise.resolve()
    this.readsFrom.push([members, timeoutMs])
    const failure = this.failures.shift()
    if (failure !== undefined) throw failure
    return this.elsewhere.get(address) ?? this.read(address)
  }

  policyOf(bucket: string): BucketPolicy {
    const held = this.rows.get(policyAddress(bucket))
    return decodePolicy(held?.value)
  }

  view(): StoreView {
    this.openViews++
    const moment = [...this.rows.values()]
    const corrupt = [...this.corrupt].map((address) => ({ corrupt: address }))
    const addressIn = (row: Entry | { corrupt: Address }): Address => ('corrupt' in row ? row.corrupt : row.address)
    const never = (): never => {
      throw new Error('the server has no business with this')
    }
    return {
      read: (address) => this.read(address),
      readMany: never,
      readByKeyHash: never,
      leaf: never,
      occupiedLeaves: never,
      missing: never,
      dotIndex: never,
      unindexed: never,
      purgeable: never,
      frontierGrounds: never,
      purgeRecord: never,
      purgesSinceMs: never,
      oldestReceipts: never,
      scan: async function* ({ from, below, reverse }: Range) {
        const rows = [...moment, ...corrupt]
          .filter((row) => addressIn(row) >= from && addressIn(row) < below)
          .toSorted((a, b) => (addressIn(a) < addressIn(b) ? -1 : 1))
        for (const row of reverse === true ? rows.toReversed() : rows) {
          await Promise.resolve()
          yield row
        }
      },
      close: () => {
        this.openViews--
        return Promise.resolve()
      },
    }
  }

  readonly listeners = new Set<(event: MembershipEvent) => void>()
  readonly ownValues = new Map<string, MemberValue>()
  valuesMax = 2

  onMembership(tell: (event: MembershipEvent) => void): () => void {
    this.listeners.add(tell)
    return () => this.listeners.delete(tell)
  }

  setMemberValue(name: string, value: Uint8Array, contentType: string): boolean {
    if (this.ownValues.size >= this.valuesMax && !this.ownValues.has(name)) return false
    this.ownValues.set(name, { owner: NODE_ID, name, revision: this.wallMs, contentType, value })
    return true
  }

  memberValues(replica: string): readonly MemberValue[] {
    return replica === NODE_ID ? [...this.ownValues.values()] : []
  }

  readonly watches: FakeWatch[] = []
  watchersMax = 10

  watch(request: WatchRequest): Watch | undefined {
    if (this.watches.length >= this.watchersMax) return undefined
    const watch = new FakeWatch(request)
    this.watches.push(watch)
    return watch
  }

  async write(request: WriteRequest): Promise<WriteResult> {
    await Promise.resolve()
    this.writes++
    this.lastWrite = request
    const failure = this.failures.shift()
    if (failure !== undefined) throw failure
    const held = this.rows.get(request.address)
    if (request.precondition !== undefined && !isMet(request.precondition, held, this.wallMs))
      return { kind: 'precondition-failed', held, scope: request.w === 'quorum' ? 'quorum' : 'node' }
    const entry = this.put(request)
    const { version, expiresAtMs } = entry
    return { kind: 'applied', version, expiresAtMs, acks: request.w === 'all' ? 2 : 1, members: 2, seen: entry }
  }

  async visibility(request: VisibilityRequest): Promise<Visibility | 'too-many'> {
    this.lastVisibility = request
    // Nothing comes in here: whoever waits does so until it leaves.
    if (this.visible === undefined) await request.gone
    return this.visible ?? { reached: false, holders: [] }
  }

  put(request: Pick<WriteRequest, 'address' | 'value'> & Partial<WriteRequest>): Entry {
    const { address, value, contentType = '', expiresAtMs = 0 } = request
    const entry = sealEntry(
      {
        address,
        keyHash: systemHash.sha256(Buffer.from(address, 'latin1')),
        version: { hlc: this.#clock.tick(this.wallMs, request.after ?? HLC_ZERO), replica: NODE_ID },
        dot: { writer: NODE_ID, seq: ++this.#seq },
        expiresAtMs,
        contentType,
        value,
      },
      systemHash,
    )
    this.rows.set(address, entry)
    this.vectors[partitionOf(entry.keyHash)]?.add(entry.dot)
    return entry
  }

  etagAt(address: Address): string {
    const entry = this.rows.get(address)
    return entry === undefined ? '' : `"${etagOf(entry.version)}"`
  }

  members(): readonly MemberView[] {
    return this.memberViews
  }

  livePeers(): readonly Peer[] {
    return this.memberViews
      .filter(({ isSelf, state }) => !isSelf && state === 'alive')
      .map(({ replica, address }) => ({ replica, address }))
  }

  exchange(withReplica?: string): Promise<ExchangeReport> {
    const name = this.memberViews.find(({ replica }) => replica === withReplica)?.name ?? 'n2'
    const report: ExchangeReport = {
      with: name,
      atMs: this.wallMs,
      durationMs: 2,
      result: 'equal',
      walks: 1,
      questions: 1,
      leaves: 0,
      partitions: 0,
      keysIn: 0,
      keysOut: 0,
      bytesIn: 0,
      bytesOut: 0,
    }
    this.exchangeReports.unshift(report)
    return Promise.resolve(report)
  }

  exchanges(): readonly ExchangeReport[] {
    return this.exchangeReports
  }

  divergence(): Promise<DivergenceReport> {
    const { report } = this.status()
    return Promise.resolve(
      this.divergenceReport ?? {
        converged: true,
        replicas: this.memberViews.map((member) => ({ member, report: { ...report, name: member.name } })),
        pairs: [],
      },
    )
  }

  diff(withReplica: string, fromLeaf: number, limit: number): Promise<DiffPage> {
    this.diffCalls.push([withReplica, fromLeaf, limit])
    const page = this.diffPages.shift()
    const root = '0'.repeat(64)
    return Promise.resolve(page ?? { a: { name: 'n1', root }, b: { name: 'n2', root }, keys: [], nextLeaf: undefined })
  }

  inspect(address: Address): Promise<readonly KeyOnReplica[]> {
    const held = this.read(address)
    return Promise.resolve([
      { member: memberAt(this.memberViews, 0), entry: typeof held === 'object' ? outlineOf(held) : (held ?? null) },
      { member: memberAt(this.memberViews, 1), entry: 'unreachable' },
    ])
  }

  heal(address: Address): Promise<Held> {
    const entry = this.elsewhere.get(address)
    if (entry === undefined) return Promise.resolve('corrupt')
    this.corrupt.delete(address)
    this.rows.set(address, entry)
    return Promise.resolve(entry)
  }

  tombstones(): Promise<TombstoneReport> {
    if (this.tombstoneReport === undefined) throw new Error('a test that asks this says what the answer is')
    return Promise.resolve(this.tombstoneReport)
  }

  explainTombstone(address: Address): Promise<TombstoneExplanation> {
    this.explained.push(address)
    if (this.explanation === undefined) throw new Error('a test that asks this says what the answer is')
    return Promise.resolve(this.explanation)
  }

  scrub(): ScrubReport {
    return (this.#scrubbed = { ...SCRUBBED, startedMs: this.wallMs, finishedMs: this.wallMs })
  }

  scrubReport(): ScrubReport | undefined {
    return this.#scrubbed
  }

  evicted: string[] = []
  former: FormerMember[] = []
  unknown: string[] = []
  /** What leaving comes to, when it is no departure. */
  leaving: LeaveError | undefined
  told: string[] = [OTHER_ID]

  leave(): Promise<Departure> {
    if (this.leaving !== undefined) return Promise.reject(this.leaving)
    return Promise.resolve({ coveredBy: OTHER_ID, told: this.told })
  }

  wasEvicted(replica: string): boolean {
    return this.evicted.includes(replica)
  }

  formerMembers(): readonly FormerMember[] {
    return this.former
  }

  unheardOf(): readonly string[] {
    return this.unknown
  }

  evict(replica: string): Promise<boolean> {
    if (this.evicted.includes(replica)) return Promise.resolve(false)
    this.evicted.push(replica)
    return Promise.resolve(true)
  }

  moment(): Promise<SnapshotMoment> {
    const { identity, report } = this.status()
    const entries = [...this.rows.values()]
    return Promise.resolve({
      identity,
      promise: this.#clock.now,
      clock: this.#clock.now,
      frontier: HLC_ZERO,
      folded: ['00000000000000f0'],
      vectors: Array.from({ length: PARTITIONS }, () => [[NODE_ID, [1, Math.max(1, this.#seq)]]]),
      root: rootOf(entries),
      totals: { ...report.totals, bytes: entries.reduce((sum, { envelope }) => sum + envelope.length, 0) },
      view: this.view(),
    })
  }

  /** What becomes of the entries of these addresses; of all others that they are news. */
  readonly importFates = new Map<Address, ImportFate>()
  readonly imported: Entry[] = []

  async importEntries(entries: readonly Entry[]): Promise<readonly ImportFate[]> {
    await Promise.resolve()
    const failure = this.failures.shift()
    if (failure !== undefined) throw failure
    this.imported.push(...entries)
    return entries.map(({ address }) => this.importFates.get(address) ?? 'news')
  }

  pause(what: Pausable): void {
    this.#paused.add(what)
  }

  resume(what: Pausable): void {
    this.#paused.delete(what)
  }

  stop(): Promise<void> {
    this.stopped = true
    return Promise.resolve()
  }
}

function rootOf(entries: readonly Entry[]): string {
  const tree = new HashTree(systemHash)
  for (const entry of entries) {
    const leaf = leafOf(entry.keyHash)
    const sum = tree.sum(leaf).slice()
    addDigest(sum, entryDigest(entry, systemHash))
    tree.setSum(leaf, sum)
  }
  return tree.root()
}

/** A watch that tells what the test says. */
export class FakeWatch implements Watch {
  readonly request: WatchRequest
  readonly #pieces: (readonly WatchItem[])[] = []
  #wake: () => void = () => {}
  isClosed = false

  constructor(request: WatchRequest) {
    this.request = request
  }

  tell(...piece: readonly WatchItem[]): void {
    this.#pieces.push(piece)
    this.#wake()
  }

  /** As a replica does that stops. */
  close(): void {
    this.isClosed = true
    this.#wake()
  }

  async next(): Promise<readonly WatchItem[] | undefined> {
    while (this.#pieces.length === 0 && !this.isClosed)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    return this.isClosed ? undefined : this.#pieces.shift()
  }
}

export function memberView(name: string, replica: string, fields: Partial<MemberView>): MemberView {
  return {
    replica,
    name,
    address: `127.0.0.1:${name === 'n1' ? 7701 : 7711}`,
    clientUrl: `http://127.0.0.1:${name === 'n1' ? 7700 : 7710}`,
    zone: '',
    version: '0.1.0',
    state: 'alive',
    incarnation: 1,
    rttMs: 0.5,
    skew: undefined,
    isSelf: false,
    ...fields,
  }
}

export function outlineOf({ address, version, hash, expiresAtMs, contentType, value }: Entry): EntryOutline {
  return { address, version, hash, tombstone: value === undefined, expiresAtMs, contentType, size: value?.length ?? 0 }
}

function memberAt(members: readonly MemberView[], index: number): MemberView {
  const member = members[index]
  if (member === undefined) throw new Error(`there is no member ${index}`)
  return member
}
