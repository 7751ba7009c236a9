import type { MemberBody } from './cluster.ts'

/** One small value that a node tells of itself. */
export interface MemberValueBody {
  readonly name: string
  /** Base64. */
  readonly value: string
  readonly contentType: string
  /** RFC 3339, by the clock of the node whose it is. */
  readonly updatedAt: string
}

/** `GET /v1/gossip/state`: the newest of all nodes, as the answering one knows it. */
export interface GossipStateBody {
  readonly nodes: readonly {
    readonly name: string
    readonly nodeId: string
    readonly state: MemberBody['state']
    readonly values: readonly MemberValueBody[]
  }[]
}

/** The data of `join`, `alive`, `suspect`, `dead`, `leave` and `change` at `GET /v1/gossip/events`, as JSON in one line. */
export interface GossipEventData {
  readonly name: string
  readonly nodeId: string
  /** `host:port` of the client port. */
  readonly address: string
  readonly state: MemberBody['state']
  readonly incarnation: number
  /** Of a `change` of what the node tells of itself. Without it, its address, zone or version changed. */
  readonly value?: MemberValueBody
}
