import type { Hlc } from './clock/hlc.ts'
import type { Answer, Question, QuestionName } from './conversations.ts'
import type { Roster } from './membership/roster.ts'
import type { Leaf, Partition } from './placement/partition.ts'
import type { Address } from './record/address.ts'
import type { Digest, Entry } from './record/entry.ts'
import type { ClusterId, Dot, ReplicaId } from './version/version.ts'
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
}

/** Who this replica is; the identity file of the data directory must agree with it. */
export interface Identity {
  readonly cluster: ClusterId
  readonly replica: ReplicaId
  readonly name: string
  /** `joining` until one complete answer of the sponsor was adopted (frontier.md R13). */
  readonly stage: 'joining' | 'member'
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

/** All that one commit changes. It becomes durable as a whole or not at all. */
export interface CommitBatch {
  readonly changes: readonly {
    readonly after: Entry
    /** What the key held before: its index rows go. */
    readonly before: Held
  }[]
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
  /** What opening had to replay: batches since the last checkpoint of each partition. */
  readonly replayedBatches: number
}

/**
 * The entries of one replica and all that goes with them. One `commit` at a time: the caller waits for it before
 * the next (facts.md: two batches in flight can reorder).
 */
export interface Store {
  /** What the last `open` found. */
  readonly state: StoredState
  read(address: Address): Held
  readMany(addresses: readonly Address[]): Promise<readonly Held[]>
  /** One moment of the store. Holds back compaction: close it. */
  view(): StoreView
  /**
   * Durable when it resolves.
   * @throws {StoreError} after which the store is poisoned and refuses all but `reopen` and `close`: what
   * became of the batch is not known.
   */
  commit(batch: CommitBatch): Promise<void>
  /** Whether enough has gathered since the last checkpoint for the next batch to carry one. */
  readonly wantsCheckpoint: boolean
  /** Closes and opens again after a failed commit, and reads `state` anew. */
  reopen(): Promise<void>
  close(): Promise<void>
}

export interface LeafContent {
  readonly entries: readonly Entry[]
  /** Rows that failed their checksum. */
  readonly corrupt: number
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
  /** Entries whose dots `vector` lacks, found through the dot index. */
  missing(partition: Partition, vector: VersionVector): AsyncIterable<Entry | CorruptRow>
  /** Entries in order of their addresses. */
  scan(range: Range): AsyncIterable<Entry | CorruptRow>
  /** When the longest-held tombstone or expiring entry may go at the earliest, or `undefined` without any. */
  firstPurgeable(): Promise<Hlc | undefined>
  close(): Promise<void>
}

/** Structured log lines: an event's name and what belongs to it. */
export interface Log {
  info(event: string, fields?: Readonly<Record<string, unknown>>): void
  warn(event: string, fields?: Readonly<Record<string, unknown>>): void
  error(event: string, fields?: Readonly<Record<string, unknown>>): void
}
