import type { IncomingMessage, ServerResponse } from 'node:http'
import { formatDuration, HEADERS, MEDIA_TYPES, type BucketPolicyBody } from '@grapevine/contract'
import { decodePolicy, encodePolicy, etagOf, NO_POLICY, policyAddress, type BucketPolicy } from '@grapevine/core'
import type { FastifyInstance } from 'fastify'
import type { ServerContext } from '../context.ts'
import { bodyOf } from '../http/body.ts'
import { decodeBucket, keyPathOf } from '../http/key-path.ts'
import { idempotencyKeyOf } from '../http/idempotency.ts'
import { ProblemError, problemFrom } from '../http/problem.ts'
import { parseQuery } from '../http/query.ts'
import { jsonFields, route, routeGet, sendJson } from '../http/route.ts'
import { memberCount, timeoutOf, ttlMsOf, writeConcernOf } from './parameters.ts'

/** A policy is a handful of words. */
const BODY_BYTES_MAX = 4 * 1024

/** `GET`, `PUT /v1/buckets/{bucket}`: what holds for the writes to a bucket. Any name is a bucket; most have no policy. */
export function registerBucketRoutes(app: FastifyInstance, context: ServerContext): void {
  const { replica, loaded, forwarder } = context

  routeGet(app, context, '/v1/buckets/:bucket', (request, response) => {
    if (!forwarder.servesHere) return forwarder.forward(request, response)
    const { bucket, query } = targetOf(request)
    parseQuery(query, [])
    const held = replica.read(policyAddress(bucket))
    if (held === 'corrupt')
      throw new ProblemError('io_error', 'The policy of this bucket fails its checksum.', { retryable: true })
    sendJson(response, bodyOfPolicy(decodePolicy(held?.value)), {
      ...(held === undefined ? {} : { ETag: `"${etagOf(held.version)}"` }),
      [HEADERS.servedBy]: loaded.config.name,
    })
    return undefined
  })

  route(app, context, 'PUT', '/v1/buckets/:bucket', async (request, response) => {
    if (!forwarder.servesHere) return forwarder.forward(request, response)
    const write = await receive(request, response, context)
    if (write === undefined) return
    const { bucket, policy, w, timeoutMs } = write
    const result = await replica
      .write({
        address: policyAddress(bucket),
        value: encodePolicy(policy),
        contentType: MEDIA_TYPES.json,
        expiresAtMs: 0,
        w,
        timeoutMs,
      })
      .catch((error: unknown) => {
        throw problemFrom(error, { outcome: 'unknown', members: memberCount(replica) })
      })
    if (result.kind !== 'applied') throw new ProblemError('internal', 'A write without a condition failed one.')
    response.writeHead(204, {
      ETag: `"${etagOf(result.version)}"`,
      [HEADERS.acks]: `${result.acks}/${result.members}`,
      [HEADERS.servedBy]: loaded.config.name,
    })
    response.end()
  })
}

interface PolicyWrite extends Pick<Parameters<ServerContext['replica']['write']>[0], 'w' | 'timeoutMs'> {
  readonly bucket: string
  readonly policy: BucketPolicy
}

async function receive(
  request: IncomingMessage,
  response: ServerResponse,
  { clock, loaded, replica }: ServerContext,
): Promise<PolicyWrite | undefined> {
  try {
    const { bucket, query } = targetOf(request)
    const parameters = parseQuery(query, ['w', 'timeout'])
    if (idempotencyKeyOf(request) !== undefined)
      throw new ProblemError('bad_header', 'A policy needs no idempotency key: written twice, it is the same.')
    const w = writeConcernOf(parameters.get('w'), replica)
    const timeoutMs = timeoutOf(parameters.get('timeout'), loaded.config.requestTimeout)
    const body = await bodyOf(request, response, BODY_BYTES_MAX)
    if (body === undefined) return undefined
    // Empty would pass for "no policy", and most likely is a mistake.
    if (body.length === 0)
      throw badBody('The body is empty: it must be a JSON object, as {"ttl":"30m"} or {"ttl":null}.')
    return { bucket, policy: policyFrom(jsonFields(body, ['ttl']).get('ttl'), clock.wallMs()), w, timeoutMs }
  } catch (error) {
    // Nothing has been handed to the replica yet.
    throw problemFrom(error, { outcome: 'not-applied' })
  }
}

function policyFrom(ttl: unknown, wallMs: number): BucketPolicy {
  if (ttl === undefined || ttl === null) return NO_POLICY
  if (typeof ttl !== 'string') throw badBody('ttl must be a text such as "30m", or null for none.')
  return { ttlMs: ttlMsOf(ttl, wallMs, 'bad_body', ', or null for none') }
}

function bodyOfPolicy({ ttlMs }: BucketPolicy): BucketPolicyBody {
  return ttlMs === 0 ? {} : { ttl: formatDuration(ttlMs) }
}

/** Two segments stand before the bucket, as in `/v1/kv/{bucket}`. */
function targetOf(request: IncomingMessage): { readonly bucket: string; readonly query: string } {
  const { bucket, query } = keyPathOf(request.url ?? '')
  return { bucket: decodeBucket(bucket), query }
}

function badBody(detail: string): ProblemError {
  return new ProblemError('bad_body', detail, { outcome: 'not-applied' })
}
