import type {
  Address,
  Admission,
  Digest,
  Entry,
  FailedOutcome,
  FrontierGrounds,
  Hlc,
  Identity,
  KnownPeer,
  Partition,
  Precondition,
  ReplicaId,
  Roster,
  VectorRows,
  WriterId,
} from '@grapevine/core'

/**
 * How entries of other replicas came here; `read-repair`: a client's read asked for them; `bootstrap` is a joiner's sponsor alone, `heal` a member that was asked for what
 * cannot be read here and that has seen all that we have seen.
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
  readonly settle: (outcome: LocalOutcome) => void
  readonly fail: (failure: CommitFailure) => void
}

export type LocalOutcome =
  | { readonly kind: 'applied'; readonly entry: Entry }
  | { readonly kind: 'precondition-failed'; readonly held: Entry | undefined }

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
  readonly settle: (admissions: readonly Admission[]) => void
  readonly fail: (failure: CommitFailure) => void
}

/** Tombstones and expired entries to drop, if they are what the frontier makes absent when their turn comes (R10). */
export interface Purge {
  readonly kind: 'purge'
  readonly addresses: readonly Address[]
  /** Told how many went. */
  readonly settle: (dropped: number) => void
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

export type Arrival = LocalWrite | RemoteEntries | Purge | MembershipChange

/** What a failed commit is to whoever only waits for it. */
export function errorOf({ cause }: CommitFailure): Error {
  return cause instanceof Error ? cause : new Error(String(cause))
}

export interface CommitFailure {
  readonly outcome: FailedOutcome
  readonly cause: unknown
}
