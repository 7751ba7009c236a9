import { performance } from 'node:perf_hooks'
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { HEADERS, OTHER_HEADERS, type Consistency } from '@grapevine/contract'
import {
  bucketOf,
  bytesOf,
  etagOf,
  isExpired,
  NO_POLICY,
  partitionOf,
  writeNameOf,
  type Address,
  type Entry,
  type Partition,
  type SessionToken,
} from '@grapevine/core'
import type { AppliedWrite, WriteRequest } from '@grapevine/replica'
import type { FastifyInstance } from 'fastify'
import type { ServerContext } from '../context.ts'
import { answerTogether } from '../http/answer-together.ts'
import { readBody } from '../http/body.ts'
import { endWith } from '../http/end-with.ts'
import { isMatchedStrongly, isMatchedWeakly, preconditionOf, unmetIn } from '../http/entity-tags.ts'
import { addressFrom, isBase64Url, keyPathOf } from '../http/key-path.ts'
import { ProblemError, sendProblem, traceIdOf, unreadable, type Trouble } from '../http/problem.ts'
import { parseQuery } from '../http/query.ts'
import { answerFailure } from '../http/route.ts'
import { awaitSession, hasSeen, sessionHeaders, sessionOf } from '../http/session.ts'
import { httpDate } from '../http/http-date.ts'
import { idempotencyKeyOf } from '../http/idempotency.ts'
import type { RouteMeter } from '../metrics/http-meters.ts'
import {
  consistencyOf,
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

/** A read on its way. */
interface Read {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly meter: RouteMeter
  readonly startedMs: number
  /** Whether the value is sent, or only what is said of it. */
  readonly body: boolean
  readonly session: SessionToken | undefined
  /** Whether something that the session has seen no member has any more. */
  readonly hasGap?: boolean
}

/** What a read waits for. */
interface LateRead {
  /** Whether this node has yet to see what the session has. */
  readonly waits: boolean
  /** How many members have to tell what they hold; `undefined`: what is held here will do. */
  readonly from: 'quorum' | 'all' | undefined
  readonly timeoutMs: number
}

/** A write on its way, and the session that it belongs to. */
type SessionWrite = WriteRequest & { readonly session: SessionToken | undefined }

/** All of a write but what it writes. */
interface WriteTarget extends Omit<SessionWrite, 'value' | 'contentType' | 'name'> {
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
    const { replica, loaded } = this.#context
    const path = keyPathOf(request.url ?? '')
    let base64url = false
    let consistency: Consistency | undefined
    let timeoutMs = loaded.config.requestTimeout
    if (path.query !== '') {
      const query = parseQuery(path.query, READ_QUERY)
      base64url = isBase64Url(query.get('key_encoding'))
      consistency = consistencyOf(query.get('consistency'))
      timeoutMs = timeoutOf(query.get('timeout'), timeoutMs)
    }
    const session = sessionOf(request, this.#context)
    const address = addressFrom(path, base64url)
    const read: Read = { request, response, meter, startedMs, body, session }
    const from = consistency === 'quorum' || consistency === 'all' ? consistency : undefined
    const waits =
      session !== undefined && consistency !== 'local' && !hasSeen(session, this.#partitionOf(address), replica)
    if (waits || from !== undefined) {
      void this.#readLater(address, read, { waits, from, timeoutMs })
      return
    }
    const held = replica.read(address)
    if (held === 'corrupt') void this.#readElsewhere(address, read)
    else this.#answerRead(held, read)
  }

  /** Once this node has seen what the session has, and so many members have told what they hold. */
  async #readLater(address: Address, read: Read, { waits, from, timeoutMs }: LateRead): Promise<void> {
    const { replica, clock } = this.#context
    const { session } = read
    const untilMs = clock.monotonicMs() + timeoutMs
    try {
      const hasGap =
        waits &&
        session !== undefined &&
        (await awaitSession(session, this.#partitionOf(address), { replica, timeoutMs }))
      const leftMs = Math.max(1, untilMs - clock.monotonicMs())
      const held = from === undefined ? replica.read(address) : await replica.readFrom(address, from, leftMs)
      if (held === 'corrupt') await this.#readElsewhere(address, { ...read, hasGap })
      else this.#answerRead(held, { ...read, hasGap })
    } catch (error) {
      this.#failRead(error, read)
    }
  }

  /** What is damaged here may be whole on another node: its reader waits for it, and this node has it again. */
  async #readElsewhere(address: Address, read: Read): Promise<void> {
    try {
      const held = await this.#context.replica.heal(address)
      if (held === 'corrupt') throw unreadable()
      this.#answerRead(held, read)
    } catch (error) {
      this.#failRead(error, read)
    }
  }

  #failRead(error: unknown, { request, response, meter, startedMs }: Read): void {
    answerFailure(this.#context, request, response, error)
    meter.answered(response.statusCode, startedMs)
  }

  #partitionOf(address: Address): Partition {
    return partitionOf(this.#context.hash.sha256(bytesOf(address)))
  }

  #answerRead(held: Entry | undefined, { request, response, meter, startedMs, body, session, hasGap }: Read): void {
    const { clock, loaded } = this.#context
    const servedBy = loaded.config.name
    const common = {
      [HEADERS.servedBy]: servedBy,
      ...sessionHeaders(session, held === undefined ? [] : [held], this.#context, hasGap),
    }
    if (held === undefined || held.value === undefined || (held.expiresAtMs !== 0 && isExpired(held, clock.wallMs()))) {
      meter.answered(sendProblem(response, absent(held, common), traceIdOf(request)), startedMs)
      return
    }

    const etag = `"${etagOf(held.version)}"`
    const headers: OutgoingHttpHeaders = {
      ETag: etag,
      'Last-Modified': httpDate(held.version.hlc.wallMs),
      // Without it caches may answer for a tenth of the value's age (RFC 9111 §4.2.2).
      'Cache-Control': 'no-cache',
      ...common,
    }
    if (held.expiresAtMs !== 0) headers[HEADERS.expiresAt] = new Date(held.expiresAtMs).toISOString()
    const { 'if-none-match': ifNoneMatch, 'if-match': ifMatch, traceparent } = request.headers
    if (traceparent !== undefined) headers['traceparent'] = traceparent
    if (ifMatch !== undefined && !isMatchedStrongly(ifMatch, held.version)) {
      meter.answered(sendProblem(response, preconditionFailed(held, common, undefined), traceIdOf(request)), startedMs)
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

  #named(target: WriteTarget, value: Uint8Array | undefined, contentType: string): SessionWrite {
    const { idempotencyKey, ttlMs, ...rest } = target
    const write: SessionWrite = { ...rest, value, contentType }
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
      const session = sessionOf(request, this.#context)
      const address = addressFrom(path, false)
      const expiresAtMs = this.#expiryOf(request, address, undefined)
      return { address, expiresAtMs, w: 1, timeoutMs, session, idempotencyKey, ttlMs: undefined }
    }
    const query = parseQuery(path.query, WRITE_QUERY)
    const session = sessionOf(request, this.#context)
    const precondition = preconditionOf(headers['if-match'], headers['if-none-match'])
    const address = addressFrom(path, isBase64Url(query.get('key_encoding')))
    return {
      address,
      expiresAtMs: this.#expiryOf(request, address, query.get('ttl')),
      w: writeConcernOf(query.get('w'), replica),
      timeoutMs: timeoutOf(query.get('timeout'), timeoutMs),
      session,
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
    { session, ...write }: SessionWrite,
  ): Promise<void> {
    const { replica, loaded } = this.#context
    try {
      const hasGap =
        session !== undefined && write.precondition !== undefined && (await this.#awaitCondition(write, session))
      const result = await replica.write(session === undefined ? write : { ...write, after: session.hlc })
      const seen = result.kind === 'applied' ? result.seen : result.held
      const common = {
        [HEADERS.servedBy]: loaded.config.name,
        ...sessionHeaders(session, seen === undefined ? [] : [seen], this.#context, hasGap),
      }
      if (result.kind === 'precondition-failed')
        sendProblem(response, preconditionFailed(result.held, common, result.scope), traceIdOf(request))
      else {
        response.writeHead(204, appliedHeaders(request, result, common))
        response.end()
      }
    } catch (error) {
      const members = memberCount(replica)
      answerFailure(this.#context, request, response, error, { outcome: 'unknown', members })
    }
    meter.answered(response.statusCode, startedMs)
  }

  /** A condition reads, and so waits for the session; a write without one has nothing to wait for. */
  #awaitCondition({ address, timeoutMs }: WriteRequest, session: SessionToken): Promise<boolean> {
    const { replica } = this.#context
    return awaitSession(session, this.#partitionOf(address), { replica, timeoutMs, outcome: 'not-applied' })
  }
}

/** @param common what every answer says. */
function appliedHeaders(
  request: IncomingMessage,
  { version, expiresAtMs, acks, members }: AppliedWrite,
  common: OutgoingHttpHeaders,
): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {
    ETag: `"${etagOf(version)}"`,
    'Last-Modified': httpDate(version.hlc.wallMs),
    'Grapevine-Acks': `${acks}/${members}`,
    ...common,
  }
  if (expiresAtMs !== 0) headers[HEADERS.expiresAt] = new Date(expiresAtMs).toISOString()
  const { traceparent } = request.headers
  if (traceparent !== undefined) headers[OTHER_HEADERS.traceparent] = traceparent
  return headers
}

/** Nothing was ever here, or it was deleted, or its time is up: readers see no difference but the tombstone. */
function absent(held: Entry | undefined, common: OutgoingHttpHeaders): Trouble {
  const headers: OutgoingHttpHeaders = { ...common }
  if (held === undefined) return { code: 'not_found', message: 'This key has no value.', options: { headers } }
  if (held.value !== undefined)
    return { code: 'not_found', message: 'The value of this key has expired.', options: { headers } }
  headers[OTHER_HEADERS.tombstone] = '1'
  headers['ETag'] = `"${etagOf(held.version)}"`
  return { code: 'not_found', message: 'The value of this key was deleted.', options: { headers } }
}

/**
 * @param held what the condition was held against.
 * @param scope of the condition of a write; a read's is what the read has found.
 */
function preconditionFailed(
  held: Entry | undefined,
  common: OutgoingHttpHeaders,
  scope: 'node' | 'quorum' | undefined,
): Trouble {
  return {
    code: 'precondition_failed',
    message: unmetIn(scope),
    options: {
      ...(scope === undefined ? {} : { outcome: 'not-applied' }),
      headers: {
        [OTHER_HEADERS.conditionScope]: scope ?? 'node',
        ...common,
        ...(held === undefined ? {} : { ETag: `"${etagOf(held.version)}"` }),
        ...(held !== undefined && held.value === undefined ? { [OTHER_HEADERS.tombstone]: '1' } : {}),
      },
    },
  }
}

function isMarkup(contentType: string): boolean {
  return /html|xml|xsl|svg/i.test(contentType)
}
