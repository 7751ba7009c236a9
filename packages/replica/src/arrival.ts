import type {
  Address,
  Admission,
  Digest,
  DotIndexRow,
  Entry,
  FailedOutcome,
  FrontierGrounds,
  Held,
  Hlc,
  Identity,
  ImportAdmission,
  KnownPeer,
  Leaf,
  LeafChanges,
  Partition,
  Precondition,
  Purgeable,
  Receipt,
  ReceiptGroup,
  ReplicaId,
  Roster,
  VectorRows,
  WriteName,
  WriterId,
} from '@grapevine/core'
import type { ReplicaState } from './replica-state.ts'

/**
 * How entries of other replicas came here; `read-repair`: a client's read asked for them; `bootstrap` is a joiner's sponsor
 * alone, `heal` a member that was asked for what cannot be read here and that has seen all that we have seen.
 */
export type Source = 'rumor' | 'pull' | 'anti-entropy' | 'read-repair' | 'bootstrap' | 'heal'

/** A client's write, before it has a version. */
export interface LocalWrite {
  readonly kind: 'write'
  readonly address: Address
  readonly keyHash: Digest
  readonly value: Uint8Array | undefined
  readonly contentType: string
  readonly expiresAtMs: number
  readonly precondition: Precondition | undefined
  /** Its version has to be later than this, beside all that is known here. */
  readonly after?: Hlc | undefined
  readonly name: WriteName | undefined
  readonly settle: (outcome: LocalOutcome) => void
  readonly fail: (failure: CommitFailure) => void
}

export type LocalOutcome =
  | { readonly kind: 'applied'; readonly entry: Entry }
  | { readonly kind: 'precondition-failed'; readonly held: Entry | undefined }
  /** The write was taken in before. What the key holds now is its entry or what came after it. */
  | { readonly kind: 'replayed'; readonly receipt: Receipt; readonly held: Held }
  | { readonly kind: 'idempotency-mismatch' }

/** Entries from elsewhere, and the vectors that may be adopted with them (frontier.md R7). */
export interface RemoteEntries {
  readonly kind: 'entries'
  readonly source: Source
  readonly entries: readonly Entry[]
  readonly claims: readonly (readonly [Partition, VectorRows])[]
  /** The answerer's clock when it made the claims: ours must not be behind it (frontier.md I4). */
  readonly clock: Hlc
  /** The answerer's frontier of the same moment: adopted with the claims (R7). */
  readonly frontier: Hlc
  /** Who answered. */
  readonly from: ReplicaId
  /** Of what is to heal a row: our frontier when it was asked for. */
  readonly askedAt?: Hlc | undefined
  readonly settle: (admissions: readonly Admission[]) => void
  readonly fail: (failure: CommitFailure) => void
}

/** Entries of a snapshot, to be taken in by frontier.md R17. */
export interface Import {
  readonly kind: 'import'
  readonly entries: readonly Entry[]
  readonly settle: (admissions: readonly ImportAdmission[]) => void
  readonly fail: (failure: CommitFailure) => void
}

/** Tombstones and expired entries to drop, if they are what the frontier makes absent when their turn comes (R10). */
export interface Purge {
  readonly kind: 'purge'
  readonly rows: readonly Purgeable[]
  /** Told how many went. */
  readonly settle: (dropped: number) => void
  readonly fail: (failure: CommitFailure) => void
}

/**
 * Rows of one leaf that take the place of ours, outside the rules for what arrives (frontier.md R19, R20): all of it was
 * asked for in one exchange with one member, which has seen all that we had seen.
 */
export interface LeafRepair {
  readonly kind: 'leaf'
  readonly leaf: Leaf
  readonly from: ReplicaId
  /** Ours when that member was asked: once it has risen, what is not here may have been dropped since. */
  readonly frontier: Hlc
  /** What that member sent. */
  readonly entries: readonly Entry[]
  /** What is to become of the rows that can be read when its turn comes. */
  readonly change: (held: readonly Entry[]) => LeafChanges
  /** Rows that could not be read when the member was asked: what it does not hold is not there. */
  readonly unreadable: readonly Address[]
  /** Whether rows were lost here, so that what is put was counted and summed up once. */
  readonly replaces: boolean
  /** Whether the leaf is whole afterwards: its sum is then that of its rows. */
  readonly isComplete: boolean
  /** Told how many rows came and went. */
  readonly settle: (changed: { readonly put: number; readonly dropped: number }) => void
  readonly fail: (failure: CommitFailure) => void
}

/** Rows of the indexes to put right, if they are as wrong as they were when their turn comes. */
export interface IndexRepair {
  readonly kind: 'index'
  /** Entries to which some index does not lead. */
  readonly reindex: readonly Address[]
  /** Rows of the dot index that lead to no entry of that dot. */
  readonly dots: readonly (DotIndexRow & { readonly partition: Partition })[]
  /** Rows of the hash index that lead to the entry of another key. */
  readonly hashes: readonly Digest[]
  /** Told how many rows were put right. */
  readonly settle: (mended: number) => void
  readonly fail: (failure: CommitFailure) => void
}

/** Receipts whose time is over. */
export interface Forgetting {
  readonly kind: 'forgetting'
  readonly groups: readonly ReceiptGroup[]
  /** Told how many receipts went. */
  readonly settle: (forgotten: number) => void
  readonly fail: (failure: CommitFailure) => void
}

/** A change of who we are or whom we know, worked out from what holds when its turn comes. */
export interface MembershipChange {
  readonly kind: 'membership'
  readonly change: (current: MembershipNow) => MembershipThen
  readonly settle: () => void
  readonly fail: (failure: CommitFailure) => void
}

export interface MembershipNow {
  readonly identity: Identity | undefined
  readonly roster: Roster
  readonly peers: readonly KnownPeer[]
  readonly frontier: Hlc
  readonly folded: ReadonlySet<WriterId>
}

/** What is to change; nothing when empty. */
export interface MembershipThen {
  readonly identity?: Identity
  readonly roster?: Roster
  readonly peers?: readonly KnownPeer[]
  /** The frontier, when it is higher than what holds. */
  readonly frontier?: FrontierGrounds
  /** Writers to fold beside those that are. */
  readonly fold?: readonly WriterId[]
  /** A joiner's clock starts above its sponsor's (frontier.md I4). */
  readonly witness?: Hlc
}

/** What a batch is made of. */
export type PlannedArrival =
  | LocalWrite
  | RemoteEntries
  | Import
  | Purge
  | Forgetting
  | LeafRepair
  | IndexRepair
  | MembershipChange

/** Changes nothing: a look at the state while no batch is under way, when memory and disk are of one moment. */
export interface Look {
  readonly kind: 'look'
  readonly look: (state: ReplicaState) => void
  readonly fail: (failure: CommitFailure) => void
}

export type Arrival = PlannedArrival | Look

/** What a failed commit is to whoever only waits for it. */
export function errorOf({ cause }: CommitFailure): Error {
  return cause instanceof Error ? cause : new Error(String(cause))
}

export interface CommitFailure {
  readonly outcome: FailedOutcome
  readonly cause: unknown
}
