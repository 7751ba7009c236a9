/** What the answering node thinks of a member. `left` stopped on purpose and is still a member. */
export type NodeState = 'alive' | 'suspect' | 'dead' | 'left' | 'evicted'

/** A node in the summary. What only the node itself can tell is null when it did not answer. */
export interface StatusNode {
  readonly name: string
  readonly nodeId: string
  /** `host:port` of the client port. */
  readonly address: string
  readonly state: NodeState
  readonly zone: string
  readonly keys: number | null
  readonly bytes: number | null
  readonly tombstones: number | null
  readonly hotRumors: number | null
  /** Milliseconds since its last finished exchange; also null before the first. */
  readonly lastExchangeMs: number | null
  /** Partitions in which it differs from at least one other node. */
  readonly differingPartitions: number | null
  /** Hexadecimal. */
  readonly root: string | null
  /** How far its clock is ahead of the answering node's; null before it was asked, and of the answering node itself. */
  readonly skewMs: number | null
}

/** `GET /v1/cluster`. */
export interface ClusterBody {
  readonly clusterId: string
  /** Whether all members answered with the same root. */
  readonly converged: boolean
  /** Partitions in which any two nodes differ. */
  readonly divergentPartitions: number
  /** How long it has been so, as far as the answering node knows. */
  readonly divergentForMs?: number
  /** There when the answering node has many tombstones that do not go: `GET /v1/admin/tombstones` says why. */
  readonly tombstonesPileUp?: true
  readonly nodes: readonly StatusNode[]
}

export interface MemberBody {
  readonly name: string
  readonly nodeId: string
  /** `host:port` of the client port. */
  readonly address: string
  /** `host:port` of the peer port. */
  readonly peerAddress: string
  /** Base URL of the client port. */
  readonly url: string
  readonly state: NodeState
  readonly incarnation: number
  readonly zone: string
  readonly version: string
  /** Null before the first answer to a probe, and of the answering node itself. */
  readonly rttMs: number | null
  /** How far its clock is ahead of the answering node's. Null before it was asked, and of the answering node itself. */
  readonly skewMs: number | null
  /** How far from that the truth can be. */
  readonly skewErrorMs: number | null
  /** The node that answers. */
  readonly self: boolean
}

/** `GET /v1/cluster/members`. */
export interface MembersBody {
  readonly members: readonly MemberBody[]
}

export interface RoutingNode {
  readonly name: string
  readonly nodeId: string
  /** Base URL of the client port. */
  readonly url: string
  readonly state: NodeState
  /** Where to go first: 0 is best. */
  readonly rank: number
}

/** `GET /v1/cluster/routing`, with an `ETag` that changes as the epoch does. */
export interface RoutingBody {
  /** Grows whenever the answering node's table changes. Epochs of two nodes do not compare. */
  readonly epoch: number
  readonly nodes: readonly RoutingNode[]
}

/** `GET /readyz?verbose`. */
export interface ReadyBody {
  readonly ready: boolean
  /** Whether any other member answered since the start; true for a cluster of one. */
  readonly joined: boolean
  /** Whether it takes writes: a node whose disk is nearly full is ready, and only reads. */
  readonly writable: boolean
  readonly disk: {
    /** Null where it cannot be told. */
    readonly freeBytes: number | null
    /** Below this the node only reads. */
    readonly reserveBytes: number
  }
  /** Why it is not ready, or not writable. */
  readonly reason?: string
}
