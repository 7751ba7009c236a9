import type { Entry } from '@grapevine/core'
import type { ImportFate, SnapshotMoment, SnapshotSource } from '../src/index.ts'
import type { SmallCluster } from './small-cluster.ts'

/** A moment of a replica with all of its rows. */
export interface Snapshot extends SnapshotMoment {
  readonly entries: readonly Entry[]
}

export async function rowsOf(moment: SnapshotMoment): Promise<Snapshot> {
  const entries: Entry[] = []
  for await (const row of moment.view.scan({ from: '', below: '\u00ff' })) if (!('corrupt' in row)) entries.push(row)
  await moment.view.close()
  return { ...moment, entries }
}

export async function snapshotOf(cluster: SmallCluster, name: string): Promise<Snapshot> {
  return cluster.finish(cluster.node(name).moment().then(rowsOf))
}

/** How many entries met which fate. */
export async function importInto(
  cluster: SmallCluster,
  name: string,
  entries: readonly Entry[],
): Promise<Partial<Record<ImportFate, number>>> {
  const fates = await cluster.finish(cluster.node(name).importEntries(entries))
  const counts: Partial<Record<ImportFate, number>> = {}
  for (const fate of fates) counts[fate] = (counts[fate] ?? 0) + 1
  return counts
}

/** To begin a cluster from, in handfuls of a few entries. */
export function sourceOf({ identity, vectors, entries, ...moment }: Snapshot): SnapshotSource {
  return {
    ...moment,
    path: 'a snapshot',
    clusterId: identity?.cluster ?? '',
    nodeId: identity?.replica ?? '',
    vectors: vectors.map((rows, partition) => [partition, rows]),
    async *entries() {
      for (let from = 0; from < entries.length; from += 7) {
        await Promise.resolve()
        yield entries.slice(from, from + 7)
      }
    },
  }
}
