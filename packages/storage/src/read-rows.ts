import { openEnvelope, type Address, type Hash, type Held } from '@grapevine/core'
import type { AbstractSnapshot } from 'abstract-level'
import { entryRow } from './key-layout.ts'
import type { Database } from './level-store.ts'
import { storeErrorOf } from './store-trouble.ts'

/** How rows are read: as bytes, and of one moment where a snapshot is given. */
export interface Reading {
  readonly keyEncoding: 'buffer'
  readonly valueEncoding: 'buffer'
  readonly snapshot?: AbstractSnapshot
}

/** The entry of an address. A row that fails its checksum, or in a block that LevelDB cannot read, is `corrupt`. */
export function readEntry(db: Database, address: Address, reading: Reading, hash: Hash): Held {
  try {
    return heldIn(db.getSync(entryRow(address), reading), address, hash)
  } catch (error) {
    if (isCorruption(error)) return 'corrupt'
    throw storeErrorOf('the database cannot be read', error)
  }
}

export async function readEntries(
  db: Database,
  addresses: readonly Address[],
  reading: Reading,
  hash: Hash,
): Promise<readonly Held[]> {
  try {
    const rows = await db.getMany(addresses.map(entryRow), reading)
    return addresses.map((address, index) => heldIn(rows[index], address, hash))
  } catch {
    // One bad block fails them all: find out which it is.
    return addresses.map((address) => readEntry(db, address, reading, hash))
  }
}

/** The entry in a row, which must be the one that its name says. */
export function heldIn(row: Buffer | undefined, address: Address, hash: Hash): Held {
  if (row === undefined) return undefined
  const entry = openEnvelope(row, hash)
  return entry === undefined || entry.address !== address ? 'corrupt' : entry
}

export function isCorruption(error: unknown): boolean {
  return (
    error instanceof Error && (('code' in error && error.code === 'LEVEL_CORRUPTION') || /corrupt/i.test(error.message))
  )
}
