import { StoreError, type Clock, type Hash } from '@grapevine/core'
import { HashTree } from '@grapevine/merkle'
import { openStore } from '@grapevine/storage'
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { SnapshotWriter } from './snapshot-writer.ts'

const MIB = 1024 ** 2
/** All addresses begin with a bucket's name, and those with a letter, a digit or, the cluster's own, an underscore. */
const EVERYTHING = { from: '', below: '\u00ff' }

/**
 * A snapshot of a data directory that no process uses, as of one that was set aside. What is in it is no replica's any more: it is
 * a source to import from, and nothing else (frontier.md R16, R17).
 * @throws {StoreError} when there is no such directory, when it is in use, or damaged.
 */
export async function* snapshotOfDirectory(
  directory: string,
  { hash, clock }: { readonly hash: Hash; readonly clock: Pick<Clock, 'wallMs'> },
): AsyncGenerator<Uint8Array, void, void> {
  // Opening an empty directory would make a store of it.
  await access(join(directory, 'identity.json')).catch((cause: unknown) => {
    throw new StoreError('data_missing', `${directory} is not the data directory of a node`, { cause })
  })
  const store = await openStore({ directory, hash, writeBufferBytes: 4 * MIB, cacheBytes: 16 * MIB })
  try {
    const { identity, frontier, reserve, folded, totals, vectors, sums } = store.state
    if (identity === undefined) throw new StoreError('data_missing', `${directory} has never been that of a member`)
    const { values, tombstones, bytes } = totals
    const writer = new SnapshotWriter()
    yield writer.head(
      {
        clusterId: identity.cluster,
        nodeId: identity.replica,
        name: identity.name,
        takenAt: new Date(clock.wallMs()).toISOString(),
        // A directory that was rolled back may have promised less than its replica, and no frontier is above any promise.
        promise: frontier,
        clock: reserve,
        frontier,
        folded,
        root: new HashTree(hash, sums).root(),
        values,
        tombstones,
        bytes,
      },
      vectors.map((vector, partition) => [partition, vector.rows()]),
    )
    let corrupt = 0
    const view = store.view()
    try {
      for await (const row of view.scan(EVERYTHING)) {
        if ('corrupt' in row) corrupt++
        else {
          const frame = writer.entry(row)
          if (frame !== undefined) yield frame
        }
      }
    } finally {
      await view.close()
    }
    yield writer.end(corrupt)
  } finally {
    await store.close()
  }
}
