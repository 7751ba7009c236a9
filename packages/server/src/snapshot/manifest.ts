import {
  areSeqRanges,
  hexOf,
  hlcText,
  isClusterId,
  isId,
  parseHlc,
  PARTITIONS,
  type ClusterId,
  type Digest,
  type Hlc,
  type Partition,
  type ReplicaId,
  type VectorRows,
  type WriterId,
} from '@grapevine/core'
import { MalformedSnapshotError } from './frames.ts'

/** What a snapshot says of itself before anything else: of which replica at which moment it is (frontier.md R18). */
export interface SnapshotManifest {
  readonly clusterId: ClusterId
  readonly nodeId: ReplicaId
  readonly name: string
  /** RFC 3339, by the node's clock. */
  readonly takenAt: string
  /** H: no write of this node that is not in the snapshot is stamped at or below it. */
  readonly promise: Hlc
  readonly clock: Hlc
  /** F: what is deleted at or below it is absent everywhere. */
  readonly frontier: Hlc
  readonly folded: readonly WriterId[]
  /** Of the hash tree over all entries. */
  readonly root: Digest
  /** For whoever wants to show how far it is: keys with a value, tombstones, and bytes of all envelopes. */
  readonly values: number
  readonly tombstones: number
  readonly bytes: number
}

/** V, or a part of it: partitions with what was seen there. */
export type PartitionVectors = readonly (readonly [Partition, VectorRows])[]

export function encodeManifest(manifest: SnapshotManifest): Buffer {
  const { promise, clock, frontier, root, ...rest } = manifest
  const texts = { promise: hlcText(promise), clock: hlcText(clock), frontier: hlcText(frontier), root: hexOf(root) }
  return Buffer.from(JSON.stringify({ ...rest, ...texts }))
}

/** Fields that are not known are passed over: a later version may say more. */
export function decodeManifest(payload: Buffer): SnapshotManifest {
  const fields = objectIn(payload, 'manifest')
  const text = (name: string): string => {
    const value = fields.get(name)
    if (typeof value !== 'string') throw unreadable('manifest')
    return value
  }
  const textLike = (name: string, isSo: (text: string) => boolean): string => {
    const value = text(name)
    if (!isSo(value)) throw unreadable('manifest')
    return value
  }
  const hlc = (name: string): Hlc => {
    const value = parseHlc(text(name))
    if (value === undefined) throw unreadable('manifest')
    return value
  }
  const count = (name: string): number => countIn(fields, name, 'manifest')
  const folded = fields.get('folded')
  if (!Array.isArray(folded) || !folded.every((writer) => typeof writer === 'string' && isId(writer)))
    throw unreadable('manifest')
  return {
    clusterId: textLike('clusterId', isClusterId),
    nodeId: textLike('nodeId', isId),
    name: text('name'),
    takenAt: textLike('takenAt', (at) => Number.isFinite(Date.parse(at))),
    promise: hlc('promise'),
    clock: hlc('clock'),
    frontier: hlc('frontier'),
    folded: folded.map(String),
    root: Buffer.from(
      textLike('root', (root) => /^[0-9a-f]{64}$/.test(root)),
      'hex',
    ).toString('latin1'),
    values: count('values'),
    tombstones: count('tombstones'),
    bytes: count('bytes'),
  }
}

export function encodeVectors(vectors: PartitionVectors): Buffer {
  return Buffer.from(JSON.stringify(vectors))
}

export function decodeVectors(payload: Buffer): PartitionVectors {
  const rows = jsonIn(payload, 'vectors')
  if (!Array.isArray(rows)) throw unreadable('vectors')
  return rows.map((row: unknown) => {
    if (!Array.isArray(row) || row.length !== 2) throw unreadable('vectors')
    const [partition, writers]: unknown[] = row
    if (!isCount(partition) || partition >= PARTITIONS || !Array.isArray(writers)) throw unreadable('vectors')
    return [partition, writers.map(writerIn)] as const
  })
}

function writerIn(row: unknown): VectorRows[number] {
  if (!Array.isArray(row) || row.length !== 2) throw unreadable('vectors')
  const [writer, ranges]: unknown[] = row
  if (typeof writer !== 'string' || !isId(writer) || !Array.isArray(ranges)) throw unreadable('vectors')
  const seqs: unknown[] = ranges
  if (!seqs.every(isCount) || !areSeqRanges(seqs)) throw unreadable('vectors')
  return [writer, seqs]
}

/** What was in it, said at its end. */
export interface SnapshotEnd {
  readonly entries: number
  /** Rows that the node could not read, and that are missing here. */
  readonly corrupt: number
}

export function encodeEnd(end: SnapshotEnd): Buffer {
  return Buffer.from(JSON.stringify(end))
}

export function decodeEnd(payload: Buffer): SnapshotEnd {
  const fields = objectIn(payload, 'end')
  return { entries: countIn(fields, 'entries', 'end'), corrupt: countIn(fields, 'corrupt', 'end') }
}

function countIn(fields: ReadonlyMap<string, unknown>, name: string, where: string): number {
  const value = fields.get(name)
  if (!isCount(value)) throw unreadable(where)
  return value
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function objectIn(payload: Buffer, where: string): ReadonlyMap<string, unknown> {
  const parsed = jsonIn(payload, where)
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw unreadable(where)
  return new Map(Object.entries(parsed))
}

function jsonIn(payload: Buffer, where: string): unknown {
  try {
    return JSON.parse(payload.toString('utf8'))
  } catch {
    throw unreadable(where)
  }
}

function unreadable(where: string): MalformedSnapshotError {
  return new MalformedSnapshotError(`the snapshot's ${where} is not what it should be`)
}
