import type { ReadyBody } from '@grapevine/contract'
import type { FastifyInstance } from 'fastify'
import type { ServerContext } from '../context.ts'
import { ProblemError } from '../http/problem.ts'
import { parseQuery, queryOf, yesOrNo } from '../http/query.ts'
import { routeGet, sendJson, unbuilt } from '../http/route.ts'
import { takeNoQuery } from './cluster.ts'

/** For whatever watches the process: `/livez`, `/readyz`, `/metrics`; and the pages that are to come. */
export function registerHealthRoutes(app: FastifyInstance, context: ServerContext): void {
  const { metrics, replica } = context

  // Whoever can answer this is alive. Nothing else may make it fail, or a full disk would be met with a restart.
  routeGet(app, context, '/livez', (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' })
    response.end('ok\n')
  })

  routeGet(app, context, '/readyz', (request, response) => {
    const verbose = yesOrNo(parseQuery(queryOf(request.url ?? ''), ['verbose']), 'verbose')
    const body = readiness(context)
    if (!body.ready) {
      if (!verbose)
        throw new ProblemError(
          context.draining() ? 'draining' : body.reason?.startsWith('cloned') === true ? 'cloned' : 'not_ready',
          `The node is not ready: ${body.reason ?? 'it is starting'}.`,
        )
      sendJson(response, body, {}, 503)
    } else if (verbose) sendJson(response, body)
    else {
      response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' })
      response.end('ready\n')
    }
  })

  routeGet(app, context, '/metrics', async (request, response) => {
    takeNoQuery(request)
    const text = await metrics.expose(replica)
    response.writeHead(200, { 'content-type': metrics.contentType, 'cache-control': 'no-store' })
    response.end(text)
  })

  routeGet(app, context, '/ui', unbuilt('The dashboard'))
  routeGet(app, context, '/ui/*', unbuilt('The dashboard'))
}

const DISK_FULL = 'the disk is nearly full: the node only reads until there is more space'

function readiness({ draining, replica }: ServerContext): ReadyBody {
  const { ready, reason, joined, disk } = replica.status()
  // Ready all the same: it answers reads, and says of each write that it has no room for it.
  const writable = ready && !disk.isReadOnly && !draining()
  const space = { freeBytes: disk.freeBytes ?? null, reserveBytes: disk.reserveBytes }
  if (draining()) return { ready: false, joined, writable, disk: space, reason: 'it is stopping' }
  if (!ready) return { ready, joined, writable, disk: space, reason: reason ?? 'it is starting' }
  return writable
    ? { ready, joined, writable, disk: space }
    : { ready, joined, writable, disk: space, reason: DISK_FULL }
}
