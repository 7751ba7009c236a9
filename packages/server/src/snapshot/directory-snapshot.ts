import { StoreError, type Clock, type Hash } from '@grapevine/core'
import { HashTree } from '@grapevine/merkle'
import { openStore } from '@grapevine/storage'
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { snapshotPieces } from './snapshot-pieces.ts'

const MIB = 1024 ** 2

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
    const view = store.view()
    try {
      yield* snapshotPieces(
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
        view,
      )
    } finally {
      await view.close()
    }
  } finally {
    await store.close()
  }
}
