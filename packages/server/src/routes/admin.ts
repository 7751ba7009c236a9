import type {
  ConfigBody,
  DiffBody,
  DivergenceBody,
  EntryOutlineBody,
  ExchangeBody,
  ExchangesBody,
  InspectBody,
  InspectReplica,
  PauseBody,
  ScrubBody,
} from '@grapevine/contract'
import {
  bucketOf,
  etagOf,
  hexOf,
  keyOf,
  LEAVES,
  LIST_LIMIT_DEFAULT,
  LIST_LIMIT_MAX,
  type EntryOutline,
} from '@grapevine/core'
import type { ExchangeReport, KeyOnReplica, Pausable, ScrubReport } from '@grapevine/replica'
import type { FastifyInstance } from 'fastify'
import { effectiveConfig } from '../config/describe.ts'
import type { ServerContext } from '../context.ts'
import { bodyOf } from '../http/body.ts'
import { keyFields } from '../http/key-fields.ts'
import { addressFrom, isBase64Url, keyPathOf } from '../http/key-path.ts'
import { ProblemError } from '../http/problem.ts'
import { badQuery, countOf, parseQuery, queryOf } from '../http/query.ts'
import { jsonFields, notImplemented, route, routeGet, sendJson, unbuilt } from '../http/route.ts'
import { takeNoQuery } from './cluster.ts'
import { decodeCursor, encodeCursor } from './cursor.ts'
import { registerEviction } from './eviction.ts'
import { registerLeave } from './leave.ts'
import { findMember } from './members.ts'
import { registerTombstones } from './tombstones.ts'

/** A partition lies at this depth of the hash tree. */
const PARTITION_DEPTH = 8
/** What an operator's request may hold. */
const BODY_BYTES_MAX = 64 * 1024
/** Segments before the bucket in `/v1/admin/keys/{bucket}/{key}`. */
const KEYS_SEGMENTS = 3

/** What the face of the system is made of: whether replicas agree, which keys are not the same, and why. */
export function registerAdminRoutes(app: FastifyInstance, context: ServerContext): void {
  registerDivergence(app, context)
  registerInspection(app, context)
  registerExchanges(app, context)
  registerPauses(app, context)
  registerScrub(app, context)
  registerEviction(app, context)
  registerTombstones(app, context)
  registerLeave(app, context)
  routeGet(app, context, '/v1/admin/config', (request, response) => {
    takeNoQuery(request)
    const body: ConfigBody = {
      settings: effectiveConfig(context.loaded).map(({ path, value, source }) => ({
        path,
        value,
        source: `${source.kind} ${source.at}`.trimEnd(),
      })),
    }
    sendJson(response, body)
  })
  registerUnbuilt(app, context)
}

function registerDivergence(app: FastifyInstance, context: ServerContext): void {
  const { clock, hash, replica } = context
  routeGet(app, context, '/v1/admin/divergence', async (request, response) => {
    const query = parseQuery(queryOf(request.url ?? ''), ['depth'])
    const shift = PARTITION_DEPTH - countOf(query, 'depth', 0, PARTITION_DEPTH, PARTITION_DEPTH)
    const { converged, replicas, pairs } = await replica.divergence()
    const body: DivergenceBody = {
      converged,
      replicas: replicas.map(({ member, report }) => ({
        name: member.name,
        nodeId: member.replica,
        state: member.state,
        root: report === undefined ? null : hexOf(report.root),
        keys: report?.totals.values ?? null,
        tombstones: report?.totals.tombstones ?? null,
      })),
      pairs: pairs.map((pair) => ({
        ...pair,
        partitions: [...new Set(pair.partitions.map((partition) => partition >>> shift))],
      })),
      unreachable: replicas.filter(({ report }) => report === undefined).map(({ member }) => member.name),
    }
    sendJson(response, body)
  })

  routeGet(app, context, '/v1/admin/diff', async (request, response) => {
    const query = parseQuery(queryOf(request.url ?? ''), ['with', 'limit', 'cursor'])
    const other = query.get('with')
    if (other === undefined || other === '') throw badQuery('Say with which node: ?with=NAME, a node id or a URL.')
    const member = findMember(replica, other)
    if (member.isSelf) throw badQuery('A node does not differ from itself: name another one in ?with=.')
    const limit = countOf(query, 'limit', 1, LIST_LIMIT_MAX, LIST_LIMIT_DEFAULT)
    const asked = `diff ${member.replica}`
    const cursor = query.get('cursor')
    const fromLeaf = cursor === undefined ? 0 : Number(decodeCursor(asked, cursor, hash))
    if (!(fromLeaf >= 0 && fromLeaf < LEAVES)) throw badQuery('The cursor is not one that this list gave.')
    const { a, b, keys, nextLeaf } = await replica.diff(member.replica, fromLeaf, limit)
    const wallMs = clock.wallMs()
    const body: DiffBody = {
      a,
      b,
      keys: keys.map((key) => ({
        bucket: bucketOf(key.address),
        ...keyFields(keyOf(key.address)),
        a: key.a && outlineBody(key.a, wallMs),
        b: key.b && outlineBody(key.b, wallMs),
        newer: key.newer,
      })),
      cursor: nextLeaf === undefined || nextLeaf >= LEAVES ? null : encodeCursor(asked, String(nextLeaf), hash),
    }
    sendJson(response, body)
  })
}

function registerInspection(app: FastifyInstance, context: ServerContext): void {
  const { clock, replica } = context
  routeGet(app, context, '/v1/admin/keys/:bucket/*', async (request, response) => {
    const path = keyPathOf(request.url ?? '', KEYS_SEGMENTS)
    if (path.key?.endsWith('/explain') === true) throw notImplemented('The explanation of a key', false)
    const query = parseQuery(path.query, ['key_encoding'])
    const address = addressFrom(path, isBase64Url(query.get('key_encoding')))
    const answers = await replica.inspect(address)
    const wallMs = clock.wallMs()
    const hashes = new Set(
      answers.map(({ entry }) => (typeof entry === 'object' && entry !== null ? entry.hash : entry)),
    )
    const body: InspectBody = {
      bucket: bucketOf(address),
      ...keyFields(keyOf(address)),
      converged: hashes.size <= 1 && !hashes.has('unreachable') && !hashes.has('corrupt'),
      replicas: answers.map((answer) => inspectReplica(answer, wallMs)),
    }
    sendJson(response, body)
  })
}

function registerExchanges(app: FastifyInstance, context: ServerContext): void {
  const { replica } = context
  routeGet(app, context, '/v1/admin/anti-entropy', (request, response) => {
    takeNoQuery(request)
    const body: ExchangesBody = { exchanges: replica.exchanges().map(exchangeBody) }
    sendJson(response, body)
  })

  route(app, context, 'POST', '/v1/admin/anti-entropy', async (request, response) => {
    takeNoQuery(request)
    const body = await bodyOf(request, response, BODY_BYTES_MAX)
    if (body === undefined) return
    const other = jsonFields(body, ['with']).get('with')
    if (other !== undefined && typeof other !== 'string')
      throw new ProblemError('bad_body', 'with must be the name of a node.')
    const member = other === undefined ? undefined : findMember(replica, other)
    if (member?.isSelf === true) throw new ProblemError('bad_body', 'with must be another node.')
    sendJson(response, exchangeBody(await replica.exchange(member?.replica)))
  })
}

function registerScrub(app: FastifyInstance, context: ServerContext): void {
  const { log, replica } = context
  routeGet(app, context, '/v1/admin/scrub', (request, response) => {
    takeNoQuery(request)
    sendJson(response, scrubBody(replica.scrubReport(), context))
  })

  // Begins one and does not wait: it takes as long as reading everything takes.
  route(app, context, 'POST', '/v1/admin/scrub', (request, response) => {
    takeNoQuery(request)
    const report = replica.scrub()
    log.info('scrub-asked-for')
    sendJson(response, scrubBody(report, context), {}, report.running ? 202 : 200)
  })
}

function registerPauses(app: FastifyInstance, context: ServerContext): void {
  const { log, replica } = context
  for (const verb of ['pause', 'resume'] as const) {
    route(app, context, 'POST', `/v1/admin/${verb}`, async (request, response) => {
      takeNoQuery(request)
      const body = await bodyOf(request, response, BODY_BYTES_MAX)
      if (body === undefined) return
      for (const what of pausables(jsonFields(body, ['what']).get('what'))) {
        if (verb === 'pause') replica.pause(what)
        else replica.resume(what)
        log.info(`${verb}d`, { what })
      }
      const answer: PauseBody = { paused: replica.status().paused }
      sendJson(response, answer)
    })
  }
}

function pausables(what: unknown): readonly Pausable[] {
  if (what === 'rumors' || what === 'anti-entropy') return [what]
  if (what === 'all') return ['rumors', 'anti-entropy']
  throw new ProblemError('bad_body', 'what must be rumors, anti-entropy or all.')
}

function registerUnbuilt(app: FastifyInstance, context: ServerContext): void {
  routeGet(app, context, '/v1/admin/divergence/stream', unbuilt('The stream of divergence'))
  routeGet(app, context, '/v1/admin/proof/:bucket/*', unbuilt('The inclusion proof'))
  routeGet(app, context, '/v1/admin/events', unbuilt('The stream of events'))
}

function exchangeBody(report: ExchangeReport): ExchangeBody {
  const { atMs, error, partitions: _partitions, ...counts } = report
  return { ...counts, at: new Date(atMs).toISOString(), ...(error === undefined ? {} : { error }) }
}

function scrubBody(report: ScrubReport | undefined, { loaded, replica }: ServerContext): ScrubBody {
  const { name } = loaded.config
  const undecided = replica.status().undecided.map(({ address, with: other, isHeldHere }) => ({
    bucket: bucketOf(address),
    ...keyFields(keyOf(address)),
    heldBy: isHeldHere ? name : other,
    lackedBy: isHeldHere ? other : name,
  }))
  if (report === undefined) return { ...NEVER_SCRUBBED, undecided }
  const { startedMs, finishedMs, ...counts } = report
  return {
    ...counts,
    undecided,
    startedAt: new Date(startedMs).toISOString(),
    finishedAt: finishedMs === undefined ? null : new Date(finishedMs).toISOString(),
  }
}

const NEVER_SCRUBBED: Omit<ScrubBody, 'undecided'> = {
  running: false,
  startedAt: null,
  finishedAt: null,
  partitions: 0,
  leaves: 0,
  entries: 0,
  bytes: 0,
  corrupt: 0,
  hidden: 0,
  healed: 0,
  cleared: 0,
  orphanedIndexRows: 0,
  reindexed: 0,
  mendedLeaves: 0,
  suspectLeaves: 0,
}

function outlineBody(outline: EntryOutline, wallMs: number): EntryOutlineBody {
  const { contentType, expiresAtMs, hash, size, tombstone, version } = outline
  return {
    etag: etagOf(version),
    state: tombstone ? 'tombstone' : expiresAtMs !== 0 && expiresAtMs <= wallMs ? 'expired' : 'value',
    hash: hexOf(hash),
    size,
    contentType,
    ...(expiresAtMs === 0 ? {} : { expiresAt: new Date(expiresAtMs).toISOString() }),
  }
}

function inspectReplica({ member, entry }: KeyOnReplica, wallMs: number): InspectReplica {
  const { name, replica: nodeId, state: memberState } = member
  if (entry === null) return { name, nodeId, memberState, state: 'nothing' }
  if (typeof entry === 'string') return { name, nodeId, memberState, state: entry }
  return {
    name,
    nodeId,
    memberState,
    ...outlineBody(entry, wallMs),
    ageMs: Math.round(wallMs - entry.version.hlc.wallMs),
  }
}
