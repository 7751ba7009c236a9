import type { ReplicaId } from '../version/version.ts'
import type { Skew } from './skew.ts'

/**
 * What is wrong with our own clock. `behind`: we park what others rightly hold, and adopt nothing meanwhile. `ahead`: the
 * others park what we write.
 */
export interface ClockFault {
  readonly kind: 'behind' | 'ahead'
  /** Milliseconds, at least, from the clocks of those that say so; 0 when only what was parked says it. */
  readonly byMs: number
  /** How many live members say so. */
  readonly witnesses: number
  /** Of so many others. */
  readonly others: number
}

export interface ClockEvidence {
  /** Live members other than this one. */
  readonly others: number
  /** Of those among them whose clock has been asked. */
  readonly skews: readonly Skew[]
  /** Who made the entries that are parked here because they come from too far ahead. */
  readonly parkedFrom: ReadonlySet<ReplicaId>
  readonly driftMs: number
}

/**
 * Whether our own clock is the one that is wrong, judged by what most others show. Of two nodes nobody can tell which one is
 * right; there the one that is behind is suspect, since it is the one that cannot take in what the other writes.
 */
export function clockFault({ others, skews, parkedFrom, driftMs }: ClockEvidence): ClockFault | undefined {
  const ahead = skews.filter(({ skewMs, errorMs }) => skewMs - errorMs > driftMs)
  const behind = skews.filter(({ skewMs, errorMs }) => -skewMs - errorMs > driftMs)
  const isMost = (count: number): boolean => count > others / 2
  if (isMost(ahead.length)) return { kind: 'behind', byMs: leastOf(ahead), witnesses: ahead.length, others }
  if (behind.length >= 2 && isMost(behind.length))
    return { kind: 'ahead', byMs: leastOf(behind), witnesses: behind.length, others }
  // Before their clocks could be asked, or where they cannot: several cannot all be wrong in the same way.
  if (parkedFrom.size >= 2 && isMost(parkedFrom.size))
    return { kind: 'behind', byMs: 0, witnesses: parkedFrom.size, others }
  return undefined
}

function leastOf(skews: readonly Skew[]): number {
  return Math.min(...skews.map(({ skewMs, errorMs }) => Math.abs(skewMs) - errorMs))
}
