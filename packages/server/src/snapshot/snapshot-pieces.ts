import type { StoreView } from '@grapevine/core'
import { Turns } from '../http/turns.ts'
import type { PartitionVectors, SnapshotManifest } from './manifest.ts'
import { SnapshotWriter } from './snapshot-writer.ts'

/** All addresses begin with a bucket's name, and those with a letter, a digit or, the cluster's own, an underscore. */
const EVERYTHING = { from: '', below: '\u00ff' }

/**
 * A snapshot, piece by piece, of a view that is of the moment which the manifest tells of. What cannot be read is left out and
 * counted, in the snapshot as well.
 * @param onCorrupt told of their number, when there are any and all else was given out.
 */
export async function* snapshotPieces(
  manifest: SnapshotManifest,
  vectors: PartitionVectors,
  view: StoreView,
  onCorrupt: (rows: number) => void = () => {},
): AsyncGenerator<Buffer, void, void> {
  const writer = new SnapshotWriter()
  yield writer.head(manifest, vectors)
  let corrupt = 0
  const turns = Turns.leisurely()
  for await (const row of view.scan(EVERYTHING)) {
    if ('corrupt' in row) corrupt++
    else {
      const frames = writer.entry(row)
      if (frames !== undefined) yield frames
    }
    if (turns.due) await turns.give()
  }
  yield writer.end(corrupt)
  if (corrupt > 0) onCorrupt(corrupt)
}
