import type { Dot, WriterId } from '../version/version.ts'

/**
 * The numbers of one writer that are covered: `[from, to, from, to, …]`, ascending, with a gap between any two
 * ranges. One range from 1 is the usual case; what lies beyond a gap has come by rumor before its turn.
 */
export type SeqRanges = readonly number[]

/** A version vector as plain data, writers ascending: its form on disk and wire. */
export type VectorRows = readonly (readonly [WriterId, SeqRanges])[]

/**
 * The version vector of one partition (Parker et al. 1983, with dots as in Riak): for each writer, which of its
 * writes this replica has seen, itself or something newer for the same key (frontier.md I1).
 */
export class VersionVector {
  readonly #seen = new Map<WriterId, number[]>()

  static of(rows: VectorRows): VersionVector {
    const vector = new VersionVector()
    for (const [writer, ranges] of rows) vector.#seen.set(writer, ranges.slice())
    return vector
  }

  copy(): VersionVector {
    const vector = new VersionVector()
    for (const [writer, ranges] of this.#seen) vector.#seen.set(writer, ranges.slice())
    return vector
  }

  get isEmpty(): boolean {
    return this.#seen.size === 0
  }

  /** Whether the numbers of some writer are more than one range. */
  get hasGaps(): boolean {
    for (const ranges of this.#seen.values()) if (ranges.length > 2) return true
    return false
  }

  covers({ writer, seq }: Dot): boolean {
    const ranges = this.#seen.get(writer)
    if (ranges === undefined) return false
    const index = lastRangeFrom(ranges, seq)
    return index >= 0 && seq <= at(ranges, index + 1)
  }

  /** The highest number of a writer up to which there is no gap; 0 for a writer never heard of. */
  contiguous(writer: WriterId): number {
    const ranges = this.#seen.get(writer)
    return ranges !== undefined && ranges[0] === 1 ? at(ranges, 1) : 0
  }

  add({ writer, seq }: Dot): void {
    const ranges = this.#seen.get(writer)
    if (ranges === undefined) this.#seen.set(writer, [seq, seq])
    else addRange(ranges, seq, seq)
  }

  /** Takes over all that `rows` cover. Only a complete answer gives the right to (frontier.md R7). */
  adopt(rows: VectorRows): void {
    for (const [writer, theirs] of rows) {
      const ranges = this.#seen.get(writer)
      if (ranges === undefined) this.#seen.set(writer, theirs.slice())
      else
        for (let index = 0; index < theirs.length; index += 2)
          addRange(ranges, at(theirs, index), at(theirs, index + 1))
    }
  }

  /** Whether everything in `rows` is covered here. */
  contains(rows: VectorRows): boolean {
    return rows.every(([writer, theirs]) => {
      const ranges = this.#seen.get(writer)
      if (ranges === undefined) return theirs.length === 0
      for (let index = 0; index < theirs.length; index += 2) {
        const mine = lastRangeFrom(ranges, at(theirs, index))
        if (mine < 0 || at(theirs, index + 1) > at(ranges, mine + 1)) return false
      }
      return true
    })
  }

  /** Whether everything that another vector covers is covered here, or is by a writer that is folded here. */
  containsAll(other: VersionVector, folded: ReadonlySet<WriterId>): boolean {
    for (const [writer, ranges] of other.#seen)
      if (!folded.has(writer) && !this.contains([[writer, ranges]])) return false
    return true
  }

  /** How many dots another vector covers that are not covered here, and of no writer that is folded here. */
  lacks(other: VersionVector, folded: ReadonlySet<WriterId>): number {
    let lacked = 0
    for (const [writer, theirs] of other.#seen)
      if (!folded.has(writer)) lacked += sizeOf(theirs) - sizeOfBoth(this.#seen.get(writer) ?? [], theirs)
    return lacked
  }

  /** How many dots are covered by name. */
  get size(): number {
    return [...this.#seen.values()].reduce((sum, ranges) => sum + sizeOf(ranges), 0)
  }

  knows(writer: WriterId): boolean {
    return this.#seen.has(writer)
  }

  /** Whether all that another vector covers of one writer is covered here. */
  containsWriter(writer: WriterId, other: VersionVector): boolean {
    const ranges = other.#seen.get(writer)
    return ranges === undefined || this.contains([[writer, ranges]])
  }

  /** All dots of this writer count as covered from now on, so nothing has to be remembered of them. */
  forget(writer: WriterId): boolean {
    return this.#seen.delete(writer)
  }

  /** A copy, in canonical order: equal vectors have equal rows. */
  rows(): VectorRows {
    const rows: (readonly [WriterId, SeqRanges])[] = []
    for (const [writer, ranges] of this.#seen) rows.push([writer, ranges.slice()])
    return rows.length < 2 ? rows : rows.toSorted(([a], [b]) => (a < b ? -1 : 1))
  }
}

/** What vectors are hashed by: equal vectors have equal text. */
export function vectorText(rows: VectorRows): string {
  return rows.map(([writer, ranges]) => `${writer}:${ranges.join(',')}`).join(';')
}

/** Whether ranges from outside keep the invariant of {@link SeqRanges}. */
export function areSeqRanges(ranges: readonly number[]): boolean {
  if (ranges.length === 0 || ranges.length % 2 !== 0) return false
  let previous = -1
  for (let index = 0; index < ranges.length; index += 2) {
    const from = at(ranges, index)
    const to = at(ranges, index + 1)
    if (from < 1 || from <= previous + 1 || to < from) return false
    previous = to
  }
  return true
}

function sizeOf(ranges: SeqRanges): number {
  let size = 0
  for (let index = 0; index < ranges.length; index += 2) size += at(ranges, index + 1) - at(ranges, index) + 1
  return size
}

/** How many numbers are in both, each walked once. */
function sizeOfBoth(a: SeqRanges, b: SeqRanges): number {
  let size = 0
  for (let mine = 0, theirs = 0; mine < a.length && theirs < b.length;) {
    const from = Math.max(at(a, mine), at(b, theirs))
    const to = Math.min(at(a, mine + 1), at(b, theirs + 1))
    size += Math.max(0, to - from + 1)
    if (at(a, mine + 1) < at(b, theirs + 1)) mine += 2
    else theirs += 2
  }
  return size
}

/** The index of the last range that begins at or before `seq`, or −2. */
function lastRangeFrom(ranges: readonly number[], seq: number): number {
  let low = 0
  let high = ranges.length / 2
  while (low < high) {
    const middle = (low + high) >>> 1
    if (at(ranges, middle * 2) <= seq) low = middle + 1
    else high = middle
  }
  return low * 2 - 2
}

function addRange(ranges: number[], from: number, to: number): void {
  // The write that follows the last one is nearly every call.
  if (at(ranges, ranges.length - 1) + 1 === from) {
    ranges[ranges.length - 1] = to
    return
  }
  let first = lastRangeFrom(ranges, from)
  if (first < 0 || at(ranges, first + 1) + 1 < from) first += 2
  let end = first
  let least = from
  let most = to
  while (end < ranges.length && at(ranges, end) <= to + 1) {
    least = Math.min(least, at(ranges, end))
    most = Math.max(most, at(ranges, end + 1))
    end += 2
  }
  ranges.splice(first, end - first, least, most)
}

function at(ranges: readonly number[], index: number): number {
  return ranges[index] ?? 0
}
