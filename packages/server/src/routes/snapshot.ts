import type { ServerResponse } from 'node:http'
import { HEADERS, MEDIA_TYPES } from '@grapevine/contract'
import type { FastifyInstance } from 'fastify'
import type { ServerContext } from '../context.ts'
import { route } from '../http/route.ts'
import { writeAndWait } from '../http/slow-reader.ts'
import { Turns } from '../http/turns.ts'
import { SnapshotWriter } from '../snapshot.ts'
import { takeNoQuery } from './cluster.ts'

const CHUNK_BYTES = 64 * 1024
/** All addresses begin with a bucket's name, and those with a letter or a digit. */
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
  { clock, loaded, replica, streams }: ServerContext,
): Promise<void> {
  const { name } = loaded.config
  const { cluster, replica: nodeId } = replica.status().identity
  const writer = new SnapshotWriter()
  const takenAt = new Date(clock.wallMs()).toISOString()
  const view = replica.view()
  const release = streams.open(() => response.destroy())
  try {
    response.writeHead(200, {
      'content-type': MEDIA_TYPES.snapshot,
      'content-disposition': `attachment; filename="${name}-${takenAt.slice(0, 19).replaceAll(':', '')}.snapshot"`,
      'cache-control': 'no-store',
      [HEADERS.servedBy]: name,
    })
    let chunks: Uint8Array[] = [writer.head({ clusterId: cluster, nodeId, name, takenAt })]
    let bytes = 0
    let corrupt = 0
    const turns = new Turns()
    for await (const row of view.scan(EVERYTHING)) {
      if ('corrupt' in row) corrupt++
      else {
        const piece = writer.entry(row)
        chunks.push(piece)
        bytes += piece.length
      }
      if (bytes >= CHUNK_BYTES) {
        if (!(await writeAndWait(response, Buffer.concat(chunks)))) return
        chunks = []
        bytes = 0
      }
      if (turns.due) await turns.give()
    }
    chunks.push(writer.end(corrupt))
    response.end(Buffer.concat(chunks))
  } finally {
    await view.close()
    release()
  }
}
