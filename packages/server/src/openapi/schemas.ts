import { Type, type TSchema } from 'typebox'
import { PROBLEMS } from '@grapevine/contract'

// The shapes of `@grapevine/contract` as JSON Schema. A test compares each with its type, both ways, and with what routes
// answer.

const name = Type.String({ description: 'Name of a node.' })
const nodeId = Type.String({ description: 'Id of a replica: 16 hexadecimal digits.' })
const count = Type.Integer({ minimum: 0 })
const dateTime = Type.String({ format: 'date-time' })
const nullable = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()])
const oneOf = <const Words extends readonly string[]>(...words: Words) => Type.Enum([...words] as Words[number][])

export const NodeState = oneOf('alive', 'suspect', 'dead', 'left', 'evicted')

const keyFields = {
  key: Type.String({ description: 'Text, or base64url when `keyEncoding` says so.' }),
  keyEncoding: Type.Optional(Type.Literal('base64url', { description: 'There when the bytes are not UTF-8.' })),
}
const etag = Type.String({ description: 'The version, without quotes.' })

export const Acks = Type.Object({ count, of: count }, { description: 'Members that hold the write, of all members.' })

export const Problem = Type.Object(
  {
    type: Type.String({ description: 'urn:problem-type:grapevine:{code}' }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String({ description: 'What is wrong, where, and what to try.' }),
    code: oneOf(...codes()),
    retryable: Type.Boolean({ description: 'The same request may succeed later or elsewhere, and harms nothing.' }),
    traceId: Type.String({ description: "Finds the request in the node's log." }),
    outcome: Type.Optional(oneOf('not-applied', 'unknown')),
    acks: Type.Optional(Acks),
  },
  { description: 'Every answer that is not a success (RFC 9457).' },
)

function codes() {
  return Object.keys(PROBLEMS) as (keyof typeof PROBLEMS)[]
}

export const ListItem = Type.Object({
  ...keyFields,
  etag,
  size: count,
  contentType: Type.String(),
  expiresAt: Type.Optional(dateTime),
  value: Type.Optional(Type.String({ description: 'Base64, with include=value.' })),
})
export const ListBody = Type.Object({
  items: Type.Array(ListItem),
  cursor: nullable(Type.String()),
  complete: Type.Boolean({ description: 'The range ends with this page.' }),
})

const batchAddress = { bucket: Type.String(), ...keyFields }
const batchWrite = {
  ...batchAddress,
  ifMatch: Type.Optional(Type.String()),
  ifAbsent: Type.Optional(Type.Boolean()),
  id: Type.Optional(Type.String({ description: 'Idempotency key of this operation.' })),
}
export const BatchOp = Type.Union([
  Type.Object({
    op: Type.Literal('put'),
    ...batchWrite,
    value: Type.String({ description: 'Base64 in JSON, bytes in msgpack.' }),
    contentType: Type.Optional(Type.String()),
    ttl: Type.Optional(Type.String({ description: 'A duration, or none.' })),
  }),
  Type.Object({ op: Type.Literal('get'), ...batchAddress }),
  Type.Object({ op: Type.Literal('delete'), ...batchWrite }),
])
export const WriteConcern = Type.Union([Type.Integer({ minimum: 1 }), oneOf('quorum', 'all')])
export const BatchRequest = Type.Object({
  ops: Type.Array(BatchOp, { maxItems: 1_000 }),
  w: Type.Optional(WriteConcern),
  timeout: Type.Optional(Type.String()),
})
export const BatchResult = Type.Object({
  status: Type.Integer(),
  etag: Type.Optional(etag),
  acks: Type.Optional(Acks),
  value: Type.Optional(Type.String()),
  contentType: Type.Optional(Type.String()),
  expiresAt: Type.Optional(dateTime),
  lastModified: Type.Optional(dateTime),
  problem: Type.Optional(Problem),
})
export const BatchBody = Type.Object({ results: Type.Array(BatchResult) })

export const WatchData = Type.Object(
  {
    ...keyFields,
    etag,
    origin: Type.String({ description: 'Name of the node that took the write.' }),
    via: oneOf('local', 'rumor', 'anti-entropy', 'read-repair', 'hint'),
    lagMs: Type.Number(),
  },
  { description: 'The data of put, delete and expire.' },
)

export const BucketPolicyBody = Type.Object({
  ttl: Type.Optional(nullable(Type.String({ description: 'A duration: 30m. Null for ever.' }))),
})

export const SessionRequest = Type.Object({ tokens: Type.Array(Type.String()) })
export const SessionBody = Type.Object({ token: Type.String({ maxLength: 8_192 }) })

export const VisibilityRequest = Type.Object({
  bucket: Type.String(),
  ...keyFields,
  etag,
  on: Type.Union([Type.Literal('all'), Type.Integer({ minimum: 1 })]),
  within: Type.String({ description: 'A duration: how long to wait.' }),
})
export const VisibilityBody = Type.Object({
  nodes: Type.Array(Type.Object({ name, nodeId, committedAt: dateTime })),
})

export const StatusNode = Type.Object({
  name,
  nodeId,
  address: Type.String(),
  state: NodeState,
  zone: Type.String(),
  keys: nullable(count),
  bytes: nullable(count),
  tombstones: nullable(count),
  hotRumors: nullable(count),
  lastExchangeMs: nullable(Type.Number()),
  differingPartitions: nullable(count),
  root: nullable(Type.String()),
  skewMs: nullable(Type.Number()),
})
export const ClusterBody = Type.Object({
  clusterId: Type.String(),
  converged: Type.Boolean(),
  divergentPartitions: count,
  divergentForMs: Type.Optional(Type.Number()),
  tombstonesPileUp: Type.Optional(Type.Literal(true)),
  nodes: Type.Array(StatusNode),
})
export const MemberBody = Type.Object({
  name,
  nodeId,
  address: Type.String(),
  peerAddress: Type.String(),
  url: Type.String(),
  state: NodeState,
  incarnation: count,
  zone: Type.String(),
  version: Type.String(),
  rttMs: nullable(Type.Number()),
  skewMs: nullable(Type.Number()),
  skewErrorMs: nullable(Type.Number()),
  self: Type.Boolean(),
})
export const MembersBody = Type.Object({ members: Type.Array(MemberBody) })
export const RoutingBody = Type.Object({
  epoch: count,
  nodes: Type.Array(Type.Object({ name, nodeId, url: Type.String(), state: NodeState, rank: count })),
})

export const InitBody = Type.Object({ peers: Type.Array(MemberBody) })
export const GetPeerBody = Type.Object({ peer: nullable(MemberBody) })

export const MemberValueBody = Type.Object({
  name: Type.String(),
  value: Type.String({ description: 'Base64.' }),
  contentType: Type.String(),
  updatedAt: dateTime,
})
export const GossipStateBody = Type.Object({
  nodes: Type.Array(Type.Object({ name, nodeId, state: NodeState, values: Type.Array(MemberValueBody) })),
})
export const GossipEventData = Type.Object(
  {
    name,
    nodeId,
    address: Type.String(),
    state: NodeState,
    incarnation: count,
    value: Type.Optional(MemberValueBody),
  },
  { description: 'The data of join, alive, suspect, dead, leave and change.' },
)

const side = Type.Object({ name, root: Type.String() })
export const DivergenceBody = Type.Object({
  converged: Type.Boolean(),
  replicas: Type.Array(
    Type.Object({
      name,
      nodeId,
      state: NodeState,
      root: nullable(Type.String()),
      keys: nullable(count),
      tombstones: nullable(count),
    }),
  ),
  pairs: Type.Array(
    Type.Object({
      a: name,
      b: name,
      compared: Type.Boolean(),
      partitions: Type.Array(count),
      leaves: count,
      estimatedKeys: Type.Number(),
    }),
  ),
  unreachable: Type.Array(name),
})
export const EntryOutlineBody = Type.Object({
  etag,
  state: oneOf('value', 'tombstone', 'expired'),
  hash: Type.String(),
  size: count,
  contentType: Type.String(),
  expiresAt: Type.Optional(dateTime),
})
export const DiffBody = Type.Object({
  a: side,
  b: side,
  keys: Type.Array(
    Type.Object({
      bucket: Type.String(),
      ...keyFields,
      a: nullable(EntryOutlineBody),
      b: nullable(EntryOutlineBody),
      newer: oneOf('a', 'b'),
    }),
  ),
  cursor: nullable(Type.String()),
})
export const InspectBody = Type.Object({
  bucket: Type.String(),
  ...keyFields,
  converged: Type.Boolean(),
  replicas: Type.Array(
    Type.Object({
      name,
      nodeId,
      memberState: NodeState,
      state: oneOf('value', 'tombstone', 'expired', 'nothing', 'corrupt', 'unreachable'),
      etag: Type.Optional(etag),
      hash: Type.Optional(Type.String()),
      size: Type.Optional(count),
      contentType: Type.Optional(Type.String()),
      expiresAt: Type.Optional(dateTime),
      ageMs: Type.Optional(Type.Number()),
    }),
  ),
})
export const AntiEntropyRequest = Type.Object({
  with: Type.Optional(Type.String({ description: 'Name or id of a node. Without it, a random member.' })),
})
export const ExchangeBody = Type.Object({
  with: name,
  at: dateTime,
  durationMs: Type.Number(),
  result: oneOf('equal', 'repaired', 'failed'),
  error: Type.Optional(Type.String()),
  questions: count,
  leaves: count,
  keysIn: count,
  keysOut: count,
  bytesIn: count,
  bytesOut: count,
})
export const ExchangesBody = Type.Object({ exchanges: Type.Array(ExchangeBody) })
export const UndecidedKeyBody = Type.Object({
  bucket: Type.String(),
  ...keyFields,
  heldBy: name,
  lackedBy: name,
})
export const ScrubBody = Type.Object({
  running: Type.Boolean(),
  startedAt: nullable(dateTime),
  finishedAt: nullable(dateTime),
  partitions: count,
  leaves: count,
  entries: count,
  bytes: count,
  corrupt: count,
  hidden: count,
  healed: count,
  cleared: count,
  orphanedIndexRows: count,
  reindexed: count,
  suspectLeaves: count,
  mendedLeaves: count,
  undecided: Type.Array(UndecidedKeyBody),
  error: Type.Optional(Type.String()),
})
export const PauseRequest = Type.Object({ what: oneOf('rumors', 'anti-entropy', 'all') })
export const PauseBody = Type.Object({ paused: Type.Array(oneOf('rumors', 'anti-entropy')) })
export const ConfigBody = Type.Object({
  settings: Type.Array(Type.Object({ path: Type.String(), value: Type.Unknown(), source: Type.String() })),
})
export const EvictBody = Type.Object({ name, nodeId, changed: Type.Boolean(), warning: Type.String() })
export const LeaveBody = Type.Object({
  name,
  nodeId,
  coveredBy: name,
  told: Type.Array(name),
  dataDir: Type.String(),
  warning: Type.Optional(Type.String()),
})
export const RestoreBody = Type.Object({
  snapshot: Type.Object({
    clusterId: Type.String(),
    nodeId,
    name,
    takenAt: dateTime,
    root: Type.String(),
    whole: Type.Boolean(),
  }),
  entries: count,
  applied: count,
  present: count,
  older: count,
  deleted: count,
  quarantined: count,
  beyondDrift: count,
  unreadable: count,
  written: count,
  kept: count,
  skipped: count,
  keys: Type.Array(
    Type.Object({
      bucket: Type.String(),
      ...keyFields,
      why: oneOf('quarantined', 'beyond-drift', 'unreadable'),
      etag,
      state: oneOf('value', 'tombstone', 'expired'),
    }),
  ),
  keysOmitted: count,
})

export const MomentBody = Type.Object({ hlc: Type.String(), at: dateTime })
const WaitReason = oneOf('silent', 'unaware-of-eviction', 'lacks-entries', 'promised-less', 'unacquainted')
const acknowledgement = { name, nodeId, state: NodeState, promise: nullable(MomentBody), lacks: count }
export const AcknowledgementBody = Type.Object({ ...acknowledgement, waits: nullable(WaitReason) })
export const TombstonesBody = Type.Object({
  looked: Type.Boolean(),
  frontier: nullable(MomentBody),
  frontierAgeMs: nullable(Type.Number()),
  raisedMs: nullable(Type.Number()),
  nodes: Type.Array(
    Type.Object({
      name,
      nodeId,
      state: NodeState,
      keys: nullable(count),
      tombstones: nullable(count),
      tombstoneBytes: nullable(count),
      ratio: nullable(Type.Number()),
      oldestMs: nullable(Type.Number()),
      frontier: nullable(MomentBody),
    }),
  ),
  holds: Type.Array(Type.Object({ ...acknowledgement, waits: WaitReason, heldForMs: Type.Number() })),
  warning: Type.Boolean(),
})
export const TombstoneExplainBody = Type.Object({
  bucket: Type.String(),
  ...keyFields,
  state: oneOf('value', 'waiting', 'absent', 'purged', 'unknown', 'corrupt'),
  looked: Type.Boolean(),
  frontier: nullable(MomentBody),
  etag: Type.Optional(etag),
  what: Type.Optional(oneOf('value', 'tombstone', 'expired')),
  purgeableAt: Type.Optional(MomentBody),
  acknowledgements: Type.Array(AcknowledgementBody),
  purged: nullable(Type.Object({ etag, what: oneOf('tombstone', 'expired'), endedAt: dateTime, purgedAt: dateTime })),
  grounds: nullable(
    Type.Object({
      frontier: MomentBody,
      at: dateTime,
      decidedBy: name,
      known: Type.Boolean(),
      promises: Type.Array(Type.Object({ name, nodeId, promise: MomentBody })),
      covered: nullable(Type.Object({ writes: count, hash: Type.String() })),
      evicted: Type.Array(name),
    }),
  ),
  rememberedSince: nullable(dateTime),
  replicas: Type.Array(
    Type.Object({
      name,
      nodeId,
      memberState: NodeState,
      state: oneOf('value', 'expired', 'tombstone', 'purged', 'nothing', 'corrupt', 'unreachable'),
      etag: Type.Optional(etag),
      purgedAt: Type.Optional(dateTime),
    }),
  ),
})
export const ReadyBody = Type.Object({
  ready: Type.Boolean(),
  joined: Type.Boolean(),
  writable: Type.Boolean(),
  disk: Type.Object({ freeBytes: nullable(count), reserveBytes: count }),
  reason: Type.Optional(Type.String()),
})
