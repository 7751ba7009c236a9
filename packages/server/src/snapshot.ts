import { createHash } from 'node:crypto'
import { openEnvelope, type Entry, type Hash } from '@grapevine/core'

/** What the snapshot says of itself, on its second line. */
export interface SnapshotManifest {
  readonly clusterId: string
  readonly nodeId: string
  readonly name: string
  /** RFC 3339. */
  readonly takenAt: string
}

/** What was in it, said at its end, since nobody knows before. */
export interface SnapshotEnd {
  readonly entries: number
  /** Rows that the node could not read, and that are missing here. */
  readonly corrupt: number
}

const FIRST_LINE = 'grapevine snapshot 1\n'
const COUNT_BYTES = 8
const SHA256_BYTES = 32

/** Makes the bytes of a snapshot, piece by piece (docs/snapshot-format.md). */
export class SnapshotWriter {
  readonly #sha256 = createHash('sha256')
  #entries = 0

  head(manifest: SnapshotManifest): Uint8Array {
    return this.#hashed(Buffer.from(`${FIRST_LINE}${JSON.stringify(manifest)}\n`))
  }

  entry({ envelope }: Entry): Uint8Array {
    this.#entries++
    const bytes = Buffer.allocUnsafe(4 + envelope.length)
    bytes.writeUInt32BE(envelope.length)
    bytes.set(envelope, 4)
    return this.#hashed(bytes)
  }

  end(corrupt: number): Uint8Array {
    const bytes = Buffer.alloc(4 + 2 * COUNT_BYTES)
    bytes.writeBigUInt64BE(BigInt(this.#entries), 4)
    bytes.writeBigUInt64BE(BigInt(corrupt), 4 + COUNT_BYTES)
    this.#hashed(bytes)
    return Buffer.concat([bytes, this.#sha256.digest()])
  }

  #hashed(bytes: Buffer): Uint8Array {
    this.#sha256.update(bytes)
    return bytes
  }
}

/** A snapshot that is cut off, altered, or none at all. */
export class MalformedSnapshotError extends Error {
  override readonly name = 'MalformedSnapshotError'
}

export interface SnapshotVisitor {
  manifest(manifest: Readonly<Record<string, unknown>>): void
  /** Entries come in order of their addresses. Nothing is proven about the whole before `readSnapshot` resolves. */
  entry(entry: Entry): void | Promise<void>
}

/**
 * Reads a snapshot and checks all of it.
 * @throws {MalformedSnapshotError}
 */
export async function readSnapshot(
  source: AsyncIterable<Uint8Array>,
  visitor: SnapshotVisitor,
  hash: Hash,
): Promise<SnapshotEnd> {
  const bytes = new ByteReader(source)
  if ((await bytes.line()) !== FIRST_LINE.trimEnd()) throw new MalformedSnapshotError('this is no snapshot of format 1')
  visitor.manifest(manifestOf(await bytes.line()))
  for (let entries = 0; ; entries++) {
    const length = (await bytes.take(4)).readUInt32BE()
    if (length === 0) {
      const counts = await bytes.take(2 * COUNT_BYTES)
      const expected = bytes.digest()
      const found = await bytes.take(SHA256_BYTES)
      if (!found.equals(expected)) throw new MalformedSnapshotError('the snapshot fails its checksum')
      if (counts.readBigUInt64BE() !== BigInt(entries)) throw new MalformedSnapshotError('the snapshot lacks entries')
      await bytes.end()
      return { entries, corrupt: Number(counts.readBigUInt64BE(COUNT_BYTES)) }
    }
    if (length > ENTRY_BYTES_MAX) throw new MalformedSnapshotError(`entry ${entries} is too long`)
    // Entries keep views of their envelope, and this one may be a view of a chunk that holds many.
    const entry = openEnvelope(Uint8Array.from(await bytes.take(length)), hash)
    if (entry === undefined) throw new MalformedSnapshotError(`entry ${entries} fails its checksum`)
    await visitor.entry(entry)
  }
}

/** The largest value that can be configured, with everything around it. */
const ENTRY_BYTES_MAX = 16 * 1024 * 1024 + 4_096
const LINE_BYTES_MAX = 64 * 1024

function manifestOf(line: string): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(line)
    if (typeof parsed === 'object' && parsed !== null) return Object.fromEntries(Object.entries(parsed))
  } catch {
    // Said below.
  }
  throw new MalformedSnapshotError('the manifest is not readable')
}

/** Takes so many bytes from chunks of any size, and hashes what was taken. */
class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array>
  readonly #sha256 = createHash('sha256')
  #held: Buffer = Buffer.alloc(0)

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#chunks = source[Symbol.asyncIterator]()
  }

  async take(length: number): Promise<Buffer> {
    while (this.#held.length < length)
      if (!(await this.#more())) throw new MalformedSnapshotError('the snapshot is cut off')
    const taken = this.#held.subarray(0, length)
    this.#held = this.#held.subarray(length)
    this.#sha256.update(taken)
    return taken
  }

  async line(): Promise<string> {
    for (let from = 0; ;) {
      const end = this.#held.indexOf('\n', from)
      if (end >= 0) return (await this.take(end + 1)).toString('utf8', 0, end)
      from = this.#held.length
      if (from > LINE_BYTES_MAX || !(await this.#more())) throw new MalformedSnapshotError('this is no snapshot')
    }
  }

  /** Of everything that was taken so far. */
  digest(): Buffer {
    return this.#sha256.copy().digest()
  }

  async end(): Promise<void> {
    if (this.#held.length > 0 || (await this.#more())) throw new MalformedSnapshotError('bytes follow the snapshot')
  }

  async #more(): Promise<boolean> {
    const { done, value } = await this.#chunks.next()
    if (done === true) return false
    this.#held =
      this.#held.length === 0
        ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
        : Buffer.concat([this.#held, value])
    return value.length > 0 || this.#more()
  }
}
