import type { IncomingMessage } from 'node:http'
import {
  HEADERS,
  MEDIA_TYPES,
  type GossipEventData,
  type GossipStateBody,
  type MemberValueBody,
} from '@grapevine/contract'
import { isMemberValueName, MEMBER_VALUE_BYTES_MAX, MEMBER_VALUES_MAX, type MemberValue } from '@grapevine/core'
import type { MembershipEvent } from '@grapevine/replica'
import type { FastifyInstance } from 'fastify'
import type { ServerContext } from '../context.ts'
import { bodyOf } from '../http/body.ts'
import { ProblemError, problemFrom } from '../http/problem.ts'
import { route, routeGet, sendJson } from '../http/route.ts'
import { takeNoQuery } from './cluster.ts'
import { contentTypeOf } from './parameters.ts'

/** Segments before the name in `/v1/gossip/state/{name}`. */
const NAME_SEGMENT = 4

/** What members tell of themselves: `GET /v1/gossip/state`, `GET`, `PUT /v1/gossip/state/{name}`. */
export function registerMemberValues(app: FastifyInstance, context: ServerContext): void {
  const { loaded, replica } = context
  routeGet(app, context, '/v1/gossip/state', (request, response) => {
    takeNoQuery(request)
    const body: GossipStateBody = {
      nodes: replica
        .members()
        .filter(({ state }) => state !== 'evicted')
        .map(({ name, replica: nodeId, state }) => ({
          name,
          nodeId,
          state,
          values: replica.memberValues(nodeId).map(memberValueBody),
        })),
    }
    sendJson(response, body)
  })

  routeGet(app, context, '/v1/gossip/state/:name', (request, response) => {
    takeNoQuery(request)
    const name = nameIn(request)
    const held = replica.memberValues(replica.status().identity.replica).find((value) => value.name === name)
    if (held === undefined) throw new ProblemError('not_found', `This node tells nothing under the name ${name}.`)
    response.writeHead(200, {
      'content-type': held.contentType,
      'content-length': held.value.length,
      'cache-control': 'no-store',
      // Any bytes, from whoever may write here: none of them is a page of this origin.
      'x-content-type-options': 'nosniff',
      'content-security-policy': 'sandbox',
      ETag: `"${held.revision}"`,
      [HEADERS.servedBy]: loaded.config.name,
    })
    response.end(request.method === 'HEAD' ? undefined : held.value)
  })

  route(app, context, 'PUT', '/v1/gossip/state/:name', async (request, response) => {
    try {
      takeNoQuery(request)
      const name = nameIn(request)
      if (replica.status().identity.replica === '')
        throw new ProblemError('not_ready', 'This node belongs to no cluster yet.')
      const contentType = contentTypeOf(request.headers['content-type'])
      const value = await bodyOf(request, response, MEMBER_VALUE_BYTES_MAX)
      if (value === undefined) return
      // A copy: the body may be a part of a larger piece of memory, and this is kept.
      if (!replica.setMemberValue(name, Uint8Array.from(value), contentType))
        throw new ProblemError('conflict', `This node tells ${MEMBER_VALUES_MAX} values already: set one of those.`)
      response.writeHead(204, { [HEADERS.servedBy]: loaded.config.name })
      response.end()
    } catch (error) {
      throw problemFrom(error, { outcome: 'not-applied' })
    }
  })
}

export function gossipEventData({ member, value }: MembershipEvent): GossipEventData {
  const { name, replica: nodeId, clientUrl, state, incarnation } = member
  return {
    name,
    nodeId,
    address: clientUrl.replace(/^https?:\/\//, '').replace(/\/$/, ''),
    state,
    incarnation,
    ...(value === undefined ? {} : { value: memberValueBody(value) }),
  }
}

function memberValueBody({ name, value, contentType, revision }: MemberValue): MemberValueBody {
  return {
    name,
    value: Buffer.from(value).toString('base64'),
    contentType: contentType === '' ? MEDIA_TYPES.bytes : contentType,
    updatedAt: new Date(Math.min(revision, DATE_MS_MAX)).toISOString(),
  }
}

/** A clock of years ahead may stand beyond the range of dates. */
const DATE_MS_MAX = 8.64e15

function nameIn(request: IncomingMessage): string {
  const name = (request.url ?? '').split('?', 1)[0]?.split('/')[NAME_SEGMENT] ?? ''
  if (isMemberValueName(name)) return name
  throw new ProblemError(
    'bad_key',
    'A name is 1 to 63 lower-case letters, digits, dots, dashes and underscores, and begins with a letter or a digit.',
  )
}
