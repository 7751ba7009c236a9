import type { Entry } from '@grapevine/core'
import { FRAME_BYTES, FrameWriter } from './frames.ts'
import { encodeEnd, encodeManifest, encodeVectors, type PartitionVectors, type SnapshotManifest } from './manifest.ts'

const LENGTH_BYTES = 4
/** Partitions whose vectors share a frame. */
const VECTORS_PER_FRAME = 32

/** Makes the bytes of a snapshot, piece by piece (docs/snapshot-format.md). */
export class SnapshotWriter {
  readonly #frames = new FrameWriter()
  #pending: Uint8Array[] = []
  #pendingBytes = 0
  #entries = 0

  head(manifest: SnapshotManifest, vectors: PartitionVectors): Buffer {
    const pieces: Uint8Array[] = [this.#frames.begin(), ...this.#frames.frame('manifest', encodeManifest(manifest))]
    for (let from = 0; from < vectors.length; from += VECTORS_PER_FRAME)
      pieces.push(...this.#frames.frame('vectors', encodeVectors(vectors.slice(from, from + VECTORS_PER_FRAME))))
    return Buffer.concat(pieces)
  }

  /** The bytes that are ready, if any: entries wait until there are enough of them for a frame, and a large one has its own. */
  entry({ envelope }: Entry): Buffer | undefined {
    const bytes = LENGTH_BYTES + envelope.length
    const full = this.#pendingBytes > 0 && this.#pendingBytes + bytes > FRAME_BYTES ? [this.#flush()] : []
    const length = Buffer.allocUnsafe(LENGTH_BYTES)
    length.writeUInt32BE(envelope.length)
    this.#pending.push(length, envelope)
    this.#pendingBytes += bytes
    this.#entries++
    if (this.#pendingBytes >= FRAME_BYTES) full.push(this.#flush())
    return full.length === 0 ? undefined : Buffer.concat(full)
  }

  end(corrupt: number): Buffer {
    const last = this.#pendingBytes === 0 ? [] : [this.#flush()]
    return Buffer.concat([...last, ...this.#frames.frame('end', encodeEnd({ entries: this.#entries, corrupt }))])
  }

  #flush(): Buffer {
    const payload = Buffer.concat(this.#pending, this.#pendingBytes)
    this.#pending = []
    this.#pendingBytes = 0
    return Buffer.concat(this.#frames.frame('entries', payload))
  }
}
