import type { MemberBody } from '@grapevine/contract'
import type { FastifyInstance } from 'fastify'
import type { ServerContext } from '../context.ts'
import { routeGet, sendJson, unbuilt } from '../http/route.ts'
import { memberBody, takeNoQuery } from './cluster.ts'
import { registerMemberValues } from './member-values.ts'
import { registerMembershipEvents } from './membership-events.ts'

/** `GET /v1/gossip/init`. */
export interface InitBody {
  readonly peers: readonly MemberBody[]
}

/** `GET /v1/gossip/get-peer`. */
export interface GetPeerBody {
  /** Null when this node knows of no other live one. */
  readonly peer: MemberBody | null
}

/** Peer sampling (Jelasity et al.): a node's random peers, for programs that gossip about things of their own. */
export function registerGossipRoutes(app: FastifyInstance, context: ServerContext): void {
  const { random, replica } = context
  // Nobody is known before the replica has started, which takes a while.
  let atStart: readonly MemberBody[] = []
  routeGet(app, context, '/v1/gossip/init', (request, response) => {
    takeNoQuery(request)
    if (atStart.length === 0)
      atStart = replica
        .members()
        .filter(({ isSelf, state }) => !isSelf && state !== 'evicted')
        .map(memberBody)
    const body: InitBody = { peers: atStart }
    sendJson(response, body)
  })

  routeGet(app, context, '/v1/gossip/get-peer', (request, response) => {
    takeNoQuery(request)
    const live = replica.members().filter(({ isSelf, state }) => !isSelf && state === 'alive')
    // Drawn anew each time, so that no two answers depend on each other.
    const peer = live[Math.floor(random.next() * live.length)]
    const body: GetPeerBody = { peer: peer === undefined ? null : memberBody(peer) }
    sendJson(response, body)
  })

  registerMemberValues(app, context)
  registerMembershipEvents(app, context)
  routeGet(app, context, '/v1/gossip/aggregates', unbuilt('Gossiped aggregates'))
}
