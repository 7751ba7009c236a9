import { createHash } from 'node:crypto'
import MerkleTools from 'merkle-tools'

/** An entry as a snapshot holds it, read by docs/format.md alone: nothing here is the product's code. */
export interface SnapshotEntry {
  readonly bucket: string
  readonly key: string
  /** `undefined` in a tombstone. */
  readonly value: Buffer | undefined
  readonly envelope: Buffer
}

/** Reads a whole snapshot and checks its own checksums and that of every entry. */
export function readSnapshotBytes(bytes: Buffer): SnapshotEntry[] {
  const first = Buffer.from('grapevine snapshot 2\n')
  if (!bytes.subarray(0, first.length).equals(first)) throw new Error('no snapshot')
  const entries: SnapshotEntry[] = []
  let checksum = sha256(first)
  let end: { entries: number; corrupt: number } | undefined
  for (let at = first.length; at < bytes.length;) {
    if (end !== undefined) throw new Error('something follows the end')
    const payloadAt = at + 5
    const checksumAt = payloadAt + bytes.readUInt32BE(at + 1)
    checksum = sha256(Buffer.concat([checksum, bytes.subarray(at, checksumAt)]))
    if (!checksum.equals(bytes.subarray(checksumAt, checksumAt + 32))) throw new Error('the snapshot is damaged')
    const kind = bytes.toString('latin1', at, at + 1)
    const payload = bytes.subarray(payloadAt, checksumAt)
    if (kind === 'E') entries.push(...readEnvelopes(payload))
    if (kind === 'Z') end = JSON.parse(payload.toString()) as { entries: number; corrupt: number }
    at = checksumAt + 32
  }
  if (end?.entries !== entries.length) throw new Error(`${end?.entries} entries were announced, ${entries.length} came`)
  if (end.corrupt !== 0) throw new Error('the node could not read some of its rows')
  return entries
}

function readEnvelopes(payload: Buffer): SnapshotEntry[] {
  const entries: SnapshotEntry[] = []
  for (let at = 0; at < payload.length;) {
    const length = payload.readUInt32BE(at)
    entries.push(readEnvelope(payload.subarray(at + 4, at + 4 + length)))
    at += 4 + length
  }
  return entries
}

/** The root that merkle-tools computes over the leaves that these entries make. */
export function oracleRoot(entries: readonly SnapshotEntry[]): string {
  const sums = Array.from({ length: 65_536 }, () => 0n)
  for (const { bucket, key, envelope } of entries) {
    const keyHash = sha256(Buffer.concat([Buffer.from(`${bucket}\0`), Buffer.from(key)]))
    const digest = sha256(Buffer.concat([Buffer.from([0]), keyHash, envelope.subarray(0, 32)]))
    const leaf = keyHash.readUInt16BE(0)
    sums[leaf] = ((sums[leaf] ?? 0n) + BigInt(`0x${digest.toString('hex')}`)) % 2n ** 256n
  }
  const oracle = new MerkleTools({ hashType: 'sha256' })
  oracle.addLeaves(
    sums.map((sum) => {
      const bytes = Buffer.from(sum.toString(16).padStart(64, '0'), 'hex')
      return sha256(Buffer.concat([Buffer.from([0]), bytes])).toString('hex')
    }),
  )
  oracle.makeTree()
  return oracle.getMerkleRoot()?.toString('hex') ?? ''
}

function readEnvelope(envelope: Buffer): SnapshotEntry {
  if (!sha256(envelope.subarray(32)).equals(envelope.subarray(0, 32))) throw new Error('an entry is damaged')
  const isTombstone = envelope[33] === 1
  const addressEnd = 74 + envelope.readUInt16BE(70)
  const valueAt = addressEnd + envelope.readUInt16BE(72)
  const address = envelope.subarray(74, addressEnd)
  const nul = address.indexOf(0)
  return {
    bucket: address.subarray(0, nul).toString(),
    key: address.subarray(nul + 1).toString(),
    value: isTombstone ? undefined : envelope.subarray(valueAt),
    envelope,
  }
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest()
}
