import type { LeaveBody } from '@grapevine/contract'
import { LeaveError, type LeaveErrorCode } from '@grapevine/replica'
import type { FastifyInstance } from 'fastify'
import type { ServerContext } from '../context.ts'
import { ProblemError } from '../http/problem.ts'
import { parseQuery, queryOf } from '../http/query.ts'
import { route, sendJson } from '../http/route.ts'
import { timeoutOf } from './parameters.ts'

/** Others pull about once a second; what is left to send may take longer. */
const TIMEOUT_MS = 30_000

const CODES: Readonly<Record<LeaveErrorCode, 'conflict' | 'quorum_not_met' | 'timeout' | 'not_ready' | 'cloned'>> = {
  last_member: 'conflict',
  nobody_reachable: 'quorum_not_met',
  not_covered: 'timeout',
  not_member: 'not_ready',
  cloned: 'cloned',
}

/** Ends this node's own membership for good (frontier.md R15). Once that is answered, the process ends. */
export function registerLeave(app: FastifyInstance, context: ServerContext): void {
  const { left, loaded, log, replica } = context
  route(app, context, 'POST', '/v1/admin/leave', async (request, response) => {
    const query = parseQuery(queryOf(request.url ?? ''), ['timeout'])
    const timeoutMs = timeoutOf(query.get('timeout'), TIMEOUT_MS)
    const { identity } = replica.status()
    try {
      const { coveredBy, told } = await replica.leave(timeoutMs)
      const nameOf = (id: string): string => replica.members().find((member) => member.replica === id)?.name ?? id
      const body: LeaveBody = {
        name: identity.name,
        nodeId: identity.replica,
        coveredBy: nameOf(coveredBy),
        told: told.map(nameOf),
        dataDir: loaded.config.dataDir,
        ...(told.length > 0
          ? {}
          : {
              warning:
                'Nobody could be told yet, so the others still wait for this node. Start it once more when they can be reached: it ' +
                'tells them, and ends.',
            }),
      }
      log.warn('left', { ...body })
      sendJson(response, body, { connection: 'close' })
      left()
    } catch (error) {
      if (!(error instanceof LeaveError)) throw error
      throw new ProblemError(CODES[error.code], `The node has not left: ${error.message}.`, {
        outcome: 'not-applied',
        cause: error,
      })
    }
  })
}
