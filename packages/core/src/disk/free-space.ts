/** What an operator wants to be left free, and what is left. */
export interface FreeSpace {
  readonly freeBytes: number
  /** Below this a node only reads. 0 for never. */
  readonly reserveBytes: number
}

/**
 * How far above the reserve space must be before a node writes again. Without it a node at the edge would take one write,
 * refuse the next, and take another as soon as a compaction has dropped a table.
 */
const RETURN_FACTOR = 1.25

/**
 * Whether a node may only read (P13). The reserve is what the store needs to finish what it has begun: a database that
 * has no room for a write buffer cannot even be opened again (docs/promises.md).
 */
export function isOutOfSpace({ freeBytes, reserveBytes }: FreeSpace, wasOutOfSpace: boolean): boolean {
  return freeBytes < (wasOutOfSpace ? reserveBytes * RETURN_FACTOR : reserveBytes)
}

/** A written byte goes to the log, to a table, and into compactions: so much may be gone before anybody looks again. */
export const DISK_BYTES_PER_WRITTEN_BYTE = 3
