import type { IncomingMessage } from 'node:http'
import { isClusterId, WriteError, isBucketName } from '@grapevine/core'
import type { FastifyInstance } from 'fastify'
import type { ServerContext } from '../context.ts'
import { refuse } from '../http/body.ts'
import { letTakeLong } from '../http/long-request.ts'
import { ProblemError, problemFrom, type Trouble } from '../http/problem.ts'
import { badQuery, parseQuery, queryOf, yesOrNo } from '../http/query.ts'
import { route, sendJson } from '../http/route.ts'
import { MalformedSnapshotError } from '../snapshot/frames.ts'
import { ForeignSnapshotError, restoreSnapshot, type RestoreRequest } from '../snapshot/restore.ts'
import { RestoreTally } from '../snapshot/restore-tally.ts'
import { systemTimers } from '../system-ports.ts'

const PATH = '/v1/admin/restore'
const PARAMETERS = ['asNew', 'prefix', 'bucket', 'absent', 'quarantined', 'cluster']

/** `POST /v1/admin/restore`: takes a snapshot into the running cluster (frontier.md R17). */
export function registerRestoreRoute(app: FastifyInstance, context: ServerContext): void {
  route(app, context, 'POST', PATH, async (request, response) => {
    const restore = restoreRequestIn(queryOf(request.url ?? ''))
    letTakeLong(request)
    const tally = new RestoreTally()
    try {
      const body = await restoreSnapshot(chunksOf(request), restore, tally, { ...context, timers: systemTimers })
      context.log.info('restored', { ...tally.counts, from: body.snapshot })
      sendJson(response, body)
    } catch (error) {
      context.log.warn('restore-ended-early', { ...tally.counts, error: String(error) })
      if (request.destroyed || response.destroyed) return
      const problem = problemOfRestore(error, tally)
      if (request.readableEnded) throw problem
      refuse(request, response, closing(problem))
    }
  })
}

export function isRestore({ url }: IncomingMessage): boolean {
  return url?.split('?', 1)[0] === PATH
}

/** Breaking off must not close the connection: the answer would be lost with it. */
function chunksOf(request: IncomingMessage): AsyncIterable<Uint8Array> {
  return request.iterator({ destroyOnReturn: false })
}

function restoreRequestIn(text: string): RestoreRequest {
  const query = parseQuery(text, PARAMETERS)
  const asNew = yesOrNo(query, 'asNew')
  const bucket = query.get('bucket') ?? ''
  const ancestor = query.get('cluster')
  for (const name of ['prefix', 'bucket', 'absent', 'quarantined'])
    if (query.has(name) && !asNew)
      throw badQuery(`${name} says what is written anew, so it needs asNew=1. A snapshot is taken in as a whole.`)
  if (bucket !== '' && !isBucketName(bucket)) throw badQuery('bucket is no name of a bucket.')
  if (ancestor !== undefined && !isClusterId(ancestor)) throw badQuery('cluster must be the id of a cluster.')
  return {
    anew: asNew ? (yesOrNo(query, 'quarantined') ? 'quarantined' : 'all') : 'nothing',
    bucket,
    prefix: query.get('prefix') ?? '',
    onlyAbsent: yesOrNo(query, 'absent'),
    ancestor,
  }
}

/** What went wrong, and how far it had come: to take the same in again does no harm. */
function problemOfRestore(error: unknown, tally: RestoreTally): ProblemError {
  const outcome = tally.changed === 0 ? 'not-applied' : 'unknown'
  const far =
    tally.changed === 0
      ? 'Nothing was changed.'
      : `${tally.changed} entries before that were taken in and stay. Restoring the same again goes on where this ended.`
  if (error instanceof MalformedSnapshotError)
    return new ProblemError('bad_body', `${sentence(error.message)} ${far}`, { outcome, cause: error })
  if (error instanceof ForeignSnapshotError)
    return new ProblemError(
      'wrong_cluster',
      `${sentence(error.message)} Its entries can be written anew with asNew=1. If this cluster was begun from a snapshot of ` +
        `that one, say cluster=${error.clusterId}.`,
      { outcome, cause: error },
    )
  const problem = problemFrom(error, { outcome: 'unknown' })
  const isCertain = error instanceof WriteError && error.outcome === 'not-applied'
  return new ProblemError(problem.code, `${problem.message} ${far}`, {
    ...problem.options,
    outcome: isCertain ? outcome : 'unknown',
    retryable: tally.changed === 0 && isCertain,
  })
}

/** Before the whole request was read the connection is of no further use. */
function closing({ code, message, options }: ProblemError): Trouble {
  return { code, message, options: { ...options, headers: { ...options.headers, connection: 'close' } } }
}

function sentence(clause: string): string {
  return `${clause.charAt(0).toUpperCase()}${clause.slice(1)}.`
}
