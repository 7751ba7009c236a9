import type { EvictBody } from '@grapevine/contract'
import type { Replica } from '@grapevine/replica'
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
    const target = targetOf(replica, nodeIn(url))
    const { name, nodeId } = target
    if (target.isSelf)
      throw refused(
        `${name} does not evict itself: to end its membership use \`grapevine leave\`, which loses nothing.`,
      )
    const members = replica.members().filter(({ state }) => state !== 'evicted')
    // Two nodes that evict each other both stop: whoever is about to be alone says that this is meant.
    if (target.isMember && members.length <= 2 && query.get('alone') !== '1')
      throw refused(
        `${name} is the only other member: without it this node is alone, and two nodes that evict each other both stop. ` +
          `If that is meant, ask with ?alone=1.`,
      )
    const changed = await replica.evict(nodeId)
    log.warn('evicted', { name, replica: nodeId, changed })
    const body: EvictBody = {
      name,
      nodeId,
      changed,
      warning:
        `Writes that ${name} had taken and no other member has are lost to the cluster, unless somebody salvages them from its ` +
        `data directory (grapevine snapshot save FILE --from DIR). It is refused for good under this id. If it runs, or is started again, it sets its data aside and ` +
        `joins anew, empty: stop it if it is not to come back.`,
    }
    sendJson(response, body)
  })
}

interface Target {
  readonly name: string
  readonly nodeId: string
  readonly isSelf: boolean
  readonly isMember: boolean
}

/**
 * Whom somebody means: a member; one that was evicted already, so that asking twice is no mistake; or, by its id, one that nobody
 * here has ever heard of, as of a join that was cut off. Such a one holds the frontier back like any other.
 * @throws {ProblemError} `not_found`.
 */
function targetOf(replica: Replica, text: string): Target {
  const unheardOf = replica.unheardOf()
  if (unheardOf.includes(text)) return { name: text, nodeId: text, isSelf: false, isMember: true }
  try {
    const member = findMember(replica, text)
    return {
      name: member.name,
      nodeId: member.replica,
      isSelf: member.isSelf,
      isMember: member.state !== 'evicted',
    }
  } catch (error) {
    const former = replica.formerMembers().find((member) => member.name === text || member.replica === text)
    if (former !== undefined) return { name: former.name, nodeId: former.replica, isSelf: false, isMember: false }
    if (replica.wasEvicted(text)) return { name: text, nodeId: text, isSelf: false, isMember: false }
    if (unheardOf.length === 0 || !(error instanceof ProblemError)) throw error
    const ids = unheardOf.join(', ')
    throw new ProblemError(error.code, `${error.message} Of others only the ids are known: ${ids}.`, error.options)
  }
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
