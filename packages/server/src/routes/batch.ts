import type { IncomingMessage, ServerResponse } from 'node:http'
import { BATCH_BYTES_MAX, HEADERS, MEDIA_TYPES, OTHER_MEDIA_TYPES, type BatchResult } from '@grapevine/contract'
import {
  bytesOf,
  etagOf,
  isVisible,
  partitionOf,
  type Address,
  type Entry,
  type Partition,
  type SessionToken,
  type Sighting,
  type WriteConcern,
} from '@grapevine/core'
import type { FastifyInstance } from 'fastify'
import { Packr } from 'msgpackr'
import type { ServerContext } from '../context.ts'
import { bodyOf } from '../http/body.ts'
import { unmetIn } from '../http/entity-tags.ts'
import { idempotencyKeyOf } from '../http/idempotency.ts'
import { problemBody, ProblemError, problemFrom, traceIdOf, unreadable } from '../http/problem.ts'
import { parseQuery, queryOf } from '../http/query.ts'
import { route } from '../http/route.ts'
import { awaitSession, hasSeen, sessionHeaders, sessionOf } from '../http/session.ts'
import { parseBatch, type BatchStep } from './batch-request.ts'
import { memberCount, timeoutOf, writeConcernOf } from './parameters.ts'

/** Bytes of values in one answer. Reads beyond it are asked to come again, instead of filling the memory. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024

/** `POST /v1/batch`: many operations in one request, each standing alone. Not a transaction. */
export function registerBatchRoute(app: FastifyInstance, context: ServerContext): void {
  const packr = new Packr({ useRecords: false, encodeUndefinedAsNil: true })
  route(app, context, 'POST', '/v1/batch', async (request, response) => {
    if (!context.forwarder.servesHere) return context.forwarder.forward(request, response)
    const batch = await receive(request, response, context)
    if (batch === undefined) return
    const results: Result[] = []
    const seen = new SeenInBatch()
    for (const result of runInOrder(batch, seen, traceIdOf(request), context)) results.push(await result)
    const body = batch.asMsgpack
      ? packr.pack({ results: results.map(withBytes) })
      : Buffer.from(JSON.stringify({ results: results.map(withBase64) }))
    response.writeHead(200, {
      'content-type': batch.asMsgpack ? OTHER_MEDIA_TYPES.msgpack : MEDIA_TYPES.json,
      'content-length': body.length,
      'cache-control': 'no-store',
      [HEADERS.servedBy]: context.loaded.config.name,
      ...sessionHeaders(batch.session, seen.sightings, context, seen.hasGap),
    })
    response.end(body)
  })
}

interface Batch {
  readonly steps: readonly BatchStep[]
  readonly w: WriteConcern
  readonly timeoutMs: number
  readonly asMsgpack: boolean
  readonly session: SessionToken | undefined
}

/** What a batch has shown its session by the time when all of it is done: operations that run at once must not see each other. */
class SeenInBatch {
  readonly sightings: Sighting[] = []
  hasGap = false

  note(seen: Sighting | undefined): void {
    // Not the whole entry: its value may be large.
    if (seen !== undefined) this.sightings.push({ keyHash: seen.keyHash, version: seen.version, dot: seen.dot })
  }
}

async function receive(
  request: IncomingMessage,
  response: ServerResponse,
  context: ServerContext,
): Promise<Batch | undefined> {
  const { clock, loaded, replica } = context
  try {
    parseQuery(queryOf(request.url ?? ''), [])
    const session = sessionOf(request, context)
    if (idempotencyKeyOf(request) !== undefined)
      throw new ProblemError('bad_header', 'In a batch each operation has its own idempotency key, its "id".')
    const mediaType = request.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase() ?? ''
    const body = await bodyOf(request, response, BATCH_BYTES_MAX)
    if (body === undefined) return undefined
    const { valueMax, requestTimeout } = loaded.config
    const { steps, w, timeout } = parseBatch(body, mediaType, {
      valueMax,
      wallMs: clock.wallMs(),
      policyOf: (bucket) => replica.policyOf(bucket),
      hash: context.hash,
    })
    return {
      steps,
      w: writeConcernOf(w, replica, 'bad_body'),
      timeoutMs: timeoutOf(timeout, requestTimeout, 'bad_body'),
      asMsgpack: mediaType === OTHER_MEDIA_TYPES.msgpack,
      session,
    }
  } catch (error) {
    // Nothing has been handed to the replica yet.
    throw problemFrom(error, { outcome: 'not-applied' })
  }
}

type Result = BatchResult<Uint8Array>

/**
 * Starts everything at once, so that all writes share a commit; only operations on one key wait for each other, and
 * so happen in the order in which they stand.
 */
function runInOrder(
  { steps, w, timeoutMs, session }: Batch,
  seen: SeenInBatch,
  traceId: string,
  context: ServerContext,
): (Result | Promise<Result>)[] {
  const { replica, log, hash } = context
  const last = new Map<Address, Promise<Result>>()
  let answerBytes = 0

  const failed = (error: unknown, isWrite: boolean): Result => {
    const problem = problemFrom(error, isWrite ? { outcome: 'unknown', members: memberCount(replica) } : {})
    if (problem.code === 'internal' || problem.code === 'io_error')
      log.error('batch_operation_failed', { code: problem.code, traceId, error: problem.cause ?? problem })
    const body = problemBody(problem, traceId)
    return { status: body.status, problem: body }
  }

  const partitionIn = (address: Address): Partition => partitionOf(hash.sha256(bytesOf(address)))

  const read = (address: Address): Result | Promise<Result> => {
    if (session !== undefined && !hasSeen(session, partitionIn(address), replica)) return readLater(address, session)
    return readNow(address)
  }

  /** Once this node has seen what the session has. */
  const readLater = async (address: Address, waiting: SessionToken): Promise<Result> => {
    try {
      if (await awaitSession(waiting, partitionIn(address), { replica, timeoutMs })) seen.hasGap = true
    } catch (error) {
      return failed(error, false)
    }
    return readNow(address)
  }

  const readNow = (address: Address): Result | Promise<Result> => {
    try {
      const held = replica.read(address)
      return held === 'corrupt' ? readElsewhere(address) : readHeld(held)
    } catch (error) {
      return failed(error, false)
    }
  }

  const readElsewhere = async (address: Address): Promise<Result> => {
    try {
      const held = await replica.heal(address)
      return held === 'corrupt' ? failed(unreadable(), false) : readHeld(held)
    } catch (error) {
      return failed(error, false)
    }
  }

  const readHeld = (held: Entry | undefined): Result => {
    seen.note(held)
    if (held === undefined || held.value === undefined || !isVisible(held, context.clock.wallMs()))
      return nothingAt(held, traceId)
    answerBytes += held.value.length
    if (answerBytes > ANSWER_BYTES_MAX)
      return failed(
        new ProblemError(
          'overloaded',
          'The values of this batch are too many for one answer: read the rest in another.',
        ),
        false,
      )
    return {
      status: 200,
      etag: etagOf(held.version),
      value: held.value,
      contentType: held.contentType,
      lastModified: new Date(held.version.hlc.wallMs).toISOString(),
      ...expiry(held.expiresAtMs),
    }
  }

  const write = async (step: BatchStep & { readonly kind: 'write' }): Promise<Result> => {
    try {
      const { address, value, contentType, expiresAtMs, precondition, name } = step
      if (precondition !== undefined && session !== undefined) {
        const options = { replica, timeoutMs, outcome: 'not-applied' } as const
        if (await awaitSession(session, partitionIn(address), options)) seen.hasGap = true
      }
      const result = await replica.write({
        address,
        value,
        contentType,
        expiresAtMs,
        w,
        timeoutMs,
        ...(precondition === undefined ? {} : { precondition }),
        ...(session === undefined ? {} : { after: session.hlc }),
        ...(name === undefined ? {} : { name }),
      })
      seen.note(result.kind === 'applied' ? result.seen : result.held)
      if (result.kind === 'precondition-failed') {
        const problem = problemBody(
          new ProblemError('precondition_failed', unmetIn(result.scope), { outcome: 'not-applied' }),
          traceId,
        )
        return {
          status: problem.status,
          problem,
          ...(result.held === undefined ? {} : { etag: etagOf(result.held.version) }),
        }
      }
      const { version, acks, members } = result
      const receipt = { etag: etagOf(version), acks: { count: acks, of: members } }
      return { status: 204, ...receipt, ...expiry(result.expiresAtMs) }
    } catch (error) {
      return failed(error, true)
    }
  }

  return steps.map((step) => {
    if (step.kind === 'wrong') {
      const problem = problemBody(step.problem, traceId)
      return { status: problem.status, problem }
    }
    const before = last.get(step.address)
    const run = (): Result | Promise<Result> => (step.kind === 'get' ? read(step.address) : write(step))
    const result = before === undefined ? run() : before.then(run)
    // Most reads are done at once, and then nobody has to wait for them.
    if (result instanceof Promise) last.set(step.address, result)
    return result
  })
}

function nothingAt(held: Entry | undefined, traceId: string): Result {
  const deleted = held !== undefined && held.value === undefined
  const message = deleted ? 'The value of this key was deleted.' : 'This key has no value.'
  const problem = problemBody({ code: 'not_found', message, options: {} }, traceId)
  return { status: 404, problem, ...(deleted ? { etag: etagOf(held.version) } : {}) }
}

function expiry(expiresAtMs: number): { readonly expiresAt?: string } {
  return expiresAtMs === 0 ? {} : { expiresAt: new Date(expiresAtMs).toISOString() }
}

function bufferOf(value: Uint8Array): Buffer {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
}

function withBytes(result: Result): Result {
  return result.value === undefined ? result : { ...result, value: bufferOf(result.value) }
}

function withBase64(result: Result): BatchResult {
  const { value, ...rest } = result
  return value === undefined ? rest : { ...rest, value: bufferOf(value).toString('base64') }
}
