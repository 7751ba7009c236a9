import type { ServerResponse } from 'node:http'
import { HEADERS, MEDIA_TYPES, WATCH_HEARTBEAT_MS } from '@grapevine/contract'
import type { FastifyInstance } from 'fastify'
import type { ServerContext } from '../context.ts'
import { ProblemError } from '../http/problem.ts'
import { route } from '../http/route.ts'
import { takeNoQuery } from './cluster.ts'
import { gossipEventData } from './member-values.ts'

/** Membership changes a few times a minute: nobody needs hundreds of these, and each costs a socket. */
export const MEMBERSHIP_LISTENERS_MAX = 256
/** Of a reader that takes nothing. Whoever is cut off asks for the members and listens again. */
const UNREAD_BYTES_MAX: number = 256 * 1024

/** `GET /v1/gossip/events`: what becomes of members, as this node sees it. */
export function registerMembershipEvents(app: FastifyInstance, context: ServerContext): void {
  let listeners = 0
  route(app, context, 'GET', '/v1/gossip/events', async (request, response) => {
    takeNoQuery(request)
    if (context.draining()) throw new ProblemError('draining', 'This node is stopping. Listen to another one.')
    if (listeners >= MEMBERSHIP_LISTENERS_MAX)
      throw new ProblemError(
        'overloaded',
        `${MEMBERSHIP_LISTENERS_MAX} listen to this node already. Others may have room.`,
      )
    listeners++
    try {
      await sendEvents(response, context)
    } finally {
      listeners--
    }
  })
}

async function sendEvents(response: ServerResponse, { loaded, replica, streams }: ServerContext): Promise<void> {
  const { promise: ended, resolve: end } = Promise.withResolvers<void>()
  const release = streams.open(end)
  response.on('close', end)
  const send = (text: string): void => {
    if (response.writableLength > UNREAD_BYTES_MAX) response.destroy()
    else response.write(text)
  }
  const heartbeat = setInterval(() => send(': still here\n\n'), WATCH_HEARTBEAT_MS)
  const leave = replica.onMembership((event) =>
    send(`event: ${event.kind}\ndata: ${JSON.stringify(gossipEventData(event))}\n\n`),
  )
  try {
    response.writeHead(200, {
      'content-type': MEDIA_TYPES.eventStream,
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
      [HEADERS.servedBy]: loaded.config.name,
    })
    // Whoever hears it misses nothing from here on: the members as they are now are at /v1/cluster/members.
    send(': listening\n\n')
    await ended
    response.end()
  } finally {
    leave()
    clearInterval(heartbeat)
    response.off('close', end)
    release()
  }
}
