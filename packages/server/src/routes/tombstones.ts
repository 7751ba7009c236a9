import type {
  AcknowledgementBody,
  FrontierHoldBody,
  KeyEndBody,
  MomentBody,
  PurgeBody,
  PurgeGroundsBody,
  TombstoneExplainBody,
  TombstonesBody,
  TombstonesNode,
} from '@grapevine/contract'
import {
  bucketOf,
  compareHlc,
  etagOf,
  HLC_ZERO,
  hlcText,
  isExpired,
  keyOf,
  tombstoneRatio,
  type Address,
  type EntryOutline,
  type Hlc,
  type PurgeRecord,
} from '@grapevine/core'
import type {
  FrontierWait,
  KeyEnd,
  MemberAcknowledgement,
  MemberView,
  Replica,
  TombstoneExplanation,
  TombstonesOnMember,
} from '@grapevine/replica'
import type { FastifyInstance } from 'fastify'
import type { ServerContext } from '../context.ts'
import { keyFields } from '../http/key-fields.ts'
import { addressFrom, addressFromQuery, isBase64Url, keyPathOf } from '../http/key-path.ts'
import { badQuery, parseQuery, queryOf, type Query } from '../http/query.ts'
import { routeGet, sendJson } from '../http/route.ts'
import { takeNoQuery } from './cluster.ts'

/** Segments before the bucket in `/v1/admin/tombstones/explain/{bucket}/{key}`. */
const EXPLAIN_SEGMENTS = 4

/** What is deleted and still remembered, who keeps it from going, and why what went could go. */
export function registerTombstones(app: FastifyInstance, context: ServerContext): void {
  const { clock, replica } = context
  routeGet(app, context, '/v1/admin/tombstones', async (request, response) => {
    takeNoQuery(request)
    const { looked, frontier, raisedAtMs, members, waits, isPilingUp } = await replica.tombstones()
    const wallMs = clock.wallMs()
    const body: TombstonesBody = {
      looked,
      frontier: momentOrNull(frontier),
      frontierAgeMs: isZero(frontier) ? null : ageMs(frontier.wallMs, wallMs),
      raisedMs: raisedAtMs === undefined ? null : ageMs(raisedAtMs, wallMs),
      nodes: members.map((each) => tombstonesNode(each, wallMs)),
      holds: waits.flatMap(holdBody),
      warning: isPilingUp,
    }
    sendJson(response, body)
  })

  const explain = async (address: Address): Promise<TombstoneExplainBody> =>
    explainBody(address, await replica.explainTombstone(address), replica, clock.wallMs())
  routeGet(app, context, '/v1/admin/tombstones/explain', async (request, response) => {
    const query = parseQuery(queryOf(request.url ?? ''), ['bucket', 'key', 'key_encoding'])
    const base64url = isBase64Url(query.get('key_encoding'))
    sendJson(response, await explain(addressFromQuery(given(query, 'bucket'), given(query, 'key'), base64url)))
  })
  routeGet(app, context, '/v1/admin/tombstones/explain/:bucket/*', async (request, response) => {
    const path = keyPathOf(request.url ?? '', EXPLAIN_SEGMENTS)
    const query = parseQuery(path.query, ['key_encoding'])
    sendJson(response, await explain(addressFrom(path, isBase64Url(query.get('key_encoding')))))
  })
}

function given(query: Query, name: string): string {
  const value = query.get(name)
  if (value === undefined || value === '')
    throw badQuery(`Say which key: ?bucket=NAME&key=KEY, and ${name} is missing.`)
  return value
}

function tombstonesNode({ member, answer }: TombstonesOnMember, wallMs: number): TombstonesNode {
  return {
    name: member.name,
    nodeId: member.replica,
    state: member.state,
    keys: answer?.totals.values ?? null,
    tombstones: answer?.totals.tombstones ?? null,
    tombstoneBytes: answer?.totals.tombstoneBytes ?? null,
    ratio: answer === undefined ? null : Math.round(tombstoneRatio(answer.totals) * 1_000) / 1_000,
    oldestMs: answer === undefined || isZero(answer.oldest) ? null : ageMs(answer.oldest.wallMs, wallMs),
    frontier: answer === undefined ? null : momentOrNull(answer.frontier),
  }
}

function acknowledgementBody({ member, promise, lacks, waits }: MemberAcknowledgement): AcknowledgementBody {
  return {
    name: member.name,
    nodeId: member.replica,
    state: member.state,
    promise: promise === undefined ? null : moment(promise),
    lacks,
    waits: waits ?? null,
  }
}

function holdBody(wait: FrontierWait): readonly FrontierHoldBody[] {
  const { waits } = wait
  return waits === undefined ? [] : [{ ...acknowledgementBody(wait), waits, heldForMs: wait.heldForMs }]
}

function explainBody(
  address: Address,
  explanation: TombstoneExplanation,
  replica: Replica,
  wallMs: number,
): TombstoneExplainBody {
  const { state, looked, frontier, held, purged, purgeableAt, acknowledgements, grounds, keys } = explanation
  const version = held?.version ?? purged?.version
  const what = held === undefined ? purged && endOf(purged) : whatIs(held, wallMs)
  return {
    bucket: bucketOf(address),
    ...keyFields(keyOf(address)),
    state,
    looked,
    frontier: momentOrNull(frontier),
    ...(version !== undefined && { etag: etagOf(version) }),
    ...(what !== undefined && { what }),
    ...(purgeableAt !== undefined && { purgeableAt: moment(purgeableAt) }),
    acknowledgements: acknowledgements.map(acknowledgementBody),
    purged: purged === undefined ? null : purgeBody(purged),
    grounds: grounds === undefined ? null : groundsBody(grounds, replica.members()),
    rememberedSince: explanation.rememberedSinceMs === undefined ? null : timeText(explanation.rememberedSinceMs),
    replicas: keys.map(keyEndBody),
  }
}

function purgeBody(record: PurgeRecord): PurgeBody {
  const { version, expiresAtMs, purgedAtMs } = record
  return {
    etag: etagOf(version),
    what: endOf(record),
    endedAt: timeText(expiresAtMs === 0 ? version.hlc.wallMs : expiresAtMs),
    purgedAt: timeText(purgedAtMs),
  }
}

function groundsBody(
  { decidedBy, said }: NonNullable<TombstoneExplanation['grounds']>,
  members: readonly MemberView[],
): PurgeGroundsBody {
  const nameOf = (nodeId: string): string => members.find(({ replica }) => replica === nodeId)?.name ?? nodeId
  return {
    frontier: moment(said.frontier),
    at: timeText(said.atMs),
    decidedBy: typeof decidedBy === 'string' ? nameOf(decidedBy) : decidedBy.name,
    known: said.takenFrom === '',
    promises: said.promises.map(([nodeId, promise]) => ({ name: nameOf(nodeId), nodeId, promise: moment(promise) })),
    covered: said.union ?? null,
    evicted: said.evicted.map(nameOf),
  }
}

function keyEndBody({ member, state, held, purged }: KeyEnd): KeyEndBody {
  const version = held?.version ?? purged?.version
  return {
    name: member.name,
    nodeId: member.replica,
    memberState: member.state,
    state,
    ...(version !== undefined && { etag: etagOf(version) }),
    ...(purged !== undefined && { purgedAt: timeText(purged.purgedAtMs) }),
  }
}

function whatIs(held: EntryOutline, wallMs: number): 'value' | 'tombstone' | 'expired' {
  if (held.tombstone) return 'tombstone'
  return isExpired(held, wallMs) ? 'expired' : 'value'
}

function endOf({ expiresAtMs }: PurgeRecord): 'tombstone' | 'expired' {
  return expiresAtMs === 0 ? 'tombstone' : 'expired'
}

function momentOrNull(hlc: Hlc): MomentBody | null {
  return isZero(hlc) ? null : moment(hlc)
}

function moment(hlc: Hlc): MomentBody {
  return { hlc: hlcText(hlc), at: timeText(hlc.wallMs) }
}

/** Beyond the range of dates a clock of years ahead may stand; it is shown as the last of them. */
function timeText(ms: number): string {
  return new Date(Math.min(ms, DATE_MS_MAX)).toISOString()
}

const DATE_MS_MAX = 8.64e15

function isZero(hlc: Hlc): boolean {
  return compareHlc(hlc, HLC_ZERO) === 0
}

function ageMs(sinceMs: number, wallMs: number): number {
  return Math.max(0, Math.round(wallMs - sinceMs))
}
