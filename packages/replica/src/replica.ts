import type {
  Address,
  BucketPolicy,
  Entry,
  EntryOutline,
  Held,
  Hlc,
  Identity,
  MemberState,
  Partition,
  MemberValue,
  Peer,
  Precondition,
  ReplicaReport,
  SessionStanding,
  SessionToken,
  SessionView,
  Sighting,
  Skew,
  StoreView,
  Version,
  WriteConcern,
  WriteName,
} from '@grapevine/core'
import type { Departure } from './leave.ts'
import type { UndecidedKey } from './leaf-mender.ts'
import type { ImportFate } from './import-entries.ts'
import type { MembershipEvent } from './membership/membership-event.ts'
import type { ScrubReport } from './scrubber.ts'
import type { TombstoneExplanation, TombstoneReport } from './tombstone-reports.ts'
import type { SnapshotMoment } from './snapshot-moment.ts'
import type { Watch, WatchRequest } from './watch/watch.ts'
import type { Visibility, VisibilityQuestion } from './visibility.ts'

export interface WriteRequest {
  readonly address: Address
  /** `undefined` deletes. */
  readonly value: Uint8Array | undefined
  readonly contentType: string
  /** Milliseconds since 1970, 0 for never. */
  readonly expiresAtMs: number
  readonly precondition?: Precondition
  /** What its session has seen: its version is later. */
  readonly after?: Hlc
  /** What the client calls this write: when it was taken in here before, its first receipt is the answer. */
  readonly name?: WriteName
  readonly w: WriteConcern
  readonly timeoutMs: number
}

/** Durable on `acks` of `members`, this one included: it or what came after it. */
export interface AppliedWrite {
  readonly kind: 'applied'
  readonly version: Version
  readonly expiresAtMs: number
  readonly acks: number
  readonly members: number
  /** What its session has seen by it: the write, or what came after it. Nothing where that is gone again. */
  readonly seen: Sighting | undefined
}

export type WriteResult =
  | AppliedWrite
  | {
      readonly kind: 'precondition-failed'
      readonly held: Entry | undefined
      /** Against what the condition was held: what this node has, or the newest of what a majority has. */
      readonly scope: 'node' | 'quorum'
    }

export interface VisibilityRequest extends Omit<VisibilityQuestion, 'keyHash'> {
  readonly address: Address
}

export type Pausable = 'rumors' | 'anti-entropy'

/** A member as this replica sees it. */
export interface MemberView {
  readonly replica: string
  readonly name: string
  readonly address: string
  readonly clientUrl: string
  readonly zone: string
  readonly version: string
  readonly state: MemberState | 'evicted'
  readonly incarnation: number
  /** Smoothed round trip of probes, or undefined before the first answer. */
  readonly rttMs: number | undefined
  /** How far its clock is from ours; undefined before it was asked. */
  readonly skew: Skew | undefined
  readonly isSelf: boolean
}

/** Who was a member. */
export interface FormerMember {
  readonly replica: string
  readonly name: string
}

export interface MemberReport {
  readonly member: MemberView
  /** `undefined` when the member did not answer. */
  readonly report: ReplicaReport | undefined
}

/** How two replicas differ, at one moment of each. */
export interface PairDivergence {
  readonly a: string
  readonly b: string
  /** `false` when one of the two could not be asked: then nothing is known about the pair. */
  readonly compared: boolean
  readonly partitions: readonly number[]
  /** Leaves that differ, over all of these partitions. */
  readonly leaves: number
  readonly estimatedKeys: number
}

export interface DivergenceReport {
  readonly converged: boolean
  readonly replicas: readonly MemberReport[]
  readonly pairs: readonly PairDivergence[]
}

export interface DifferingKey {
  readonly address: Address
  readonly a: EntryOutline | null
  readonly b: EntryOutline | null
  readonly newer: 'a' | 'b'
}

export interface DiffPage {
  readonly a: { readonly name: string; readonly root: string }
  readonly b: { readonly name: string; readonly root: string }
  readonly keys: readonly DifferingKey[]
  /** The leaf to go on with, or undefined when this was all. */
  readonly nextLeaf: number | undefined
}

export interface KeyOnReplica {
  readonly member: MemberView
  readonly entry: EntryOutline | 'corrupt' | null | 'unreachable'
}

export interface ExchangeReport {
  readonly with: string
  readonly atMs: number
  readonly durationMs: number
  readonly result: 'equal' | 'repaired' | 'failed'
  readonly error?: string | undefined
  readonly questions: number
  /** From the root. More than one when a frontier moved meanwhile. */
  readonly walks: number
  readonly leaves: number
  /** Partitions in which leaves differed. */
  readonly partitions: number
  readonly keysIn: number
  readonly keysOut: number
  readonly bytesIn: number
  readonly bytesOut: number
}

export interface DiskStatus {
  /** Too little space is left: writes are refused, and nothing is taken from peers. */
  readonly isReadOnly: boolean
  /** `undefined` where nobody can tell. */
  readonly freeBytes: number | undefined
  readonly reserveBytes: number
}

/** What the gauges of `/metrics` and the readiness check are made of. */
export interface ReplicaStatus {
  readonly identity: Identity
  /** Bootstrapped, introduced to every live member, store open, not draining. */
  readonly ready: boolean
  /** Why not, when not. */
  readonly reason?: string
  /** Whether any other member answered since the start; true for a cluster of one. */
  readonly joined: boolean
  readonly report: ReplicaReport
  readonly membersByState: Readonly<Record<MemberState, number>>
  readonly localHealth: number
  readonly parked: number
  /** The same by the name of the member that made the entries, or its id when it is none any more. */
  readonly parkedFrom: Readonly<Record<string, number>>
  /** How far each live member's clock is ahead of this one's, in milliseconds, by name. */
  readonly skewsMs: Readonly<Record<string, number>>
  readonly writeQueue: number
  readonly disk: DiskStatus
  /** Leaves of which this replica knows that it has lost something. */
  readonly suspectLeaves: number
  /** Keys that one sound replica holds and another does not, for the operator to choose about (frontier.md R20). */
  readonly undecided: readonly UndecidedKey[]
  readonly rebuilds: number
  readonly paused: readonly Pausable[]
  /** Partitions that differed at the last exchange with each peer, by name. */
  readonly divergentPartitions: Readonly<Record<string, number>>
  /** F of frontier.md: tombstones up to it are absent everywhere. */
  readonly frontier: Hlc
  /** Milliseconds since 1970 of the oldest tombstone, or undefined. */
  readonly oldestTombstoneMs: number | undefined
  /**
   * How long the oldest of what may be purged has been waiting for each member, by name, as far as this node knows: of the
   * nodes one looks for all. 0 for whom it does not wait.
   */
  readonly frontierLagsMs: Readonly<Record<string, number>>
  /** Many tombstones that do not go. */
  readonly tombstonesPileUp: boolean
  /** Who watches. */
  readonly watchers: number
}

/** One running replica: what the server, and later the simulator's workload, may do with it. */
export interface Replica {
  status(): ReplicaStatus
  /** What this replica holds; also while it is alone. @throws {StoreError} while the store is being reopened. */
  read(address: Address): Held
  /** The newest of what so many members hold. @throws {ReadError} when too few tell in time; {StoreError} as `read` does. */
  readFrom(address: Address, members: 'quorum' | 'all', timeoutMs: number): Promise<Held>
  /** What holds for writes to this bucket that do not say otherwise. @throws {StoreError} as `read` does. */
  policyOf(bucket: string): BucketPolicy
  /** One moment of the store, for lists and snapshots. The caller closes it. */
  view(): StoreView
  /** @throws {WriteError} with the outcome. */
  write(request: WriteRequest): Promise<WriteResult>

  /** What this replica has seen by now, as sessions look at it. */
  readonly seen: SessionView
  /**
   * Waits until this replica has seen what a session has seen, and asks the others for it meanwhile. `lacking` when the time
   * was over before.
   * @param partition of the key in question; `undefined` for all keys.
   */
  untilSeen(token: SessionToken, partition: Partition | undefined, timeoutMs: number): Promise<SessionStanding>
  /** One moment of everything, for a snapshot. The caller closes its view. */
  moment(): Promise<SnapshotMoment>
  /**
   * Takes entries of a snapshot in: what the cluster has seen deleted stays deleted (frontier.md R17).
   * @returns one fate for each of them.
   * @throws {WriteError} while this node takes no writes.
   * @throws {StoreError} when it is not known what became of them.
   */
  importEntries(entries: readonly Entry[]): Promise<readonly ImportFate[]>

  /** Follows the changes of a bucket from this turn on; `undefined` when too many do so already. */
  watch(request: WatchRequest): Watch | undefined
  /** Waits until a version, or a newer one of its key, is held by as many members as asked for, or the time is over. */
  visibility(request: VisibilityRequest): Promise<Visibility | 'too-many'>

  members(): readonly MemberView[]
  /** Tells of what becomes of members from now on. Returns how to end it. */
  onMembership(tell: (event: MembershipEvent) => void): () => void
  /** What this member tells of itself from now on; `false` when that is too much. @throws {RefusalError} before it is one. */
  setMemberValue(name: string, value: Uint8Array, contentType: string): boolean
  /** What a member tells of itself, by name. */
  memberValues(replica: string): readonly MemberValue[]
  /** Live members other than this one, best first, by the failure detector. */
  livePeers(): readonly Peer[]

  /** One anti-entropy exchange now, with this member or a random one. */
  exchange(withReplica?: string): Promise<ExchangeReport>
  /** The latest exchanges, newest first. */
  exchanges(): readonly ExchangeReport[]
  divergence(): Promise<DivergenceReport>
  diff(withReplica: string, fromLeaf: number, limit: number): Promise<DiffPage>
  inspect(address: Address): Promise<readonly KeyOnReplica[]>
  /** What waits to be purged, and who holds the frontier back. Looks at the frontier now. */
  tombstones(): Promise<TombstoneReport>
  /** What became of a key, and why that is safe. */
  explainTombstone(address: Address): Promise<TombstoneExplanation>

  /**
   * What a row that cannot be read held, from a peer that knows; `corrupt` when nobody does. What is found also takes the
   * row's place.
   */
  heal(address: Address): Promise<Held>
  /** Begins to read and sum up everything, or tells how far the one under way is. */
  scrub(): ScrubReport
  /** The last one that was begun by hand. */
  scrubReport(): ScrubReport | undefined

  /**
   * Ends another member's membership for good; `false` when it had ended before. What only that one holds is lost.
   * @throws {RefusalError} for itself and for a stranger.
   */
  evict(replica: string): Promise<boolean>

  /**
   * Ends this replica's own membership, once another member holds all that it holds; it takes no writes meanwhile. Afterwards
   * it only waits to be stopped.
   * @throws {LeaveError} when nothing has happened, and it goes on as a member.
   */
  leave(timeoutMs: number): Promise<Departure>
  /** Whether this id was a member's, and was evicted. */
  wasEvicted(replica: string): boolean
  /** Members evicted not long ago, as far as they were known by name here. */
  formerMembers(): readonly FormerMember[]
  /** Members of which nothing but the id is known: by the roster they are, and nobody has told of them. */
  unheardOf(): readonly string[]

  pause(what: Pausable): void
  resume(what: Pausable): void

  /** Says `left` to the others, drains, flushes, closes. Membership stays. */
  stop(): Promise<void>
}
