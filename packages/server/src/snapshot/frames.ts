import { createHash } from 'node:crypto'
import { VALUE_BYTES_MAX_LIMIT } from '@grapevine/core'

/** What a snapshot is made of, in this order (docs/snapshot-format.md). */
export type FrameKind = 'manifest' | 'vectors' | 'entries' | 'end'

export interface Frame {
  readonly kind: FrameKind
  readonly payload: Buffer
}

/** A snapshot that is cut off, altered, of another format, or none at all. */
export class MalformedSnapshotError extends Error {
  override readonly name = 'MalformedSnapshotError'
}

export const FORMAT = 2
const WORDS = 'grapevine snapshot '
const FIRST_LINE: Buffer = Buffer.from(`${WORDS}${FORMAT}\n`)
/** As long as a first line of any format that may ever be. */
const FIRST_LINE_BYTES_MAX = 32
const HEAD_BYTES = 5
const SHA256_BYTES = 32
/** Entries that share a frame: little enough to check and to hold, enough to make the checksum cheap. */
export const FRAME_BYTES: number = 64 * 1024
/** The largest value that can be configured, with everything around it. A longer frame is no frame. */
const FRAME_BYTES_MAX: number = VALUE_BYTES_MAX_LIMIT + FRAME_BYTES

const LETTERS: Readonly<Record<FrameKind, number>> = { manifest: 0x4d, vectors: 0x56, entries: 0x45, end: 0x5a }
const KINDS: ReadonlyMap<number, FrameKind> = new Map([
  [LETTERS.manifest, 'manifest'],
  [LETTERS.vectors, 'vectors'],
  [LETTERS.entries, 'entries'],
  [LETTERS.end, 'end'],
])

/**
 * Puts frames around payloads. The checksum of a frame covers that of the frame before it, so whoever has checked a frame has
 * checked everything before it, and that nothing is missing, twice or out of place. The last one is that of the whole file.
 */
export class FrameWriter {
  #checksum = checksumOf([FIRST_LINE])

  begin(): Buffer {
    return FIRST_LINE
  }

  /** The bytes of one frame, in pieces. */
  frame(kind: FrameKind, payload: Uint8Array): readonly Uint8Array[] {
    const head = Buffer.allocUnsafe(HEAD_BYTES)
    head[0] = LETTERS[kind]
    head.writeUInt32BE(payload.length, 1)
    this.#checksum = checksumOf([this.#checksum, head, payload])
    return [head, payload, this.#checksum]
  }
}

/**
 * Reads frames from chunks of any size, each checked before it is given out. Whether more had to follow, its reader knows.
 * @throws {MalformedSnapshotError}
 */
export async function* readFrames(source: AsyncIterable<Uint8Array>): AsyncGenerator<Frame, void, void> {
  const bytes = new ByteReader(source)
  await checkFirstLine(bytes)
  let checksum = checksumOf([FIRST_LINE])
  for (let number = 1; ; number++) {
    const head = await bytes.takeOrEnd(HEAD_BYTES)
    if (head === undefined) return
    const kind = KINDS.get(head[0] ?? 0)
    const length = head.readUInt32BE(1)
    if (kind === undefined || length > FRAME_BYTES_MAX) throw altered(number)
    const payload = await bytes.take(length)
    checksum = checksumOf([checksum, head, payload])
    if (!checksum.equals(await bytes.take(SHA256_BYTES))) throw altered(number)
    yield { kind, payload }
  }
}

async function checkFirstLine(bytes: ByteReader): Promise<void> {
  const line = (await bytes.peek(FIRST_LINE_BYTES_MAX)).toString('latin1')
  const format = /^grapevine snapshot (\d+)\n/.exec(line)?.[1]
  if (format === undefined) {
    // A first line that is only cut off is one all the same.
    if (line !== '' && FIRST_LINE.toString().startsWith(line)) throw cutOff()
    throw new MalformedSnapshotError('this is no snapshot of Grapevine')
  }
  if (format !== `${FORMAT}`)
    throw new MalformedSnapshotError(
      `this is a snapshot of format ${format}, and only format ${FORMAT} can be read here`,
    )
  await bytes.take(FIRST_LINE.length)
}

function checksumOf(pieces: readonly Uint8Array[]): Buffer {
  const sha256 = createHash('sha256')
  for (const piece of pieces) sha256.update(piece)
  return sha256.digest()
}

function altered(number: number): MalformedSnapshotError {
  return new MalformedSnapshotError(`the snapshot is damaged: frame ${number} fails its checksum`)
}

function cutOff(): MalformedSnapshotError {
  return new MalformedSnapshotError('the snapshot is cut off')
}

/** Takes so many bytes from chunks of any size. Nothing is allocated for what has only been announced. */
class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array>
  #held: Buffer[] = []
  #bytes = 0

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#chunks = source[Symbol.asyncIterator]()
  }

  async take(length: number): Promise<Buffer> {
    const taken = await this.takeOrEnd(length)
    if (taken === undefined && length > 0) throw cutOff()
    return taken ?? Buffer.alloc(0)
  }

  /** `undefined` when nothing at all is left. */
  async takeOrEnd(length: number): Promise<Buffer | undefined> {
    const taken = await this.peek(length)
    if (taken.length === 0 && length > 0) return undefined
    if (taken.length < length) throw cutOff()
    const rest = this.#joined().subarray(length)
    this.#held = [rest]
    this.#bytes = rest.length
    return taken
  }

  /** As many as there are. */
  async peek(length: number): Promise<Buffer> {
    while (this.#bytes < length) {
      const { done, value } = await this.#chunks.next()
      if (done === true) break
      this.#held.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength))
      this.#bytes += value.length
    }
    return this.#joined().subarray(0, length)
  }

  /** What is held, in one piece: joined once for each frame and not for each chunk of a large one. */
  #joined(): Buffer {
    const [only] = this.#held
    if (this.#held.length === 1 && only !== undefined) return only
    const joined = Buffer.concat(this.#held, this.#bytes)
    this.#held = [joined]
    return joined
  }
}
