import type { Hlc } from './clock/hlc.ts'
import type { Answer, Question, QuestionName } from './conversations.ts'
import type { Roster } from './membership/roster.ts'
import type { Leaf, Partition } from './placement/partition.ts'
import type { Address } from './record/address.ts'
import type { Digest, Entry } from './record/entry.ts'
import type { Receipt, ReceiptGroup } from './record/receipt.ts'
import type { WriteId } from './record/write-name.ts'
import type { ClusterId, Dot, ReplicaId, Version, WriterId } from './version/version.ts'
import type { VectorRows, VersionVector } from './vector/version-vector.ts'

export interface Clock {
  /** Milliseconds since 1970. May jump either way. */
  wallMs(): number
  /** Milliseconds since some moment. Never goes back. */
  monotonicMs(): number
}

export interface Timer {
  cancel(): void
}

export interface Timers {
  /** Runs once, after at least `delayMs`. */
  after(delayMs: number, run: () => void): Timer
}

export interface Random {
  /** 0 ≤ x < 1. */
  next(): number
  /** So many random bytes as lower-case hexadecimal digits, fit for identifiers. */
  hex(bytes: number): string
}

export interface Hash {
  /** SHA-256 as a byte string of 32 characters. */
  sha256(bytes: Uint8Array): Digest
}

/** Somebody to ask. An address is a place to try; who answers there is known by the replica id alone. */
export interface Peer {
  /** Empty when only the address is known, as of a seed: then only `hello` and `join` are answered. */
  readonly replica: ReplicaId
  /** `host:port` of the peer port. */
  readonly address: string
}

export interface Transport {
  /**
   * Asks one question and waits for its answer.
   * @throws {UnreachableError} when no answer came: the question may have been heard.
   * @throws {RefusalError} when the peer would not answer.
   */
  ask<Name extends QuestionName>(
    peer: Peer,
    name: Name,
    question: Question<Name>,
    timeoutMs: number,
  ): Promise<Answer<Name>>
}

/** How much may still be written where the data is. */
export interface DiskSpace {
  freeBytes(): Promise<number>
}

/** A row whose checksum is wrong: something was here, and what it was is not known. */
export type Held = Entry | 'corrupt' | undefined

export interface Range {
  /** Addresses from here, inclusive. */
  readonly from: Address
  /** Addresses below this one. */
  readonly below: Address
  readonly reverse?: boolean
}

/** Sums over the entries of this replica. */
export interface Totals {
  /** Entries with a value. */
  readonly values: number
  readonly tombstones: number
  /** Bytes of all envelopes. */
  readonly bytes: number
  /** Of these the tombstones'. */
  readonly tombstoneBytes: number
}

/** Who this replica is; the identity file of the data directory must agree with it. */
export interface Identity {
  readonly cluster: ClusterId
  readonly replica: ReplicaId
  readonly name: string
  /**
   * `joining` until one complete answer of the sponsor was adopted (frontier.md R13); `left` once it has ended its own
   * membership, written along with its mark in the roster (R15).
   */
  readonly stage: 'joining' | 'member' | 'left'
  /** The replica that introduced this one; empty for the founder. */
  readonly sponsor: ReplicaId | ''
  /** Raised at every start, so that a restarted node is never behind what is said of it. */
  readonly incarnation: number
}

/** A member's last known whereabouts, kept on disk so that a restart without seeds finds somebody. */
export interface KnownPeer {
  readonly replica: ReplicaId
  readonly name: string
  readonly address: string
  readonly clientUrl: string
}

/** What becomes of one key. */
export interface Change {
  /** `undefined` drops the key: what it held is purged (frontier.md R10). */
  readonly after: Entry | undefined
  /** What the key held before: its index rows go. An entry when `after` is none. */
  readonly before: Held
}

/** A row of an index that leads to nothing, or to an entry that it does not belong to. */
export type StrayRow =
  | { readonly index: 'dot'; readonly partition: Partition; readonly dot: Dot }
  | { readonly index: 'hash'; readonly keyHash: Digest }
  | { readonly index: 'purge'; readonly at: Hlc; readonly address: Address }

/** Rows that the disk has damaged, put right. It changes nothing that a sum or a vector tells of. */
export interface RowRepairs {
  /** Keys of which there turned out to be nothing: a row that cannot be read goes, with what led to it. */
  readonly absent: readonly { readonly address: Address; readonly keyHash: Digest }[]
  /** Entries to which an index does not lead any more: all their rows are written again. */
  readonly reindexed: readonly Entry[]
  readonly strays: readonly StrayRow[]
}

/** Why the frontier was raised. Kept for a bounded time, for whoever wants to know why a tombstone could go. */
export interface FrontierGrounds {
  /** F from then on. */
  readonly frontier: Hlc
  readonly atMs: number
  /** The member whose frontier was taken over (R11); empty when this replica decided. */
  readonly takenFrom: ReplicaId | ''
  /** What each member had promised when all covered what any had covered (R9). Empty when taken over. */
  readonly promises: readonly (readonly [ReplicaId, Hlc])[]
  /** Who was not asked, because it had been evicted. */
  readonly evicted: readonly ReplicaId[]
  /** U: what all of them covered. Whole vectors would be far more than all else that is remembered. */
  readonly union?: {
    /** Of its text, as 16 hexadecimal digits: two that are equal were the same. */
    readonly hash: string
    /** Writes in it, but for those of folded writers. */
    readonly writes: number
  }
}

/** A tombstone or expired entry that went. Kept for a bounded time. */
export interface PurgeRecord {
  readonly version: Version
  /** Milliseconds since 1970; 0 for a tombstone, which needs no time to be absent. */
  readonly expiresAtMs: number
  readonly purgedAtMs: number
}

/** All that one commit changes. It becomes durable as a whole or not at all. */
export interface CommitBatch {
  /** The wall clock, for what is remembered of purges. */
  readonly atMs: number
  readonly changes: readonly Change[]
  /** Dots that are covered from now on. */
  readonly dots: readonly { readonly partition: Partition; readonly dot: Dot }[]
  /** Vectors of complete answers, adopted with their last entries (R7). */
  readonly adopted: readonly { readonly partition: Partition; readonly rows: VectorRows }[]
  /** The new sums of the leaves that the changes touch: 32 bytes each. */
  readonly leaves: readonly { readonly leaf: Leaf; readonly sum: Uint8Array }[]
  readonly totals: Totals
  readonly rebuilds: number
  readonly reserve?: Hlc
  readonly identity?: Identity
  readonly roster?: Roster
  readonly peers?: readonly KnownPeer[]
  /** F, raised; stored no later than the first drop that it allows. */
  readonly frontier?: FrontierGrounds
  /** Writers that are folded from now on: all of them, those of before included. */
  readonly folded?: readonly WriterId[]
  /** The writers of this replica so far, the present one last: those before it are closed. */
  readonly writers?: readonly WriterId[]
  /** Done before the changes. */
  readonly repairs?: RowRepairs
  /** Of the named writes among the changes, and of those that came too late to change anything. */
  readonly receipts?: readonly (readonly [WriteId, Receipt])[]
  /** Receipts that go: groups by their numbers, and the ids whose receipts are still of those groups. */
  readonly forgotten?: { readonly groups: readonly number[]; readonly ids: readonly WriteId[] }
  /** State as it was before this batch, for the store to start from after the next crash. */
  readonly checkpoint?: readonly PartitionState[]
}

export interface PartitionState {
  readonly partition: Partition
  /** 256 sums of 32 bytes. */
  readonly sums: Uint8Array
  readonly vector: VectorRows
}

/** What a store remembers when it is opened. */
export interface StoredState {
  readonly identity: Identity | undefined
  readonly roster: Roster
  readonly peers: readonly KnownPeer[]
  readonly reserve: Hlc
  /** 65,536 sums of 32 bytes. */
  readonly sums: Uint8Array
  readonly vectors: readonly VersionVector[]
  readonly totals: Totals
  /** Leaves recomputed from their rows, since the directory was made. */
  readonly rebuilds: number
  /** F of frontier.md. */
  readonly frontier: Hlc
  readonly folded: readonly WriterId[]
  /** The writers of this replica, oldest first. The one of this run is not among them yet. */
  readonly writers: readonly WriterId[]
  /** What opening had to replay: batches since the last checkpoint of each partition. */
  readonly replayedBatches: number
}

/**
 * The entries of one replica and all that goes with them. One `commit` at a time: the caller waits for it before
 * the next (two batches in flight can reorder).
 */
export interface Store {
  /** What the last `open` found. */
  readonly state: StoredState
  read(address: Address): Held
  readMany(addresses: readonly Address[]): Promise<readonly Held[]>
  /** Whether there was ever a receipt here, as far as is known: most clusters may never see a named write. */
  readonly hasReceipts: boolean
  /** What is remembered of the write of this name. A receipt that cannot be read is none. */
  receipt(id: WriteId): Receipt | undefined
  receipts(ids: readonly WriteId[]): Promise<readonly (Receipt | undefined)[]>
  /** One moment of the store. Holds back compaction: close it. */
  view(): StoreView
  /**
   * Durable when it resolves.
   * @throws {StoreError} after which the store is poisoned and refuses to write before `reopen`: what became of the
   * batch is not known. Reading shows the state before the batch until then.
   */
  commit(batch: CommitBatch): Promise<void>
  /** Whether enough has gathered since the last checkpoint for the next batch to carry one. */
  readonly wantsCheckpoint: boolean
  /** Has the next batch carry one, whatever has gathered. */
  wantCheckpoint(): void
  /**
   * Gives back what dropped and overwritten rows still take, as far as that is quickly done. Nothing but space depends on it:
   * it may be left out, and ended by a crash at any point.
   */
  compact(): Promise<void>
  /** Closes and opens again after a failed commit, and reads `state` anew. */
  reopen(): Promise<void>
  close(): Promise<void>
}

export interface LeafContent {
  readonly entries: readonly Entry[]
  /** Rows that failed their checksum, or that the hash index names and that are not there. */
  readonly corrupt: number
  /** Where those rows are, as far as the index tells. */
  readonly unreadable: readonly Address[]
  /** Rows of the hash index, by their names, that lead to the entry of another key. */
  readonly strays: readonly Digest[]
}

/** A row of the dot index: the entry of this address was written as this dot. */
export interface DotIndexRow {
  readonly dot: Dot
  readonly address: Address
}

/** A tombstone, or an entry with an expiry, and what the frontier has to pass before it goes. */
export interface Purgeable {
  readonly at: Hlc
  readonly address: Address
}

/** A row that is there and cannot be read. */
export interface CorruptRow {
  readonly corrupt: Address
}

export interface StoreView {
  read(address: Address): Held
  readMany(addresses: readonly Address[]): Promise<readonly Held[]>
  /** Found through the hash index. */
  readByKeyHash(keyHashes: readonly Digest[]): Promise<readonly Held[]>
  leaf(leaf: Leaf): Promise<LeafContent>
  /** The leaves of a partition of which the hash index names any row. */
  occupiedLeaves(partition: Partition): Promise<ReadonlySet<Leaf>>
  /** The dot index of a partition as it is, whatever the rows are that it leads to. */
  dotIndex(partition: Partition): AsyncIterable<DotIndexRow>
  /** Those of these entries to which some index does not lead, as it should. */
  unindexed(entries: readonly Entry[]): Promise<readonly Entry[]>
  /** Entries whose dots `vector` lacks and whose writers are not folded, found through the dot index. */
  missing(partition: Partition, vector: VersionVector, folded: ReadonlySet<WriterId>): AsyncIterable<Entry | CorruptRow>
  /** Entries in order of their addresses. */
  scan(range: Range): AsyncIterable<Entry | CorruptRow>
  /**
   * Tombstones and expiring entries that may go once the frontier is at `below` or above it, by when they may, up to
   * `limit` of them, those behind `after` only.
   */
  purgeable(below: Hlc, limit: number, after?: Purgeable): Promise<readonly Purgeable[]>
  /** The reasons why the frontier is where it is, newest first. */
  frontierGrounds(): Promise<readonly FrontierGrounds[]>
  /** The oldest groups of receipts, as many as hold `limit` ids or one, and how many receipts there have ever been. */
  oldestReceipts(limit: number): Promise<{ readonly total: number; readonly groups: readonly ReceiptGroup[] }>
  /** What was purged of this key last, if that was not too long ago. */
  purgeRecord(keyHash: Digest): Promise<PurgeRecord | undefined>
  /** When the oldest purge was that is remembered, by the wall clock of then. */
  purgesSinceMs(): Promise<number | undefined>
  close(): Promise<void>
}

/** Structured log lines: an event's name and what belongs to it. */
export interface Log {
  info(event: string, fields?: Readonly<Record<string, unknown>>): void
  warn(event: string, fields?: Readonly<Record<string, unknown>>): void
  error(event: string, fields?: Readonly<Record<string, unknown>>): void
}
