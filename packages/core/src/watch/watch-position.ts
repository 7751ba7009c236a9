import { compareHlc, type Hlc } from '../clock/hlc.ts'
import type { ShortHash } from '../conversations.ts'
import type { Entry } from '../record/entry.ts'
import { VersionVector, type SeqRanges, type VectorRows } from '../vector/version-vector.ts'
import type { ClusterId, WriterId } from '../version/version.ts'

/** Of one partition: by writer the number up to which each of its writes was seen. */
export type SeenWrites = ReadonlyMap<WriterId, number>

/**
 * How far somebody who watches has got, whatever node told of it. It claims no more than was seen, and often less: what
 * lies between comes twice, and nothing is missed.
 */
export interface WatchPosition {
  readonly cluster: ClusterId
  /**
   * F of the node that told, at that moment. No version at or below it can still be news to a member (frontier.md I3), so
   * none is told again, whatever the vectors say.
   */
  readonly frontier: Hlc
  /** By the wall clock of that node: what expired by then has been told. */
  readonly expiriesToldMs: number
  /** Of the writers that were folded there: whoever knows that set knows that all their dots were covered. */
  readonly folded: ShortHash
  /** For each partition. What was covered beyond a gap is not claimed. */
  readonly seen: readonly SeenWrites[]
}

/** What of a vector can be claimed in few bytes: each writer as far as there is no gap. */
export function seenWrites(rows: VectorRows): SeenWrites {
  const seen = new Map<WriterId, number>()
  for (const [writer, ranges] of rows) {
    const count = withoutGap(ranges)
    if (count > 0) seen.set(writer, count)
  }
  return seen
}

export function vectorOfSeen(seen: SeenWrites): VersionVector {
  return VersionVector.of([...seen].map(([writer, count]): readonly [WriterId, SeqRanges] => [writer, [1, count]]))
}

/** Whether an entry that the position's vectors lack can be news: only then it is told. */
export function mayBeNewsTo(
  { frontier }: Pick<WatchPosition, 'frontier'>,
  { version }: Pick<Entry, 'version'>,
): boolean {
  return compareHlc(version.hlc, frontier) > 0
}

function withoutGap(ranges: SeqRanges): number {
  return ranges[0] === 1 ? (ranges[1] ?? 0) : 0
}
