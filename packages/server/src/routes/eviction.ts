import type { EvictBody } from '@grapevine/contract'
import type { FastifyInstance } from 'fastify'
import type { ServerContext } from '../context.ts'
import { ProblemError } from '../http/problem.ts'
import { parseQuery, queryOf } from '../http/query.ts'
import { route, sendJson } from '../http/route.ts'
import { findMember } from './members.ts'

/** Segments before the node in `/v1/admin/evict/{node}`. */
const NODE_SEGMENT = 4

/** Ends a member's membership for good (frontier.md R15). */
export function registerEviction(app: FastifyInstance, context: ServerContext): void {
  const { log, replica } = context
  route(app, context, 'POST', '/v1/admin/evict/:node', async (request, response) => {
    const url = request.url ?? ''
    const query = parseQuery(queryOf(url), ['alone'])
    const member = findMember(replica, nodeIn(url))
    if (member.isSelf)
      throw refused(`${member.name} cannot evict itself: ask another node, or stop this one and evict it there.`)
    const members = replica.members().filter(({ state }) => state !== 'evicted')
    // Two nodes that evict each other both stop: whoever is about to be alone says that this is meant.
    if (member.state !== 'evicted' && members.length <= 2 && query.get('alone') !== '1')
      throw refused(
        `${member.name} is the only other member: without it this node is alone, and two nodes that evict each other both stop. ` +
          `If that is meant, ask with ?alone=1.`,
      )
    const changed = await replica.evict(member.replica)
    log.warn('evicted', { name: member.name, replica: member.replica, changed })
    const body: EvictBody = {
      name: member.name,
      nodeId: member.replica,
      changed,
      warning:
        `Writes that ${member.name} had taken and no other member has are lost to the cluster, unless somebody saves them ` +
        `from its data directory. It is refused for good under this id, and stops when it hears of it.`,
    }
    sendJson(response, body)
  })
}

function nodeIn(url: string): string {
  const [path = ''] = url.split('?')
  try {
    return decodeURIComponent(path.split('/')[NODE_SEGMENT] ?? '')
  } catch (cause) {
    throw new ProblemError('bad_query', 'The node in the path is not percent-encoded UTF-8.', {
      outcome: 'not-applied',
      cause,
    })
  }
}

function refused(detail: string): ProblemError {
  return new ProblemError('bad_query', detail, { outcome: 'not-applied' })
}
