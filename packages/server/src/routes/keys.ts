import { performance } from 'node:perf_hooks'
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { HEADERS } from '@grapevine/contract'
import { bucketOf, etagOf, isExpired, NO_POLICY, writeNameOf, type Address, type Entry } from '@grapevine/core'
import type { WriteRequest, WriteResult } from '@grapevine/replica'
import type { FastifyInstance } from 'fastify'
import type { ServerContext } from '../context.ts'
import { answerTogether } from '../http/answer-together.ts'
import { readBody } from '../http/body.ts'
import { endWith } from '../http/end-with.ts'
import { isMatchedStrongly, isMatchedWeakly, preconditionOf } from '../http/entity-tags.ts'
import { addressFrom, isBase64Url, keyPathOf } from '../http/key-path.ts'
import { ProblemError, sendProblem, traceIdOf, unreadable, type Trouble } from '../http/problem.ts'
import { parseQuery } from '../http/query.ts'
import { answerFailure, refuseUnbuiltHeaders } from '../http/route.ts'
import { httpDate } from '../http/http-date.ts'
import { idempotencyKeyOf } from '../http/idempotency.ts'
import type { RouteMeter } from '../metrics/http-meters.ts'
import {
  checkConsistency,
  contentTypeOf,
  expiryOf,
  memberCount,
  timeoutOf,
  ttlAsSaid,
  writeConcernOf,
} from './parameters.ts'

const PATTERN = '/v1/kv/:bucket/*'
const LABEL = '/v1/kv/{bucket}/{key}'
const READ_QUERY = ['consistency', 'timeout', 'key_encoding']
const WRITE_QUERY = ['w', 'timeout', 'ttl', 'key_encoding']

/**
 * One key: `GET`, `HEAD`, `PUT`, `DELETE /v1/kv/{bucket}/{key}`. The path that nearly every request takes, so it
 * makes no promise or closure that it can do without, and answers below fastify's `reply.send`.
 */
export function registerKeyRoutes(app: FastifyInstance, context: ServerContext): void {
  const routes = new KeyRoutes(context)
  const { http } = context.metrics
  const register = (method: 'GET' | 'HEAD' | 'PUT' | 'DELETE', run: Run): void => {
    const meter = http.of(method, LABEL)
    app.route({
      method,
      url: PATTERN,
      exposeHeadRoute: false,
      handler: (request, reply) => {
        reply.hijack()
        routes.enter(request.raw, reply.raw, meter, run)
      },
    })
  }
  register('GET', (request, response, meter, startedMs) => routes.read(request, response, meter, startedMs, true))
  register('HEAD', (request, response, meter, startedMs) => routes.read(request, response, meter, startedMs, false))
  register('PUT', (request, response, meter, startedMs) => routes.put(request, response, meter, startedMs))
  register('DELETE', (request, response, meter, startedMs) => routes.delete(request, response, meter, startedMs))
}

/** All of a write but what it writes. */
interface WriteTarget extends Omit<WriteRequest, 'value' | 'contentType' | 'name'> {
  readonly idempotencyKey: string | undefined
  readonly ttlMs: number | undefined
}

type Run = (request: IncomingMessage, response: ServerResponse, meter: RouteMeter, startedMs: number) => void

class KeyRoutes {
  readonly #context: ServerContext

  constructor(context: ServerContext) {
    this.#context = context
  }

  /** Whatever `run` throws before it waits for something is answered here. */
  enter(request: IncomingMessage, response: ServerResponse, meter: RouteMeter, run: Run): void {
    const startedMs = performance.now()
    const { guard, forwarder } = this.#context
    try {
      guard.check(request, response)
      if (forwarder.servesHere) run(request, response, meter, startedMs)
      else void forwarder.forward(request, response).then(() => meter.answered(response.statusCode, startedMs))
    } catch (error) {
      const isWrite = request.method !== 'GET' && request.method !== 'HEAD'
      answerFailure(this.#context, request, response, error, isWrite ? { outcome: 'not-applied' } : {})
      meter.answered(response.statusCode, startedMs)
    }
  }

  read(request: IncomingMessage, response: ServerResponse, meter: RouteMeter, startedMs: number, body: boolean): void {
    const { replica } = this.#context
    const path = keyPathOf(request.url ?? '')
    let base64url = false
    if (path.query !== '') {
      const query = parseQuery(path.query, READ_QUERY)
      base64url = isBase64Url(query.get('key_encoding'))
      checkConsistency(query.get('consistency'))
      timeoutOf(query.get('timeout'), 0)
    }
    refuseUnbuiltHeaders(request, false)
    const address = addressFrom(path, base64url)
    const held = replica.read(address)
    if (held === 'corrupt') void this.#readElsewhere(address, request, response, meter, startedMs, body)
    else this.#answerRead(held, request, response, meter, startedMs, body)
  }

  /** What is damaged here may be whole on another node: its reader waits for it, and this node has it again. */
  async #readElsewhere(
    address: Address,
    request: IncomingMessage,
    response: ServerResponse,
    meter: RouteMeter,
    startedMs: number,
    body: boolean,
  ): Promise<void> {
    try {
      const held = await this.#context.replica.heal(address)
      if (held === 'corrupt') throw unreadable()
      this.#answerRead(held, request, response, meter, startedMs, body)
    } catch (error) {
      answerFailure(this.#context, request, response, error)
      meter.answered(response.statusCode, startedMs)
    }
  }

  #answerRead(
    held: Entry | undefined,
    request: IncomingMessage,
    response: ServerResponse,
    meter: RouteMeter,
    startedMs: number,
    body: boolean,
  ): void {
    const { clock, loaded } = this.#context
    const servedBy = loaded.config.name
    if (held === undefined || held.value === undefined || (held.expiresAtMs !== 0 && isExpired(held, clock.wallMs()))) {
      meter.answered(sendProblem(response, absent(held, servedBy), traceIdOf(request)), startedMs)
      return
    }

    const etag = `"${etagOf(held.version)}"`
    const headers: OutgoingHttpHeaders = {
      ETag: etag,
      'Last-Modified': httpDate(held.version.hlc.wallMs),
      // Without it caches may answer for a tenth of the value's age (RFC 9111 §4.2.2).
      'Cache-Control': 'no-cache',
      'Grapevine-Served-By': servedBy,
    }
    if (held.expiresAtMs !== 0) headers[HEADERS.expiresAt] = new Date(held.expiresAtMs).toISOString()
    const { 'if-none-match': ifNoneMatch, 'if-match': ifMatch, traceparent } = request.headers
    if (traceparent !== undefined) headers['traceparent'] = traceparent
    if (ifMatch !== undefined && !isMatchedStrongly(ifMatch, held.version)) {
      meter.answered(sendProblem(response, preconditionFailed(held, servedBy, false), traceIdOf(request)), startedMs)
      return
    }
    if (ifNoneMatch !== undefined && isMatchedWeakly(ifNoneMatch, held.version)) {
      response.writeHead(304, headers)
      response.end()
    } else {
      headers['Content-Type'] = held.contentType
      headers['Content-Length'] = held.value.length
      // Values share an origin with the dashboard: none may be taken for a page of it.
      headers['X-Content-Type-Options'] = 'nosniff'
      if (isMarkup(held.contentType)) headers['Content-Security-Policy'] = 'sandbox'
      const { value } = held
      answerTogether(() => {
        response.writeHead(200, headers)
        if (body) endWith(response, value)
        else response.end()
        meter.answered(200, startedMs)
      })
      return
    }
    meter.answered(response.statusCode, startedMs)
  }

  put(request: IncomingMessage, response: ServerResponse, meter: RouteMeter, startedMs: number): void {
    const { headers } = request
    const target = this.#writeTarget(request)
    const contentType = contentTypeOf(headers['content-type'])
    const coding = headers['content-encoding']
    if (coding !== undefined && coding !== 'identity')
      throw new ProblemError(
        'unsupported_media_type',
        `A value is stored as it comes: send it without Content-Encoding ${coding}.`,
        {
          outcome: 'not-applied',
        },
      )
    if (headers['content-range'] !== undefined)
      throw new ProblemError('bad_header', 'A value can only be written as a whole, not a Content-Range of it.', {
        outcome: 'not-applied',
      })
    readBody(
      request,
      response,
      this.#context.loaded.config.valueMax,
      (value) => void this.#write(request, response, meter, startedMs, this.#named(target, value, contentType)),
      () => meter.answered(response.statusCode, startedMs),
    )
  }

  delete(request: IncomingMessage, response: ServerResponse, meter: RouteMeter, startedMs: number): void {
    const target = this.#writeTarget(request)
    void this.#write(request, response, meter, startedMs, this.#named({ ...target, expiresAtMs: 0 }, undefined, ''))
  }

  #named(target: WriteTarget, value: Uint8Array | undefined, contentType: string): WriteRequest {
    const { idempotencyKey, ttlMs, ...rest } = target
    const write: WriteRequest = { ...rest, value, contentType }
    if (idempotencyKey === undefined) return write
    const request = { precondition: undefined, ...write, ttlMs }
    return { ...write, name: writeNameOf(idempotencyKey, request, this.#context.hash) }
  }

  #writeTarget(request: IncomingMessage): WriteTarget {
    const { headers } = request
    const idempotencyKey = idempotencyKeyOf(request)
    const { loaded, replica } = this.#context
    const path = keyPathOf(request.url ?? '')
    const timeoutMs = loaded.config.requestTimeout
    if (headers['if-match'] === undefined && headers['if-none-match'] === undefined && path.query === '') {
      refuseUnbuiltHeaders(request, true)
      const address = addressFrom(path, false)
      const expiresAtMs = this.#expiryOf(request, address, undefined)
      return { address, expiresAtMs, w: 1, timeoutMs, idempotencyKey, ttlMs: undefined }
    }
    const query = parseQuery(path.query, WRITE_QUERY)
    refuseUnbuiltHeaders(request, true)
    const precondition = preconditionOf(headers['if-match'], headers['if-none-match'])
    const address = addressFrom(path, isBase64Url(query.get('key_encoding')))
    return {
      address,
      expiresAtMs: this.#expiryOf(request, address, query.get('ttl')),
      w: writeConcernOf(query.get('w'), replica),
      timeoutMs: timeoutOf(query.get('timeout'), timeoutMs),
      idempotencyKey,
      ttlMs: ttlAsSaid(query.get('ttl')),
      ...(precondition === undefined ? {} : { precondition }),
    }
  }

  #expiryOf(request: IncomingMessage, address: Address, ttl: string | undefined): number {
    const { clock, replica } = this.#context
    // A tombstone goes when the frontier says so.
    const policy = request.method === 'DELETE' ? NO_POLICY : replica.policyOf(bucketOf(address))
    return expiryOf(ttl, policy, clock.wallMs())
  }

  async #write(
    request: IncomingMessage,
    response: ServerResponse,
    meter: RouteMeter,
    startedMs: number,
    write: WriteRequest,
  ): Promise<void> {
    const { replica, loaded } = this.#context
    const servedBy = loaded.config.name
    try {
      const result = await replica.write(write)
      if (result.kind === 'precondition-failed')
        sendProblem(response, preconditionFailed(result.held, servedBy, true), traceIdOf(request))
      else {
        response.writeHead(204, appliedHeaders(request, result, servedBy))
        response.end()
      }
    } catch (error) {
      const members = memberCount(replica)
      answerFailure(this.#context, request, response, error, { outcome: 'unknown', members })
    }
    meter.answered(response.statusCode, startedMs)
  }
}

function appliedHeaders(
  request: IncomingMessage,
  { version, expiresAtMs, acks, members }: WriteResult & { readonly kind: 'applied' },
  servedBy: string,
): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {
    ETag: `"${etagOf(version)}"`,
    'Last-Modified': httpDate(version.hlc.wallMs),
    'Grapevine-Acks': `${acks}/${members}`,
    'Grapevine-Served-By': servedBy,
  }
  if (expiresAtMs !== 0) headers[HEADERS.expiresAt] = new Date(expiresAtMs).toISOString()
  const { traceparent } = request.headers
  if (traceparent !== undefined) headers[HEADERS.traceparent] = traceparent
  return headers
}

/** Nothing was ever here, or it was deleted, or its time is up: readers see no difference but the tombstone. */
function absent(held: Entry | undefined, servedBy: string): Trouble {
  const headers: OutgoingHttpHeaders = { [HEADERS.servedBy]: servedBy }
  if (held === undefined) return { code: 'not_found', message: 'This key has no value.', options: { headers } }
  if (held.value !== undefined)
    return { code: 'not_found', message: 'The value of this key has expired.', options: { headers } }
  headers[HEADERS.tombstone] = '1'
  headers['ETag'] = `"${etagOf(held.version)}"`
  return { code: 'not_found', message: 'The value of this key was deleted.', options: { headers } }
}

/** @param held what the condition was held against. */
function preconditionFailed(held: Entry | undefined, servedBy: string, isWrite: boolean): Trouble {
  return {
    code: 'precondition_failed',
    message: 'The key does not hold, on this node, what the condition asks for.',
    options: {
      ...(isWrite ? { outcome: 'not-applied' } : {}),
      headers: {
        [HEADERS.conditionScope]: 'node',
        [HEADERS.servedBy]: servedBy,
        ...(held === undefined ? {} : { ETag: `"${etagOf(held.version)}"` }),
        ...(held !== undefined && held.value === undefined ? { [HEADERS.tombstone]: '1' } : {}),
      },
    },
  }
}

function isMarkup(contentType: string): boolean {
  return /html|xml|svg/i.test(contentType)
}
