import { byteStringOf, readHex, startsWithByteString, writeByteString, writeHex } from '../bytes/latin1.ts'
import { PARTITIONS } from '../placement/partition.ts'
import type { Hash } from '../ports.ts'
import { readUint16, readUint48, writeUint16, writeUint48 } from '../record/envelope.ts'
import { SEQ_MAX, type WriterId } from '../version/version.ts'
import type { WatchPosition } from './watch-position.ts'

/**
 * The most that a position takes, 8 KiB as base64url: half of what a request may have for its head. A small cluster
 * needs one or two: three writers, 256 partitions, a byte each.
 */
export const WATCH_POSITION_BYTES_MAX = 6_144

const FORMAT = 1
const CHECK_BYTES = 4
/** Format, cluster, frontier, expiries, folded, size of a group. */
const HEAD_BYTES = 1 + 16 + 8 + 6 + 8 + 1
const HALVINGS_MAX = 8

/**
 * A position as bytes (docs/format.md). When it would be too long, partitions are taken together, two, four … all of them, and
 * a writer is claimed as far as it was seen in each of them; and in the end the writers with the least claims are left out.
 * That claims less than was seen, never more.
 */
export function encodeWatchPosition(position: WatchPosition, hash: Hash): Uint8Array {
  const columns = columnsOf(position)
  let halvings = 0
  let body = writersOf(columns, halvings)
  while (body === undefined && halvings < HALVINGS_MAX) body = writersOf(columns, ++halvings)
  for (let left = columns.length; body === undefined;) {
    left = Math.floor(left * 0.75)
    body = writersOf(columns.slice(0, left), halvings)
  }
  const bytes = new Uint8Array(HEAD_BYTES + body.length + CHECK_BYTES)
  bytes[0] = FORMAT
  writeHex(bytes, 1, position.cluster)
  writeUint48(bytes, 17, position.frontier.wallMs)
  writeUint16(bytes, 23, position.frontier.counter)
  writeUint48(bytes, 25, position.expiriesToldMs)
  writeByteString(bytes, 31, position.folded)
  bytes[39] = halvings
  bytes.set(body, HEAD_BYTES)
  writeByteString(bytes, bytes.length - CHECK_BYTES, checkOf(bytes, hash))
  return bytes
}

/** The position, or `undefined` for anything that {@link encodeWatchPosition} has not written. */
export function decodeWatchPosition(bytes: Uint8Array, hash: Hash): WatchPosition | undefined {
  if (bytes.length > WATCH_POSITION_BYTES_MAX || bytes.length <= HEAD_BYTES + CHECK_BYTES) return undefined
  const end = bytes.length - CHECK_BYTES
  if (bytes[0] !== FORMAT || !startsWithByteString(bytes, end, checkOf(bytes, hash))) return undefined
  const seen = decodeSeen(bytes.subarray(HEAD_BYTES, end), bytes[39] ?? 0)
  return (
    seen && {
      cluster: readHex(bytes, 1, 16),
      frontier: { wallMs: readUint48(bytes, 17), counter: readUint16(bytes, 23) },
      expiriesToldMs: readUint48(bytes, 25),
      folded: byteStringOf(bytes.subarray(31, 39)),
      seen,
    }
  )
}

const BODY_BYTES_MAX = WATCH_POSITION_BYTES_MAX - HEAD_BYTES - CHECK_BYTES

/** What was seen of one writer, partition by partition. */
interface Column {
  readonly writer: WriterId
  readonly counts: readonly number[]
  readonly total: number
}

/** Those of whom most was seen first. */
function columnsOf({ seen }: WatchPosition): readonly Column[] {
  const writers = new Set(seen.flatMap((partition) => [...partition.keys()]))
  return [...writers]
    .map((writer) => {
      const counts = Array.from({ length: PARTITIONS }, (_, partition) => seen[partition]?.get(writer) ?? 0)
      return { writer, counts, total: counts.reduce((sum, count) => sum + count, 0) }
    })
    .toSorted((a, b) => b.total - a.total || (a.writer < b.writer ? -1 : 1))
}

/**
 * Count, then for each writer its id, the least of its numbers, and how far each group is above that. `undefined` when it
 * would be too long.
 */
function writersOf(columns: readonly Column[], halvings: number): Uint8Array | undefined {
  const bytes: number[] = []
  pushVarint(bytes, columns.length)
  for (const { writer, counts } of columns) {
    if (bytes.length > BODY_BYTES_MAX) return undefined
    for (let digit = 0; digit < 16; digit += 2) bytes.push(Number.parseInt(writer.slice(digit, digit + 2), 16))
    const groups = leastOfGroups(counts, 2 ** halvings)
    const least = Math.min(...groups)
    pushVarint(bytes, least)
    for (let group = 0; group < groups.length;) {
      const above = (groups[group] ?? 0) - least
      pushVarint(bytes, above)
      group++
      if (above > 0) continue
      // Zeros come in runs: of a short-lived writer hardly anything else.
      let run = 0
      while (groups[group + run] === least) run++
      pushVarint(bytes, run)
      group += run
    }
  }
  return bytes.length > BODY_BYTES_MAX ? undefined : Uint8Array.from(bytes)
}

function leastOfGroups(counts: readonly number[], size: number): readonly number[] {
  return Array.from({ length: PARTITIONS / size }, (_, group) =>
    Math.min(...counts.slice(group * size, (group + 1) * size)),
  )
}

function decodeSeen(bytes: Uint8Array, halvings: number): readonly Map<WriterId, number>[] | undefined {
  if (halvings > HALVINGS_MAX) return undefined
  const size = 2 ** halvings
  const reader = new Reader(bytes)
  const seen = Array.from({ length: PARTITIONS }, () => new Map<WriterId, number>())
  const writers = reader.varint()
  if (writers > bytes.length / 8) return undefined
  for (let index = 0; index < writers; index++) {
    const writer = reader.hex(8)
    const least = reader.varint()
    for (let group = 0; group < PARTITIONS / size;) {
      const above = reader.varint()
      const count = least + above
      if (!(count <= SEQ_MAX)) return undefined
      const run = above === 0 ? reader.varint() + 1 : 1
      const until = group + run
      if (!(until <= PARTITIONS / size)) return undefined
      if (count > 0)
        for (let partition = group * size; partition < until * size; partition++) seen[partition]?.set(writer, count)
      group = until
    }
  }
  return reader.isAtEnd ? seen : undefined
}

/** Reads past the end give no number, which every comparison then refuses. */
class Reader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  hex(length: number): string {
    this.#at += length
    return readHex(this.#bytes, this.#at - length, length)
  }

  varint(): number {
    let value = 0
    for (let scale = 1; scale <= 2 ** 49; scale *= 128) {
      const byte = this.#bytes[this.#at++]
      if (byte === undefined) return Number.NaN
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
    }
    return Number.NaN
  }
}

/** Seven bits a byte, the lowest first. Numbers have up to 48 bits, so nothing is shifted. */
function pushVarint(bytes: number[], value: number): void {
  let rest = value
  while (rest >= 0x80) {
    bytes.push((rest % 128) + 0x80)
    rest = Math.floor(rest / 128)
  }
  bytes.push(rest)
}

function checkOf(bytes: Uint8Array, hash: Hash): string {
  return hash.sha256(bytes.subarray(0, bytes.length - CHECK_BYTES)).slice(0, CHECK_BYTES)
}
