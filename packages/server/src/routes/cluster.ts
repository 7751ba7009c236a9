import type { IncomingMessage } from 'node:http'
import type { ClusterBody, MemberBody, MembersBody, RoutingBody, StatusNode } from '@grapevine/contract'
import { hexOf } from '@grapevine/core'
import type { DivergenceReport, MemberReport, MemberView, Replica } from '@grapevine/replica'
import type { FastifyInstance } from 'fastify'
import type { ServerContext } from '../context.ts'
import { isMatchedText } from '../http/entity-tags.ts'
import { parseQuery, queryOf } from '../http/query.ts'
import { routeGet, sendJson } from '../http/route.ts'
import { clientAddressOf } from './members.ts'

/** A dashboard on every desk asks every second, and each question goes to all members: one answer does for all. */
const SUMMARY_MS = 250

/** What the cluster is: `/v1/cluster`, `/members`, `/routing`. */
export function registerClusterRoutes(app: FastifyInstance, context: ServerContext): void {
  const { replica } = context
  const summary = new Summary(context)
  routeGet(app, context, '/v1/cluster', async (request, response) => {
    takeNoQuery(request)
    sendJson(response, await summary.now())
  })

  routeGet(app, context, '/v1/cluster/members', (request, response) => {
    takeNoQuery(request)
    const body: MembersBody = { members: replica.members().map(memberBody) }
    sendJson(response, body)
  })

  const routing = new RoutingTable(replica)
  const run = context.random.hex(4)
  routeGet(app, context, '/v1/cluster/routing', (request, response) => {
    takeNoQuery(request)
    const body = routing.now()
    // Epochs of two nodes do not compare, nor do those before and after a restart: the tag also says whose this is.
    const etag = `"${context.loaded.config.name}-${run}-${body.epoch}"`
    const ifNoneMatch = request.headers['if-none-match']
    if (ifNoneMatch !== undefined && isMatchedText(ifNoneMatch, etag)) {
      response.writeHead(304, { ETag: etag, 'cache-control': 'no-cache' })
      response.end()
    } else sendJson(response, body, { ETag: etag, 'cache-control': 'no-cache' })
  })
}

export function takeNoQuery(request: IncomingMessage): void {
  parseQuery(queryOf(request.url ?? ''), [])
}

export function memberBody(member: MemberView): MemberBody {
  return {
    name: member.name,
    nodeId: member.replica,
    address: clientAddressOf(member),
    peerAddress: member.address,
    url: member.clientUrl,
    state: member.state,
    incarnation: member.incarnation,
    zone: member.zone,
    version: member.version,
    rttMs: member.rttMs ?? null,
    skewMs: skewMsOf(member),
    skewErrorMs: member.skew === undefined ? null : Math.ceil(member.skew.errorMs * 10) / 10,
    self: member.isSelf,
  }
}

class Summary {
  readonly #context: ServerContext
  #asked: Promise<ClusterBody> | undefined
  #askedMs = 0
  /** When a difference was first seen, as long as it lasts. */
  #divergentSinceMs: number | undefined

  constructor(context: ServerContext) {
    this.#context = context
  }

  now(): Promise<ClusterBody> {
    const { clock } = this.#context
    if (this.#asked === undefined || clock.monotonicMs() - this.#askedMs > SUMMARY_MS) {
      this.#askedMs = clock.monotonicMs()
      this.#asked = this.#ask()
      // A failed question is no answer to keep.
      this.#asked.catch(() => (this.#asked = undefined))
    }
    return this.#asked
  }

  async #ask(): Promise<ClusterBody> {
    const { clock, replica } = this.#context
    const divergence = await replica.divergence()
    if (divergence.converged) this.#divergentSinceMs = undefined
    else this.#divergentSinceMs ??= clock.monotonicMs()
    const since = this.#divergentSinceMs
    const status = replica.status()
    return {
      clusterId: status.identity.cluster,
      converged: divergence.converged,
      divergentPartitions: new Set(divergence.pairs.flatMap(({ partitions }) => partitions)).size,
      ...(since === undefined ? {} : { divergentForMs: Math.round(clock.monotonicMs() - since) }),
      ...(status.tombstonesPileUp && { tombstonesPileUp: true as const }),
      nodes: divergence.replicas.map((member) => statusNode(member, divergence)),
    }
  }
}

function statusNode({ member, report }: MemberReport, { pairs }: DivergenceReport): StatusNode {
  const differing = new Set(
    pairs.filter(({ a, b }) => a === member.name || b === member.name).flatMap(({ partitions }) => partitions),
  )
  return {
    name: member.name,
    nodeId: member.replica,
    address: clientAddressOf(member),
    state: member.state,
    zone: member.zone,
    keys: report?.totals.values ?? null,
    bytes: report?.totals.bytes ?? null,
    tombstones: report?.totals.tombstones ?? null,
    hotRumors: report?.hotRumors ?? null,
    lastExchangeMs: report === undefined || report.lastExchangeMs < 0 ? null : Math.round(report.lastExchangeMs),
    differingPartitions: report === undefined ? null : differing.size,
    root: report === undefined ? null : hexOf(report.root),
    skewMs: skewMsOf(member),
  }
}

/** To a tenth of a millisecond: beyond that it is not known. */
function skewMsOf({ skew }: MemberView): number | null {
  return skew === undefined ? null : Math.round(skew.skewMs * 10) / 10
}

/**
 * The epoch is a count of the changes that this node has seen in its own table. Ranks are no part of that: they
 * follow each round trip, and clients that ask by ETag would be sent the table at every question.
 */
class RoutingTable {
  readonly #replica: Replica
  #epoch = 0
  #text = ''

  constructor(replica: Replica) {
    this.#replica = replica
  }

  now(): RoutingBody {
    const best = this.#replica.livePeers().map(({ replica }) => replica)
    // This node first, then live peers as the failure detector ranks them, then the others.
    const rankOf = ({ isSelf, replica }: MemberView): number => {
      const index = best.indexOf(replica)
      return isSelf ? 0 : index < 0 ? best.length + 1 : index + 1
    }
    const nodes = this.#replica
      .members()
      .filter(({ state }) => state !== 'evicted')
      .map((member) => ({
        name: member.name,
        nodeId: member.replica,
        url: member.clientUrl,
        state: member.state,
        rank: rankOf(member),
      }))
      .toSorted((a, b) => a.rank - b.rank || (a.nodeId < b.nodeId ? -1 : 1))
    const text = JSON.stringify(
      nodes.map(({ rank: _rank, ...node }) => node).toSorted((a, b) => (a.nodeId < b.nodeId ? -1 : 1)),
    )
    if (text !== this.#text) {
      this.#text = text
      this.#epoch++
    }
    return { epoch: this.#epoch, nodes }
  }
}
