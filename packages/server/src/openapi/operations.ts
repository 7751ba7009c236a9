import { MEDIA_TYPES, OTHER_MEDIA_TYPES } from '@grapevine/contract'
import { Type } from 'typebox'
import {
  get,
  json,
  jsonBody,
  operation,
  QUERY,
  READ_PROBLEMS,
  REQUEST_HEADERS,
  WRITE_PROBLEMS,
  type AnswerOf,
  type Operation,
} from './operation.ts'
import * as schema from './schemas.ts'

const { consistency, cursor, key_encoding, limit, prefix, timeout, ttl, w } = QUERY
const session = { 'Grapevine-Session': REQUEST_HEADERS['Grapevine-Session'] }
const conditions = { 'If-Match': REQUEST_HEADERS['If-Match'], 'If-None-Match': REQUEST_HEADERS['If-None-Match'] }
const writeHeaders = { ...session, ...conditions, 'Idempotency-Key': REQUEST_HEADERS['Idempotency-Key'] }

const anyBytes = {
  [MEDIA_TYPES.bytes]: Type.Unknown({ description: 'Any bytes, of the type that they were written with.' }),
}
const plain = { 'text/plain': Type.String() }
const events = { [MEDIA_TYPES.eventStream]: Type.String() }
const anyJson = Type.Unknown()

const written: AnswerOf = {
  description: 'Applied: synced on as many members as `Grapevine-Acks` says.',
  headers: [
    'ETag',
    'Last-Modified',
    'Grapevine-Acks',
    'Grapevine-Expires-At',
    'Grapevine-Served-By',
    'Grapevine-Session',
    'Grapevine-Session-Gap',
  ],
}
const unmodified: AnswerOf = { description: 'The version is that of If-None-Match.', headers: ['ETag'] }
const FOUND = [
  'ETag',
  'Last-Modified',
  'Grapevine-Expires-At',
  'Grapevine-Served-By',
  'Grapevine-Session',
  'Grapevine-Session-Gap',
] as const
const KEY_PROBLEMS = ['bad_bucket', 'bad_key', 'bad_query', 'bad_header'] as const
const SESSION_PROBLEMS = ['behind', 'wrong_cluster'] as const

/** Everything that the client port answers. */
export const OPERATIONS: readonly Operation[] = [
  get('/v1/kv/:bucket/*', {
    tag: 'data',
    summary: 'Read a value',
    query: { consistency, timeout, key_encoding },
    headers: { ...session, ...conditions },
    answers: { 200: { description: 'The value.', headers: FOUND, schemas: anyBytes }, 304: unmodified },
    problems: [
      ...KEY_PROBLEMS,
      ...READ_PROBLEMS,
      ...SESSION_PROBLEMS,
      'not_found',
      'precondition_failed',
      'overloaded',
      'quorum_not_met',
      'timeout',
    ],
  }),
  operation('PUT', '/v1/kv/:bucket/*', {
    tag: 'data',
    summary: 'Write a value',
    description: 'The body is the value, whatever it is; its Content-Type is kept.',
    query: { w, timeout, ttl, key_encoding },
    headers: writeHeaders,
    body: { schemas: anyBytes, required: false },
    answers: { 204: written },
    problems: [
      ...KEY_PROBLEMS,
      ...WRITE_PROBLEMS,
      ...SESSION_PROBLEMS,
      'precondition_failed',
      'too_large',
      'length_required',
      'unsupported_media_type',
      'idempotency_mismatch',
    ],
  }),
  operation('DELETE', '/v1/kv/:bucket/*', {
    tag: 'data',
    summary: 'Delete a value',
    description: '204 also when nothing was there: a tombstone is always written.',
    query: { w, timeout, ttl, key_encoding },
    headers: writeHeaders,
    answers: { 204: written },
    problems: [
      ...KEY_PROBLEMS,
      ...WRITE_PROBLEMS,
      ...SESSION_PROBLEMS,
      'precondition_failed',
      'too_large',
      'idempotency_mismatch',
    ],
  }),
  operation('GET', '/v1/kv/:bucket', {
    tag: 'data',
    summary: 'List keys in bytewise order',
    description: `A page as JSON, or everything, one item a line, with Accept: ${OTHER_MEDIA_TYPES.ndjson}.`,
    query: {
      prefix,
      start: Type.String({ description: 'From this key on.' }),
      end: Type.String({ description: 'Up to this key, without it.' }),
      limit,
      reverse: Type.Boolean({ description: 'Last key first.' }),
      cursor,
      include: Type.Literal('value', { description: 'With values, as base64.' }),
      consistency,
      timeout,
      key_encoding,
    },
    headers: session,
    answers: {
      200: {
        description: 'A page.',
        headers: ['Grapevine-Served-By', 'Grapevine-Session', 'Grapevine-Session-Gap', 'Grapevine-Corrupt-Rows'],
        schemas: { [MEDIA_TYPES.json]: schema.ListBody, [OTHER_MEDIA_TYPES.ndjson]: schema.ListItem },
      },
    },
    problems: [...KEY_PROBLEMS, ...READ_PROBLEMS, ...SESSION_PROBLEMS, 'overloaded'],
  }),
  operation('POST', '/v1/batch', {
    tag: 'data',
    summary: 'Do many operations in one request',
    description: 'Each stands alone, in its order: this is not a transaction. At most 1,000 and 4 MiB.',
    headers: session,
    body: {
      schemas: { [MEDIA_TYPES.json]: schema.BatchRequest, [OTHER_MEDIA_TYPES.msgpack]: schema.BatchRequest },
      required: true,
    },
    answers: {
      200: {
        description: 'One result for each operation, as it would have been answered by itself.',
        headers: ['Grapevine-Served-By', 'Grapevine-Session', 'Grapevine-Session-Gap'],
        schemas: { [MEDIA_TYPES.json]: schema.BatchBody, [OTHER_MEDIA_TYPES.msgpack]: schema.BatchBody },
      },
    },
    problems: [
      ...KEY_PROBLEMS,
      ...WRITE_PROBLEMS,
      ...SESSION_PROBLEMS,
      'bad_body',
      'too_large',
      'length_required',
      'unsupported_media_type',
      'idempotency_mismatch',
    ],
  }),
  operation('POST', '/v1/session', {
    tag: 'data',
    summary: 'Make one session token of many',
    description:
      'Touches no data and waits for nothing. For more tokens than a header holds, and for sessions that become one.',
    body: jsonBody(schema.SessionRequest),
    answers: json(schema.SessionBody, 'A token that contains all of them.'),
    problems: ['bad_query', 'bad_body', 'too_large', 'wrong_cluster', 'not_ready'],
  }),
  operation('GET', '/v1/watch/:bucket', {
    tag: 'data',
    summary: 'Follow the changes of a bucket',
    description:
      'Server-sent events put, delete, expire and resync. Lines of `id:` come at once, about once a second and with each ' +
      'comment line; sent back as Last-Event-ID, any node goes on from there. Of every key the final state comes, some ' +
      'perhaps twice. After `resync` something may have been missed: list what is watched.',
    query: { prefix, key_encoding },
    headers: { 'Last-Event-ID': REQUEST_HEADERS['Last-Event-ID'] },
    answers: { 200: { description: 'Events, without end.', headers: ['Grapevine-Served-By'], schemas: events } },
    problems: [...KEY_PROBLEMS, 'wrong_cluster', 'overloaded', 'not_ready', 'draining'],
  }),
  get('/v1/buckets/:bucket', {
    tag: 'data',
    summary: 'Read the policy of a bucket',
    answers: json(schema.BucketPolicyBody, 'The policy.', ['ETag', 'Grapevine-Served-By']),
    problems: ['bad_bucket', 'bad_query', ...READ_PROBLEMS],
  }),
  operation('PUT', '/v1/buckets/:bucket', {
    tag: 'data',
    summary: 'Set the policy of a bucket',
    query: { w, timeout },
    body: jsonBody(schema.BucketPolicyBody),
    answers: { 204: written },
    problems: ['bad_bucket', 'bad_query', 'bad_header', 'bad_body', 'too_large', ...WRITE_PROBLEMS],
  }),
  operation('POST', '/v1/visibility', {
    tag: 'data',
    summary: 'Wait until others hold a write',
    body: jsonBody(schema.VisibilityRequest),
    answers: json(schema.VisibilityBody, 'The nodes that hold it, or something newer.'),
    problems: [
      'bad_body',
      'bad_query',
      'bad_bucket',
      'bad_key',
      'too_large',
      'timeout',
      'overloaded',
      ...READ_PROBLEMS,
    ],
  }),

  get('/v1/cluster', {
    tag: 'cluster',
    summary: 'Whether the replicas agree',
    answers: json(schema.ClusterBody, 'A summary of the cluster.'),
    problems: ['bad_query', ...READ_PROBLEMS],
  }),
  get('/v1/cluster/members', {
    tag: 'cluster',
    summary: 'Who is a member, and what this node thinks of each',
    answers: json(schema.MembersBody, 'All members, evicted ones included.'),
    problems: ['bad_query'],
  }),
  get('/v1/cluster/routing', {
    tag: 'cluster',
    summary: 'Where to send requests',
    headers: { 'If-None-Match': REQUEST_HEADERS['If-None-Match'] },
    answers: { ...json(schema.RoutingBody, 'The table, best first.', ['ETag']), 304: unmodified },
    problems: ['bad_query'],
  }),

  get('/v1/gossip/init', {
    tag: 'gossip',
    summary: 'The peers known at start',
    answers: json(schema.InitBody, 'Peers.'),
    problems: ['bad_query'],
  }),
  get('/v1/gossip/get-peer', {
    tag: 'gossip',
    summary: 'One random live peer',
    answers: json(schema.GetPeerBody, 'A peer, drawn anew each time.'),
    problems: ['bad_query'],
  }),
  get('/v1/gossip/state', {
    tag: 'gossip',
    summary: 'What all nodes tell of themselves',
    answers: json(schema.GossipStateBody, 'The newest that this node knows of each.'),
    problems: ['bad_query'],
  }),
  get('/v1/gossip/state/:name', {
    tag: 'gossip',
    summary: 'What this node tells of itself',
    answers: { 200: { description: 'The value.', headers: ['ETag', 'Grapevine-Served-By'], schemas: anyBytes } },
    problems: ['bad_query', 'bad_key', 'not_found'],
  }),
  operation('PUT', '/v1/gossip/state/:name', {
    tag: 'gossip',
    summary: 'Have this node tell something of itself',
    description:
      'At most 16 values of 1 KiB. They are kept in memory, spread to all, and come back to a node that was restarted.',
    body: { schemas: anyBytes, required: false },
    answers: { 204: { description: 'Told from now on.', headers: ['Grapevine-Served-By'] } },
    problems: ['bad_query', 'bad_key', 'bad_header', 'too_large', 'length_required', 'conflict', 'not_ready'],
  }),
  operation('GET', '/v1/gossip/events', {
    tag: 'gossip',
    summary: 'What becomes of members, as events',
    description:
      'Server-sent events join, alive, suspect, dead, leave and change, as this node sees them, from now on.',
    answers: { 200: { description: 'Events, without end.', headers: ['Grapevine-Served-By'], schemas: events } },
    problems: ['bad_query', 'overloaded', 'draining'],
  }),
  unbuilt('GET', '/v1/gossip/aggregates', 'gossip', 'Estimates of sums over all nodes'),

  get('/v1/admin/divergence', {
    tag: 'inspection',
    summary: 'Where replicas differ',
    query: {
      depth: Type.Integer({ minimum: 0, maximum: 8, description: 'Bits of the partition to tell apart. Default 8.' }),
    },
    answers: json(schema.DivergenceBody, 'Roots, and how each pair differs.'),
    problems: ['bad_query', ...READ_PROBLEMS],
  }),
  unbuilt('GET', '/v1/admin/divergence/stream', 'inspection', 'Divergence as events'),
  get('/v1/admin/diff', {
    tag: 'inspection',
    summary: 'The keys that differ between this node and another',
    query: { with: Type.String({ description: 'Name, id, address or URL of the other.' }), limit, cursor },
    answers: json(schema.DiffBody, 'A page of keys, both versions of each.'),
    problems: ['bad_query', 'not_found', 'overloaded', 'conflict', ...READ_PROBLEMS],
  }),
  get('/v1/admin/keys/:bucket/*', {
    tag: 'inspection',
    summary: 'A key on every replica side by side',
    query: { key_encoding },
    answers: json(schema.InspectBody, 'What each replica holds.'),
    problems: ['bad_bucket', 'bad_key', 'bad_query', 'not_implemented', ...READ_PROBLEMS],
  }),
  unbuilt('GET', '/v1/admin/proof/:bucket/*', 'inspection', "A proof that a key is in this replica's tree"),
  get('/v1/admin/tombstones', {
    tag: 'inspection',
    summary: 'What is deleted and still remembered, and who holds the frontier back',
    answers: json(schema.TombstonesBody, 'Counts of each node, and for whom the oldest waits.'),
    problems: ['bad_query', ...READ_PROBLEMS],
  }),
  get('/v1/admin/tombstones/explain', {
    tag: 'inspection',
    summary: 'Why a tombstone waits, or could go',
    query: {
      bucket: Type.String({ description: 'Name of the bucket.' }),
      key: Type.String({ description: 'The key.' }),
      key_encoding,
    },
    answers: json(schema.TombstoneExplainBody, 'What each member has said.'),
    problems: ['bad_bucket', 'bad_key', 'bad_query', ...READ_PROBLEMS],
  }),
  get('/v1/admin/tombstones/explain/:bucket/*', {
    tag: 'inspection',
    summary: 'The same for a key in the path',
    query: { key_encoding },
    answers: json(schema.TombstoneExplainBody, 'What each member has said.'),
    problems: ['bad_bucket', 'bad_key', 'bad_query', ...READ_PROBLEMS],
  }),
  get('/v1/admin/anti-entropy', {
    tag: 'inspection',
    summary: 'Recent exchanges',
    answers: json(schema.ExchangesBody, 'Newest first.'),
    problems: ['bad_query'],
  }),

  operation('POST', '/v1/admin/anti-entropy', {
    tag: 'operation',
    summary: 'Have an exchange now',
    body: jsonBody(schema.AntiEntropyRequest, false),
    answers: json(schema.ExchangeBody, 'How it went.'),
    problems: ['bad_query', 'bad_body', 'too_large', 'not_found', 'conflict', 'overloaded', ...READ_PROBLEMS],
  }),
  get('/v1/admin/scrub', {
    tag: 'operation',
    summary: 'How far the scrub is',
    answers: json(schema.ScrubBody, 'The last one that was begun by hand.'),
    problems: ['bad_query'],
  }),
  operation('POST', '/v1/admin/scrub', {
    tag: 'operation',
    summary: 'Read and sum up everything',
    answers: {
      ...json(schema.ScrubBody, 'It is over already.'),
      202: { description: 'It has begun.', schemas: { [MEDIA_TYPES.json]: schema.ScrubBody } },
    },
    problems: ['bad_query', 'not_ready'],
  }),
  operation('POST', '/v1/admin/pause', {
    tag: 'operation',
    summary: 'Pause rumors or anti-entropy on this node',
    body: jsonBody(schema.PauseRequest),
    answers: json(schema.PauseBody, 'What is paused now.'),
    problems: ['bad_query', 'bad_body', 'too_large'],
  }),
  operation('POST', '/v1/admin/resume', {
    tag: 'operation',
    summary: 'Go on with what was paused',
    body: jsonBody(schema.PauseRequest),
    answers: json(schema.PauseBody, 'What is paused now.'),
    problems: ['bad_query', 'bad_body', 'too_large'],
  }),
  operation('GET', '/v1/admin/snapshot', {
    tag: 'operation',
    summary: 'All entries of one moment',
    answers: {
      200: {
        description: 'A snapshot, checked to the last byte.',
        headers: ['Grapevine-Served-By'],
        schemas: { [OTHER_MEDIA_TYPES.snapshot]: Type.Unknown() },
      },
    },
    problems: ['bad_query', ...READ_PROBLEMS],
  }),
  operation('POST', '/v1/admin/restore', {
    tag: 'operation',
    summary: 'Take a snapshot in',
    description: 'What the cluster has seen deleted stays deleted.',
    query: {
      asNew: Type.Boolean({ description: 'Write its values anew, as fresh versions.' }),
      prefix,
      bucket: Type.String({ description: 'Only this bucket.' }),
      absent: Type.Boolean({ description: 'Only keys without a value.' }),
      quarantined: Type.Boolean({ description: 'Only what was quarantined.' }),
      cluster: Type.String({ description: 'Id of the cluster from whose snapshot this one was begun.' }),
    },
    body: { schemas: { [OTHER_MEDIA_TYPES.snapshot]: Type.Unknown() }, required: true },
    answers: json(schema.RestoreBody, 'What became of the entries.'),
    problems: ['bad_query', 'bad_body', 'wrong_cluster', 'too_large', 'length_required', ...WRITE_PROBLEMS],
  }),
  operation('POST', '/v1/admin/leave', {
    tag: 'operation',
    summary: "End this node's membership",
    description: 'When another member holds all that it holds. The process that answers ends.',
    query: { timeout },
    answers: json(schema.LeaveBody, 'It has left.'),
    problems: ['bad_query', 'conflict', ...WRITE_PROBLEMS],
  }),
  operation('POST', '/v1/admin/evict/:node', {
    tag: 'operation',
    summary: "End a node's membership for good",
    query: { alone: Type.Literal('1', { description: 'It is the only other member, and that is meant.' }) },
    answers: json(schema.EvictBody, 'What this costs.'),
    problems: ['bad_query', 'not_found', 'conflict', 'peer_unreachable', ...WRITE_PROBLEMS],
  }),
  get('/v1/admin/config', {
    tag: 'operation',
    summary: 'The effective configuration',
    answers: json(schema.ConfigBody, 'Each value and where it comes from. Secrets are masked.'),
    problems: ['bad_query'],
  }),
  unbuilt('GET', '/v1/admin/events', 'operation', 'Everything that the dashboard shows, as events'),

  get('/livez', {
    tag: 'process',
    summary: 'Whether the process is alive',
    answers: { 200: { description: 'It is.', schemas: plain } },
  }),
  get('/readyz', {
    tag: 'process',
    summary: 'Whether the node is ready',
    query: { verbose: Type.Boolean({ description: 'Say more, as JSON.' }) },
    answers: {
      200: { description: 'It is.', schemas: { ...plain, [MEDIA_TYPES.json]: schema.ReadyBody } },
      503: { description: 'It is not, with `verbose`.', schemas: { [MEDIA_TYPES.json]: schema.ReadyBody } },
    },
    problems: ['bad_query', 'not_ready', 'cloned', 'draining'],
  }),
  get('/metrics', {
    tag: 'process',
    summary: 'Measures, for Prometheus',
    answers: { 200: { description: 'Prometheus text.', schemas: plain } },
    problems: ['bad_query', 'io_error'],
  }),
  get('/openapi.json', {
    tag: 'process',
    summary: 'This description',
    answers: json(anyJson, 'OpenAPI 3.1.'),
    problems: ['bad_query'],
  }),
  get('/docs', {
    tag: 'process',
    summary: 'This description, for people',
    answers: { 200: { description: 'A page that needs nothing else.', schemas: { 'text/html': Type.String() } } },
    problems: ['bad_query'],
  }),
  unbuilt('GET', '/ui', 'process', 'The dashboard'),
  unbuilt('GET', '/ui/*', 'process', 'A file of the dashboard'),
]

const BY_ROUTE: ReadonlyMap<string, Operation> = new Map(
  OPERATIONS.flatMap((described) =>
    [described.method, ...(described.hasHead ? ['HEAD'] : [])].map((method) => [
      `${method} ${described.pattern}`,
      described,
    ]),
  ),
)

/** What a route is described as. */
export function operationOf(method: string, pattern: string): Operation | undefined {
  return BY_ROUTE.get(`${method} ${pattern}`)
}

/** Promised, and answered with 501 until it is built. */
function unbuilt(method: Operation['method'], pattern: string, tag: Operation['tag'], summary: string): Operation {
  const problems = ['not_implemented'] as const
  const described = { tag, summary: `${summary} (not built yet)`, problems, isBuilt: false }
  return operation(method, pattern, described, method === 'GET')
}
