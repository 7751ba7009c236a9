import { leafOf, LEAVES, openEnvelope, type Entry, type Hash } from '@grapevine/core'
import { addDigest, entryDigest, HashTree, SUM_BYTES } from '@grapevine/merkle'
import { MalformedSnapshotError, readFrames } from './frames.ts'
import {
  decodeEnd,
  decodeManifest,
  decodeVectors,
  type PartitionVectors,
  type SnapshotEnd,
  type SnapshotManifest,
} from './manifest.ts'

/** One checked piece of a snapshot. The manifest is the first, the end the last; vectors come before entries. */
export type SnapshotPart =
  | { readonly kind: 'manifest'; readonly manifest: SnapshotManifest }
  | { readonly kind: 'vectors'; readonly vectors: PartitionVectors }
  /** In order of their addresses, each address once. */
  | { readonly kind: 'entries'; readonly entries: readonly Entry[] }
  | { readonly kind: 'end'; readonly end: SnapshotSummary }

export interface SnapshotSummary extends SnapshotEnd {
  /**
   * Whether the entries hash to the root that the node had. When not, rows are missing that the node knew of: it could not read them,
   * or had lost them without knowing. What is there is good.
   */
  readonly isWhole: boolean
}

/**
 * Reads a snapshot and checks all of it. Each part is proven when it comes, with everything before it; that nothing is missing
 * is proven by the end.
 * @throws {MalformedSnapshotError}
 */
export async function* readSnapshot(
  source: AsyncIterable<Uint8Array>,
  hash: Hash,
): AsyncGenerator<SnapshotPart, void, void> {
  const sums = new RootOf(hash)
  let manifest: SnapshotManifest | undefined
  let entries = 0
  let last = ''
  let hasEnded = false
  for await (const { kind, payload } of readFrames(source)) {
    if (hasEnded) throw new MalformedSnapshotError('bytes follow the end of the snapshot')
    if ((manifest === undefined) !== (kind === 'manifest')) throw outOfPlace()
    switch (kind) {
      case 'manifest':
        manifest = decodeManifest(payload)
        yield { kind, manifest }
        break
      case 'vectors':
        if (entries > 0) throw outOfPlace()
        yield { kind, vectors: decodeVectors(payload) }
        break
      case 'entries': {
        const read = entriesIn(payload, hash, entries)
        for (const entry of read) {
          if (entry.address <= last) throw new MalformedSnapshotError(`entry ${entries} is out of order`)
          last = entry.address
          entries++
          sums.add(entry)
        }
        yield { kind, entries: read }
        break
      }
      case 'end': {
        const end = decodeEnd(payload)
        if (end.entries !== entries) throw new MalformedSnapshotError('the snapshot lacks entries')
        hasEnded = true
        yield { kind, end: { ...end, isWhole: end.corrupt === 0 && sums.root() === manifest?.root } }
      }
    }
  }
  if (!hasEnded) throw new MalformedSnapshotError('the snapshot is cut off')
}

function entriesIn(payload: Buffer, hash: Hash, before: number): Entry[] {
  const entries: Entry[] = []
  for (let at = 0; at < payload.length;) {
    const number = before + entries.length
    const end = at + 4 > payload.length ? Number.NaN : at + 4 + payload.readUInt32BE(at)
    // Entries keep views of their envelope, and this one may be a view of a chunk that holds much more.
    const entry = end <= payload.length ? openEnvelope(Uint8Array.from(payload.subarray(at + 4, end)), hash) : undefined
    if (entry === undefined) throw new MalformedSnapshotError(`entry ${number} fails its checksum`)
    entries.push(entry)
    at = end
  }
  return entries
}

/** The root of the hash tree over entries that come one by one. The tree itself is made when it is asked for. */
class RootOf {
  readonly #hash: Hash
  readonly #sums = new Uint8Array(LEAVES * SUM_BYTES)

  constructor(hash: Hash) {
    this.#hash = hash
  }

  add(entry: Entry): void {
    const at = leafOf(entry.keyHash) * SUM_BYTES
    addDigest(this.#sums.subarray(at, at + SUM_BYTES), entryDigest(entry, this.#hash))
  }

  root(): string {
    return new HashTree(this.#hash, this.#sums).root()
  }
}

function outOfPlace(): MalformedSnapshotError {
  return new MalformedSnapshotError('the parts of the snapshot are out of order')
}
