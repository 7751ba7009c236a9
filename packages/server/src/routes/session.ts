import type { SessionBody } from '@grapevine/contract'
import type { FastifyInstance } from 'fastify'
import type { ServerContext } from '../context.ts'
import { bodyOf } from '../http/body.ts'
import { ProblemError } from '../http/problem.ts'
import { parseQuery, queryOf } from '../http/query.ts'
import { jsonFields, route, sendJson } from '../http/route.ts'
import { joinTokens } from '../http/session.ts'

/** A hundred tokens of the largest kind. */
const BODY_BYTES_MAX = 1024 * 1024

/** `POST /v1/session`: makes one token of many. Touches no data and waits for nothing. */
export function registerSessionRoute(app: FastifyInstance, context: ServerContext): void {
  route(app, context, 'POST', '/v1/session', async (request, response) => {
    if (!context.forwarder.servesHere) return context.forwarder.forward(request, response)
    parseQuery(queryOf(request.url ?? ''), [])
    const body = await bodyOf(request, response, BODY_BYTES_MAX)
    if (body === undefined) return
    const tokens = jsonFields(body, ['tokens']).get('tokens')
    if (!Array.isArray(tokens) || !tokens.every((token) => typeof token === 'string'))
      throw new ProblemError('bad_body', 'The body needs "tokens", a list of session tokens as they came.')
    const joined = joinTokens(tokens, context, 'bad_body')
    const answer: SessionBody = { token: context.sessions.textOf(joined, undefined) }
    sendJson(response, answer)
  })
}
