import {
  ENTRIES_PER_QUESTION_MAX,
  RUMORS_PER_QUESTION_MAX,
  type Answer,
  type Digest,
  type Entry,
  type EntryDigest,
  type EntryOutline,
  type Held,
  type Leaf,
  type Question,
  type Store,
  type VectorRows,
  VersionVector,
  type CorruptRow,
  presentAt,
  RefusalError,
  type Hlc,
  type WriterId,
} from '@grapevine/core'
import type { ReplicaState } from './replica-state.ts'

const SHORT = 8

/** Each listed entry takes about so many bytes on the wire. */
const DIGESTS_PER_ANSWER_MAX = ENTRIES_PER_QUESTION_MAX

/**
 * The entries whose dots the asker lacks, partition by partition, from one moment of the store. A partition that
 * fits as a whole comes with a claim; one that does not comes as single entries, and the asker asks again with its
 * vector as it then is (frontier.md R7, R8).
 */
export async function missedEntries(
  { vectors, folded }: Question<'missed-entries'>,
  state: ReplicaState,
  store: Store,
  answerBytesMax: number,
): Promise<Omit<Answer<'missed-entries'>, 'acquainted'>> {
  const { promise: clock, frontier } = state
  const isByName = typeof folded !== 'string'
  if (!isByName && folded !== state.foldedHash())
    throw new RefusalError('folded-otherwise', 'the folded writers have to be exchanged before vectors can be compared')
  const covered: ReadonlySet<WriterId> = isByName ? new Set(folded) : state.folded
  const moment = { frontier, folded: isByName ? state.foldedRows() : [], clock }
  const rows = vectors.map(([partition]) => state.vector(partition).rows())
  // The view is taken in the same turn as the vectors: it may hold more than they claim, never less.
  const view = store.view()
  try {
    const entries: Entry[] = []
    const claims: Answer<'missed-entries'>['claims'][number][] = []
    let bytes = 0
    const isFull = (): boolean => bytes > answerBytesMax && entries.length + claims.length > 0
    for (const [index, [partition, theirs]] of vectors.entries()) {
      let isComplete = true
      for await (const found of view.missing(partition, VersionVector.of(theirs), covered)) {
        if (isCorrupt(found)) {
          isComplete = false
          continue
        }
        // The receiver adopts the frontier with the claim, and so would drop it again.
        if (presentAt(found, frontier) === undefined) continue
        bytes += found.envelope.length
        if (isFull() || entries.length >= RUMORS_PER_QUESTION_MAX) return { ...moment, entries, claims }
        entries.push(found)
      }
      if (!isComplete) continue
      const claim = rows[index] ?? []
      bytes += vectorBytes(claim)
      // A claim that does not fit any more is asked for again, and is then all that is lacking.
      if (isFull()) return { ...moment, entries, claims }
      claims.push([partition, claim])
    }
    return { ...moment, entries, claims }
  } finally {
    await view.close()
  }
}

/** What the leaves hold, as many of them as fit, in the order asked for. */
export async function leafDigests(leaves: readonly Leaf[], store: Store, frontier: Hlc): Promise<EntryDigest[][]> {
  const view = store.view()
  try {
    const listed: EntryDigest[][] = []
    let digests = 0
    for (const leaf of leaves) {
      const entries = (await view.leaf(leaf)).entries.filter((entry) => presentAt(entry, frontier) !== undefined)
      digests += entries.length
      if (listed.length > 0 && digests > DIGESTS_PER_ANSWER_MAX) break
      listed.push(entries.map(digestOf))
    }
    return listed
  } finally {
    await view.close()
  }
}

export function digestOf({ keyHash, version, hash }: Entry): EntryDigest {
  return { keyHash, version, hash: hash.slice(0, SHORT) }
}

/** The entries of these keys, as many as fit into one answer. */
export async function entriesByKeyHash(
  keyHashes: readonly Digest[],
  store: Store,
  frontier: Hlc,
  bytesMax: number,
): Promise<Entry[]> {
  const view = store.view()
  try {
    const entries: Entry[] = []
    let bytes = 0
    for (let from = 0; from < keyHashes.length; from += 64) {
      for (const held of await view.readByKeyHash(keyHashes.slice(from, from + 64))) {
        if (typeof held !== 'object' || presentAt(held, frontier) === undefined) continue
        bytes += held.envelope.length
        if (entries.length > 0 && (bytes > bytesMax || entries.length >= RUMORS_PER_QUESTION_MAX)) return entries
        entries.push(held)
      }
    }
    return entries
  } finally {
    await view.close()
  }
}

export async function outlinesByKeyHash(
  keyHashes: readonly Digest[],
  store: Store,
  frontier: Hlc,
): Promise<(EntryOutline | 'corrupt' | null)[]> {
  const view = store.view()
  try {
    return (await view.readByKeyHash(keyHashes)).map((held) => outlineOf(presentAt(held, frontier)))
  } finally {
    await view.close()
  }
}

export function outlineOf(held: Held): EntryOutline | 'corrupt' | null {
  if (typeof held !== 'object') return held ?? null
  const { address, version, hash, value, expiresAtMs, contentType } = held
  return { address, version, hash, tombstone: value === undefined, expiresAtMs, contentType, size: value?.length ?? 0 }
}

/** What a vector takes on the wire, about. */
export function vectorBytes(rows: VectorRows): number {
  return rows.reduce((sum, [, ranges]) => sum + 12 + ranges.length * 6, 16)
}

function isCorrupt(found: Entry | CorruptRow): found is CorruptRow {
  return 'corrupt' in found
}
