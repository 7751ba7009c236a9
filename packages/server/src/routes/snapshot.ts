import type { ServerResponse } from 'node:http'
import { HEADERS, OTHER_MEDIA_TYPES } from '@grapevine/contract'
import type { FastifyInstance } from 'fastify'
import type { ServerContext } from '../context.ts'
import { route } from '../http/route.ts'
import { writeAndWait } from '../http/slow-reader.ts'
import { snapshotPieces } from '../snapshot/snapshot-pieces.ts'
import { takeNoQuery } from './cluster.ts'

/** `GET /v1/admin/snapshot`: all entries of one moment, tombstones included, checked to the last byte. */
export function registerSnapshotRoute(app: FastifyInstance, context: ServerContext): void {
  route(app, context, 'GET', '/v1/admin/snapshot', async (request, response) => {
    takeNoQuery(request)
    await sendSnapshot(response, context)
  })
}

async function sendSnapshot(
  response: ServerResponse,
  { clock, loaded, log, replica, streams }: ServerContext,
): Promise<void> {
  const { name } = loaded.config
  const { identity, vectors, totals, view, ...moment } = await replica.moment()
  const release = streams.open(() => response.destroy())
  try {
    const takenAt = new Date(clock.wallMs()).toISOString()
    response.writeHead(200, {
      'content-type': OTHER_MEDIA_TYPES.snapshot,
      'content-disposition': `attachment; filename="${name}-${takenAt.slice(0, 19).replaceAll(':', '')}.snapshot"`,
      'cache-control': 'no-store',
      [HEADERS.servedBy]: name,
    })
    const { values, tombstones, bytes } = totals
    const pieces = snapshotPieces(
      {
        ...moment,
        clusterId: identity?.cluster ?? '',
        nodeId: identity?.replica ?? '',
        name,
        takenAt,
        values,
        tombstones,
        bytes,
      },
      vectors.map((rows, partition) => [partition, rows]),
      view,
      (corrupt) => log.warn('snapshot-incomplete', { corrupt }),
    )
    for await (const piece of pieces) if (!(await writeAndWait(response, piece))) return
    response.end()
  } finally {
    await view.close()
    release()
  }
}
