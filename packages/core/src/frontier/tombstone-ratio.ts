import type { Totals } from '../ports.ts'

/**
 * Fewer tombstones are no reason to warn, whatever their share: a small cluster that deletes nearly all it has is no trouble
 * to anybody, and so many cost a tenth of a megabyte.
 */
export const TOMBSTONES_WORTH_A_WARNING = 1_000
/** With all members there a tombstone goes within two purge periods. Whatever is older than this waits for somebody. */
export const PURGE_PERIODS_PATIENCE = 6

/** The share of all that is stored that only says what was deleted. */
export function tombstoneRatio({ values, tombstones }: Pick<Totals, 'values' | 'tombstones'>): number {
  return tombstones === 0 ? 0 : tombstones / (values + tombstones)
}

/**
 * Whether an operator should hear of the tombstones: they are a large share, and it is not only that much was deleted just now.
 * @param oldestMs the age of the oldest.
 * @param ratioMax the share from which on to warn. 0: never.
 */
export function areTombstonesPilingUp(
  totals: Pick<Totals, 'values' | 'tombstones'>,
  { oldestMs, purgeIntervalMs, ratioMax }: { oldestMs: number; purgeIntervalMs: number; ratioMax: number },
): boolean {
  return (
    ratioMax > 0 &&
    totals.tombstones >= TOMBSTONES_WORTH_A_WARNING &&
    tombstoneRatio(totals) >= ratioMax &&
    oldestMs > PURGE_PERIODS_PATIENCE * purgeIntervalMs
  )
}
