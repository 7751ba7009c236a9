import { isUtf8 } from 'node:buffer'
import { performance } from 'node:perf_hooks'
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { MEDIA_TYPES, type ProblemCode } from '@grapevine/contract'
import type { FastifyInstance, HTTPMethods } from 'fastify'
import type { ServerContext } from '../context.ts'
import type { RouteMeter } from '../metrics/http-meters.ts'
import { operationOf } from '../openapi/operations.ts'
import { ProblemError, problemFrom, type FailureContext, sendProblem, traceIdOf } from './problem.ts'
import { parseQuery, queryOf } from './query.ts'

export type Handler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>

/**
 * Registers a route whose handler answers on the raw response: fastify finds the way, and everything behind that,
 * from parsing to errors, is ours. Its own ways cost time on each request and answer in other forms than we promise.
 * @param pattern fastify's; what it calls `:name` and `*` is shown as `{name}` and `{key}` in the metrics.
 */
export function route(
  app: FastifyInstance,
  context: ServerContext,
  method: HTTPMethods,
  pattern: string,
  handler: Handler,
): void {
  const described = typeof method === 'string' ? operationOf(method, pattern) : undefined
  const known = described?.isBuilt === true ? Object.keys(described.query) : undefined
  const meter = context.metrics.http.of(method, pattern.replaceAll(/:(\w+)/g, '{$1}').replace('*', '{key}'))
  app.route({
    method,
    url: pattern,
    exposeHeadRoute: false,
    handler: (request, reply) => {
      reply.hijack()
      void answer(context, meter, handler, known, request.raw, reply.raw)
    },
  })
}

/** A route that answers GET, and HEAD with the same headers. */
export function routeGet(app: FastifyInstance, context: ServerContext, pattern: string, handler: Handler): void {
  route(app, context, 'GET', pattern, handler)
  route(app, context, 'HEAD', pattern, handler)
}

async function answer(
  context: ServerContext,
  meter: RouteMeter,
  handler: Handler,
  known: readonly string[] | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const startedMs = performance.now()
  try {
    context.guard.check(request, response)
    // What is not described is refused before anybody could half understand it.
    if (known !== undefined) parseQuery(queryOf(request.url ?? ''), known)
    await handler(request, response)
  } catch (error) {
    answerFailure(context, request, response, error, isRefusedWrite(request, error) ? { outcome: 'not-applied' } : {})
  }
  meter.answered(response.statusCode, startedMs)
}

/** What is wrong with a request by itself is seen before anything of it is done. */
const WRONG_REQUEST: ReadonlySet<ProblemCode> = new Set(['bad_query', 'bad_header', 'bad_request', 'forbidden'])

function isRefusedWrite({ method }: IncomingMessage, error: unknown): boolean {
  const isWrite = method !== 'GET' && method !== 'HEAD'
  return isWrite && error instanceof ProblemError && WRONG_REQUEST.has(error.code)
}

/** Answers with what was thrown, and logs it where somebody should know. */
export function answerFailure(
  context: ServerContext,
  request: IncomingMessage,
  response: ServerResponse,
  error: unknown,
  failure: FailureContext = {},
): void {
  const problem = problemFrom(error, failure)
  const traceId = traceIdOf(request)
  if (problem.code === 'internal' || problem.code === 'io_error') {
    const { method, url } = request
    context.log.error('request_failed', { code: problem.code, traceId, method, url, error: problem.cause ?? problem })
  }
  sendProblem(response, problem, traceId)
}

export function sendJson(
  response: ServerResponse,
  body: unknown,
  headers: OutgoingHttpHeaders = {},
  status = 200,
): void {
  const bytes = Buffer.from(JSON.stringify(body))
  response.writeHead(status, {
    'content-type': MEDIA_TYPES.json,
    'content-length': bytes.length,
    'cache-control': 'no-store',
    ...headers,
  })
  response.end(bytes)
}

/**
 * What is not UTF-8 is no JSON: with other characters in the place of its bytes it would be about another key.
 * @throws for what is none.
 */
export function parseJson(body: Uint8Array): unknown {
  if (!isUtf8(body)) throw new TypeError('it is not UTF-8')
  return JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8'))
}

/** The values of a JSON object in a body, or of an empty body. Fields that are not `known` are refused. */
export function jsonFields(body: Uint8Array, known: readonly string[]): ReadonlyMap<string, unknown> {
  if (body.length === 0) return new Map()
  let parsed: unknown
  try {
    parsed = parseJson(body)
  } catch (cause) {
    throw new ProblemError('bad_body', 'The body is not valid JSON.', { outcome: 'not-applied', cause })
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw new ProblemError('bad_body', 'The body must be a JSON object.', { outcome: 'not-applied' })
  const fields = new Map(Object.entries(parsed))
  for (const name of fields.keys())
    if (!known.includes(name))
      throw new ProblemError(
        'bad_body',
        `The body has ${JSON.stringify(name.slice(0, 50))}, which is not known here. Known are ${known.join(', ')}.`,
        { outcome: 'not-applied' },
      )
  return fields
}

/** What is promised for a later version: said plainly, so that nobody takes silence for success. */
export function notImplemented(what: string, isWrite: boolean): ProblemError {
  return new ProblemError('not_implemented', `${what} is not built yet.`, isWrite ? { outcome: 'not-applied' } : {})
}

/** A handler that says so. */
export function unbuilt(what: string, isWrite = false): Handler {
  return () => {
    throw notImplemented(what, isWrite)
  }
}
