import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  HEADERS,
  OTHER_MEDIA_TYPES,
  parseDuration,
  type VisibilityBody,
  type VisibilityProblem,
} from '@grapevine/contract'
import { parseEtag, type Address } from '@grapevine/core'
import type { Visibility } from '@grapevine/replica'
import type { FastifyInstance } from 'fastify'
import type { ServerContext } from '../context.ts'
import { bodyOf } from '../http/body.ts'
import { problemBody, ProblemError, traceIdOf } from '../http/problem.ts'
import { parseQuery, queryOf } from '../http/query.ts'
import { jsonFields, route, sendJson } from '../http/route.ts'
import { addressFor } from './batch-request.ts'
import { TIMEOUT_MS_MAX } from './parameters.ts'

/** A key of 1,024 bytes, each of them escaped, and a few words. */
const BODY_BYTES_MAX = 16 * 1024
const FIELDS = ['bucket', 'key', 'keyEncoding', 'etag', 'on', 'within']

/** `POST /v1/visibility`: waits until a version, or a newer one, is held by as many nodes as asked for. Changes nothing. */
export function registerVisibilityRoute(app: FastifyInstance, context: ServerContext): void {
  const { replica, loaded, forwarder } = context
  route(app, context, 'POST', '/v1/visibility', async (request, response) => {
    if (!forwarder.servesHere) return forwarder.forward(request, response)
    const question = await receive(request, response)
    if (question === undefined) return
    const gone = Promise.withResolvers<void>()
    const leave = (): void => gone.resolve()
    response.on('close', leave)
    const found = await replica.visibility({ ...question, gone: gone.promise })
    response.off('close', leave)
    if (found === 'too-many') throw new ProblemError('overloaded', 'Too many requests wait for versions here already.')
    if (response.destroyed) return
    const nodes = nodesOf(found, context)
    const headers = { [HEADERS.servedBy]: loaded.config.name }
    if (found.reached) return sendJson(response, { nodes } satisfies VisibilityBody, headers)
    const trouble = {
      code: 'timeout',
      message: `${nodes.length} nodes are known to hold this version or a newer one. The others may get it later.`,
      options: {},
    } as const
    const problem: VisibilityProblem = { ...problemBody(trouble, traceIdOf(request)), nodes }
    sendJson(response, problem, { ...headers, 'content-type': OTHER_MEDIA_TYPES.problem }, problem.status)
  })
}

function nodesOf({ holders }: Visibility, { replica }: ServerContext): VisibilityBody['nodes'] {
  const names = new Map(replica.members().map((member) => [member.replica, member.name]))
  return holders
    .map(({ replica: nodeId, committedAtMs }) => ({
      name: names.get(nodeId) ?? nodeId,
      nodeId,
      committedAt: new Date(committedAtMs).toISOString(),
    }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

type Asked = Omit<Parameters<ServerContext['replica']['visibility']>[0], 'gone'>

async function receive(request: IncomingMessage, response: ServerResponse): Promise<Asked | undefined> {
  parseQuery(queryOf(request.url ?? ''), [])
  const body = await bodyOf(request, response, BODY_BYTES_MAX)
  if (body === undefined) return undefined
  const fields = jsonFields(body, FIELDS)
  const version = parseEtag(textOf(fields, 'etag').replace(/^"(.*)"$/, '$1'))
  if (version === undefined) throw badBody('etag must be that of a write, as its answer told it.')
  return {
    address: addressIn(fields),
    version,
    on: onOf(fields.get('on')),
    withinMs: withinOf(textOf(fields, 'within')),
  }
}

function addressIn(fields: ReadonlyMap<string, unknown>): Address {
  const encoding = fields.get('keyEncoding')
  if (encoding !== undefined && encoding !== 'base64url') throw badBody('keyEncoding can only be base64url.')
  return addressFor(textOf(fields, 'bucket'), textOf(fields, 'key'), encoding)
}

function onOf(on: unknown): 'all' | number {
  if (on === 'all' || (typeof on === 'number' && Number.isSafeInteger(on) && on >= 1)) return on
  throw badBody('on must be "all", for every live node, or a number of members from 1.')
}

function withinOf(text: string): number {
  const ms = parseDuration(text)
  if (ms !== undefined && ms >= 1 && ms <= TIMEOUT_MS_MAX) return ms
  throw badBody(`within must be a duration from 1ms to ${TIMEOUT_MS_MAX / 1_000}s, as 500ms or 2s.`)
}

function textOf(fields: ReadonlyMap<string, unknown>, name: string): string {
  const value = fields.get(name)
  if (typeof value === 'string') return value
  throw badBody(`${name} must be a text.`)
}

/** Nothing is written, so there is no outcome. */
function badBody(detail: string): ProblemError {
  return new ProblemError('bad_body', detail)
}
