import { PARTITIONS } from '@grapevine/core'
import { SnapshotWriter, type SnapshotManifest } from '../src/index.ts'
import type { FakeReplica } from './fake-replica.ts'

/** What `GET /v1/admin/snapshot` would send of a replica, but for the changes. */
export async function bytesOf(
  replica: FakeReplica,
  changes: Partial<SnapshotManifest> = {},
  { partitions = PARTITIONS, corrupt = 0 } = {},
): Promise<Buffer> {
  const { view, vectors, identity, totals, ...moment } = await replica.moment()
  const writer = new SnapshotWriter()
  const manifest = {
    ...moment,
    ...totals,
    clusterId: identity?.cluster ?? '',
    nodeId: identity?.replica ?? '',
    name: 'n1',
    takenAt: '2026-01-01T00:00:00.000Z',
    ...changes,
  }
  const pieces = [
    writer.head(
      manifest,
      vectors.slice(0, partitions).map((rows, partition) => [partition, rows]),
    ),
  ]
  for await (const row of view.scan({ from: '', below: '\u00ff' })) {
    const frame = 'corrupt' in row ? undefined : writer.entry(row)
    if (frame !== undefined) pieces.push(frame)
  }
  return Buffer.concat([...pieces, writer.end(corrupt)])
}
