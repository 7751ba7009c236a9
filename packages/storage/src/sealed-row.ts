import { StoreError, type Hash } from '@grapevine/core'

const CHECKSUM_BYTES = 8

/**
 * A row behind the first 8 bytes of its SHA-256: LevelDB's own checksums are not verified on reading.
 * @param name of a row whose content does not say whose it is: a flipped bit in the name must not make it another one's.
 */
export function sealRow(content: Buffer, hash: Hash, name?: Buffer): Buffer {
  return Buffer.concat([Buffer.from(checksumOf(content, hash, name), 'latin1'), content])
}

export function isSealed(row: Buffer, hash: Hash, name?: Buffer): boolean {
  return checksumOf(row.subarray(CHECKSUM_BYTES), hash, name) === row.toString('latin1', 0, CHECKSUM_BYTES)
}

/** @throws {StoreError} `data_missing`: what this row told is lost, and nothing else tells it. */
export function openRow(row: Buffer, hash: Hash, what: string, name?: Buffer): Buffer {
  if (isSealed(row, hash, name)) return row.subarray(CHECKSUM_BYTES)
  throw new StoreError('data_missing', `the database is damaged: ${what} fails its checksum`)
}

function checksumOf(content: Buffer, hash: Hash, name: Buffer | undefined): string {
  return hash.sha256(name === undefined ? content : Buffer.concat([name, content])).slice(0, CHECKSUM_BYTES)
}
