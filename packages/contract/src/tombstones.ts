import type { NodeState } from './cluster.ts'
import type { KeyFields } from './key.ts'

/** A moment of the hybrid clock that orders all writes: what versions, promises and the frontier are made of. */
export interface MomentBody {
  /** 16 hexadecimal digits that sort as the clock does, and that entity tags begin with. */
  readonly hlc: string
  /** Its wall clock part, RFC 3339. */
  readonly at: string
}

/**
 * Why the frontier waits for a member: it has not been heard since the answering node started; it does not know of an eviction
 * yet; it had not seen what somebody else had; it has not promised yet that nothing older will come through it; or it was started
 * again and promises nothing before it has heard from all others.
 */
export type WaitReason = 'silent' | 'unaware-of-eviction' | 'lacks-entries' | 'promised-less' | 'unacquainted'

/** What a member has said for the frontier. It goes on counting while the member is away. */
export interface AcknowledgementBody {
  readonly name: string
  readonly nodeId: string
  /** What the answering node thinks of the member. */
  readonly state: NodeState
  /** Nothing at or below it enters the cluster through this member any more. Null when nothing it said counts. */
  readonly promise: MomentBody | null
  /** Writes that another member had seen and this one had not. */
  readonly lacks: number
  /** Null when it is not waited for. */
  readonly waits: WaitReason | null
}

/** A member that holds the frontier back. */
export interface FrontierHoldBody extends AcknowledgementBody {
  readonly waits: WaitReason
  /** As long as any node that answered knows of it; a restart forgets. */
  readonly heldForMs: number
}

/** What only the node itself can tell is null when it did not answer. */
export interface TombstonesNode {
  readonly name: string
  readonly nodeId: string
  readonly state: NodeState
  readonly keys: number | null
  readonly tombstones: number | null
  /** Bytes of the tombstones. */
  readonly tombstoneBytes: number | null
  /** Share of tombstones among all entries, 0 to 1. */
  readonly ratio: number | null
  /** Age of the first thing that may be purged: a tombstone, or a value that has expired. Null also when there is none. */
  readonly oldestMs: number | null
  readonly frontier: MomentBody | null
}

/** `GET /v1/admin/tombstones`. The frontier is as high as it can be at this moment: the node asks all others first. */
export interface TombstonesBody {
  /** `false` when the answering node is paused: then of the others is told what they said before. */
  readonly looked: boolean
  /** What is deleted at or below it is absent everywhere. Null before the first purge. */
  readonly frontier: MomentBody | null
  /** How far it is behind the clock of the answering node. It only moves while something waits to be purged. */
  readonly frontierAgeMs: number | null
  /** How long it has been where it is; null when that is not remembered. */
  readonly raisedMs: number | null
  readonly nodes: readonly TombstonesNode[]
  /** For whom the oldest of what may be purged waits. Empty when nothing waits, and when all that waits goes in a moment. */
  readonly holds: readonly FrontierHoldBody[]
  /** Whether the answering node has so many tombstones, for so long, that somebody should look: `tombstoneWarning`. */
  readonly warning: boolean
}

/** What is left of a purge. */
export interface PurgeBody {
  /** The version that went. */
  readonly etag: string
  readonly what: 'tombstone' | 'expired'
  /** When it was deleted, or expired. RFC 3339. */
  readonly endedAt: string
  readonly purgedAt: string
}

/** Why the frontier was raised: what every member had said by then. */
export interface PurgeGroundsBody {
  /** What the frontier was raised to: the least that any member had promised. */
  readonly frontier: MomentBody
  readonly at: string
  /** Name of the member that decided. */
  readonly decidedBy: string
  /** Whether what follows is what that member told; `false` when it does not answer or has forgotten, and others took it over. */
  readonly known: boolean
  readonly promises: readonly { readonly name: string; readonly nodeId: string; readonly promise: MomentBody }[]
  /** What all of them had seen by then: how many writes, and a hash of which. Null when it is not known. */
  readonly covered: { readonly writes: number; readonly hash: string } | null
  /** Who was not asked, because it had been evicted. */
  readonly evicted: readonly string[]
}

export interface KeyEndBody {
  readonly name: string
  readonly nodeId: string
  readonly memberState: NodeState
  readonly state: 'value' | 'expired' | 'tombstone' | 'purged' | 'nothing' | 'corrupt' | 'unreachable'
  /** Of what is held, or was purged. */
  readonly etag?: string
  readonly purgedAt?: string
}

/** `GET /v1/admin/tombstones/explain?bucket=&key=` and `…/explain/{bucket}/{key}`. */
export interface TombstoneExplainBody extends KeyFields {
  readonly bucket: string
  /**
   * `value`: it is there. `waiting`: it is deleted or has expired, and is kept until the frontier has passed it. `absent`: the
   * frontier has, and the rows go in a moment. `purged`: they are gone. `unknown`: it was never here, or it was purged longer
   * ago than is remembered. `corrupt`: the row cannot be read.
   */
  readonly state: 'value' | 'waiting' | 'absent' | 'purged' | 'unknown' | 'corrupt'
  readonly looked: boolean
  readonly frontier: MomentBody | null
  /** Of what this node holds, or has purged. */
  readonly etag?: string
  readonly what?: 'value' | 'tombstone' | 'expired'
  /** What the frontier has to pass before it may go. */
  readonly purgeableAt?: MomentBody
  /** While it waits: what each member has said so far. */
  readonly acknowledgements: readonly AcknowledgementBody[]
  readonly purged: PurgeBody | null
  /** Null also when no node that answers remembers them any more. */
  readonly grounds: PurgeGroundsBody | null
  /** Purges since then are remembered, the newest 100,000 keys of each node. Null when none is. */
  readonly rememberedSince: string | null
  readonly replicas: readonly KeyEndBody[]
}
