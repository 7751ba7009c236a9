import { StoreError, type Hash } from '@grapevine/core'

const CHECKSUM_BYTES = 8

/** A row behind the first 8 bytes of its SHA-256: LevelDB's own checksums are not verified on reading. */
export function sealRow(content: Buffer, hash: Hash): Buffer {
  return Buffer.concat([Buffer.from(hash.sha256(content), 'latin1').subarray(0, CHECKSUM_BYTES), content])
}

export function isSealed(row: Buffer, hash: Hash): boolean {
  const content = row.subarray(CHECKSUM_BYTES)
  return hash.sha256(content).slice(0, CHECKSUM_BYTES) === row.toString('latin1', 0, CHECKSUM_BYTES)
}

/** @throws {StoreError} `data_missing`: what this row told is lost, and nothing else tells it. */
export function openRow(row: Buffer, hash: Hash, what: string): Buffer {
  if (!isSealed(row, hash)) throw new StoreError('data_missing', `the database is damaged: ${what} fails its checksum`)
  return row.subarray(CHECKSUM_BYTES)
}
