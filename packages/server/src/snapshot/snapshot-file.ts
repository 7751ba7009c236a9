import { createReadStream } from 'node:fs'
import { partitionOf, PARTITIONS, VersionVector, type Entry, type Hash, type Partition } from '@grapevine/core'
import { FatalError, type SnapshotSource } from '@grapevine/replica'
import { MalformedSnapshotError } from './frames.ts'
import type { PartitionVectors, SnapshotManifest } from './manifest.ts'
import { readSnapshot } from './read-snapshot.ts'

/**
 * Reads a whole snapshot, and gives it to who is to begin a cluster with it (frontier.md R18). What comes of it is all or
 * nothing, so everything is checked before: also that its vectors claim what it holds, and hold what they claim.
 * @throws {FatalError} `bad_snapshot`
 */
export async function openSnapshotFile(path: string, hash: Hash): Promise<SnapshotSource> {
  let manifest: SnapshotManifest | undefined
  const vectors: PartitionVectors[number][] = []
  const seen = new Map<Partition, VersionVector>()
  let isWhole = false
  for await (const part of readParts(path, hash)) {
    if (part.kind === 'manifest') manifest = part.manifest
    else if (part.kind === 'vectors') {
      vectors.push(...part.vectors)
      for (const [partition, rows] of part.vectors) seen.set(partition, VersionVector.of(rows))
    } else if (part.kind === 'entries') {
      const folded = new Set(manifest?.folded)
      for (const entry of part.entries)
        if (!folded.has(entry.dot.writer) && seen.get(partitionOf(entry.keyHash))?.covers(entry.dot) !== true)
          throw badSnapshot(path, 'its vectors do not cover what it holds')
    } else isWhole = part.end.isWhole
  }
  if (manifest === undefined || seen.size !== PARTITIONS || vectors.length !== PARTITIONS)
    throw badSnapshot(path, 'it does not hold one vector for each partition')
  if (!isWhole)
    throw badSnapshot(
      path,
      'the node that it is of had lost rows that its vectors claim. Found an empty cluster, and take it in there with ' +
        'grapevine snapshot restore FILE --as-new',
    )
  const { clusterId, nodeId, promise, clock, frontier, folded, root } = manifest
  const entries = (): AsyncGenerator<readonly Entry[]> => entriesOf(path, hash)
  return { path, clusterId, nodeId, promise, clock, frontier, folded, root, vectors, entries }
}

async function* entriesOf(path: string, hash: Hash): AsyncGenerator<readonly Entry[], void, void> {
  for await (const part of readParts(path, hash)) if (part.kind === 'entries') yield part.entries
}

async function* readParts(path: string, hash: Hash): ReturnType<typeof readSnapshot> {
  try {
    yield* readSnapshot(createReadStream(path), hash)
  } catch (error) {
    if (error instanceof MalformedSnapshotError) throw badSnapshot(path, error.message)
    if (error instanceof Error && 'syscall' in error) throw badSnapshot(path, error.message)
    throw error
  }
}

function badSnapshot(path: string, why: string): FatalError {
  return new FatalError('bad_snapshot', `No cluster can begin from ${path}: ${why}. Nothing was founded.`)
}
