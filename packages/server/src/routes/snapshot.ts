import type { ServerResponse } from 'node:http'
import { HEADERS, OTHER_MEDIA_TYPES } from '@grapevine/contract'
import type { FastifyInstance } from 'fastify'
import type { ServerContext } from '../context.ts'
import { route } from '../http/route.ts'
import { writeAndWait } from '../http/slow-reader.ts'
import { Turns } from '../http/turns.ts'
import { SnapshotWriter } from '../snapshot/snapshot-writer.ts'
import { takeNoQuery } from './cluster.ts'

/** All addresses begin with a bucket's name, and those with a letter, a digit or, the cluster's own, an underscore. */
const EVERYTHING = { from: '', below: '\u00ff' }

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
    const writer = new SnapshotWriter()
    const takenAt = new Date(clock.wallMs()).toISOString()
    response.writeHead(200, {
      'content-type': OTHER_MEDIA_TYPES.snapshot,
      'content-disposition': `attachment; filename="${name}-${takenAt.slice(0, 19).replaceAll(':', '')}.snapshot"`,
      'cache-control': 'no-store',
      [HEADERS.servedBy]: name,
    })
    const { values, tombstones, bytes } = totals
    const head = writer.head(
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
    )
    if (!(await writeAndWait(response, head))) return
    let corrupt = 0
    const turns = Turns.leisurely()
    for await (const row of view.scan(EVERYTHING)) {
      if ('corrupt' in row) corrupt++
      else {
        const frame = writer.entry(row)
        if (frame !== undefined && !(await writeAndWait(response, frame))) return
      }
      if (turns.due) await turns.give()
    }
    response.end(writer.end(corrupt))
    if (corrupt > 0) log.warn('snapshot-incomplete', { corrupt })
  } finally {
    await view.close()
    release()
  }
}
