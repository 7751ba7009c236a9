import {
  LEAVES_PER_PARTITION,
  partitionOf,
  PARTITIONS,
  StoreError,
  type Address,
  type Clock,
  type DotIndexRow,
  type Entry,
  type Leaf,
  type Log,
  type Measures,
  type Partition,
  type Timers,
} from '@grapevine/core'
import { errorOf, type IndexRepair } from './arrival.ts'
import type { Committer } from './committer.ts'
import type { Healer } from './heal.ts'
import { isSameSum, quietLook, readLeaf, type LeafRows, type LookContext } from './leaf-look.ts'
import type { LeafMender } from './leaf-mender.ts'
import { sleep, yieldToOthers } from './sleep.ts'
import type { SuspectLeaves } from './suspect-leaves.ts'

export interface ScrubContext extends LookContext {
  readonly committer: Pick<Committer, 'submit'>
  readonly healer: Pick<Healer, 'heal'>
  readonly mender: Pick<LeafMender, 'mend'>
  readonly suspects: SuspectLeaves
  readonly clock: Clock
  readonly timers: Timers
  readonly measures: Measures
  readonly log: Log
  readonly isStopping: () => boolean
}

/** What a scrub has looked at and found so far. */
export interface ScrubCounts {
  leaves: number
  entries: number
  bytes: number
  /** Rows that fail their checksum. */
  corrupt: number
  /** Rows that an index names and that are not there. */
  hidden: number
  /** Of those two, what came back from peers. */
  healed: number
  /** Of those two, what turned out to be deleted: a peer that has seen all and lost nothing holds nothing. */
  cleared: number
  /** Rows of an index that lead to no entry, or to another one. They went. */
  orphanedIndexRows: number
  /** Entries to which an index did not lead. All rows that lead to them are there again. */
  reindexed: number
  /** Leaves that did not add up and were replaced by those of a clean peer (frontier.md R19). */
  mendedLeaves: number
  /** Leaves whose sum still differs from what can be read. */
  suspectLeaves: number
}

export function noScrubCounts(): ScrubCounts {
  return {
    leaves: 0,
    entries: 0,
    bytes: 0,
    corrupt: 0,
    hidden: 0,
    healed: 0,
    cleared: 0,
    orphanedIndexRows: 0,
    reindexed: 0,
    mendedLeaves: 0,
    suspectLeaves: 0,
  }
}

/** Dots looked up at a time: values may be a megabyte each. */
const DOTS_AT_A_TIME = 16
/** Rows of indexes put right in one commit. */
const INDEX_ROWS_AT_A_TIME = 1_024

/**
 * Reads every entry of one partition, and sums up each of its leaves anew. First along the dot index, which finds entries that
 * the hash index has lost as well; then leaf by leaf along the hash index, as peers see it. What cannot be read is fetched
 * from them; a leaf that then still does not add up has lost rows that no index knows of, and is replaced by a clean one.
 *
 * @param bytesPerSecond how fast it may read.
 */
export async function scrubPartition(
  partition: Partition,
  bytesPerSecond: number,
  counts: ScrubCounts,
  context: ScrubContext,
): Promise<void> {
  const startedMs = context.clock.monotonicMs()
  const startBytes = counts.bytes
  const pace = async (): Promise<void> => {
    const dueMs = ((counts.bytes - startBytes) / bytesPerSecond) * 1_000
    const aheadMs = dueMs - (context.clock.monotonicMs() - startedMs)
    await (aheadMs > 1 ? sleep(context.timers, aheadMs) : yieldToOthers(context.timers))
  }
  await scrubDotIndex(partition, counts, context)
  await pace()
  const occupied = await occupiedLeaves(partition, context)
  for (let index = 0; index < LEAVES_PER_PARTITION && !context.isStopping(); index++) {
    const leaf = partition * LEAVES_PER_PARTITION + index
    // Where few keys are most leaves are empty, and known to be.
    if (
      occupied?.has(leaf) === false &&
      context
        .state()
        .sumOf(leaf)
        .every((byte) => byte === 0)
    ) {
      counts.leaves++
      context.measures.add('scrub_leaves')
      context.suspects.onSoundLeaf(leaf)
      continue
    }
    await scrubLeaf(leaf, counts, context)
    await pace()
  }
}

/** `undefined` when the index cannot be read: then each leaf says so by itself. */
async function occupiedLeaves(partition: Partition, { store }: ScrubContext): Promise<ReadonlySet<Leaf> | undefined> {
  const view = store.view()
  try {
    return await view.occupiedLeaves(partition)
  } catch (error) {
    if (!isDamage(error)) throw error
    return undefined
  } finally {
    await view.close()
  }
}

export const SCRUB_PARTITIONS: number = PARTITIONS

/** Brings back what the dot index has kept track of, and puts right what is wrong about the index itself. */
async function scrubDotIndex(partition: Partition, counts: ScrubCounts, context: ScrubContext): Promise<void> {
  const { strays, lost, unindexed } = await alongDots(partition, counts, context)
  for (const address of new Set(lost.map((row) => row.address))) await bringBack(address, counts, context)
  counts.orphanedIndexRows += strays.length
  context.measures.add('orphaned_index_rows', strays.length)
  // What led to a row that turned out to be deleted leads to nothing now, and would make each answer incomplete.
  await repairIndex({ reindex: unindexed, dots: [...strays, ...lost] }, counts, context)
}

type DotRow = IndexRepair['dots'][number]

interface AlongDots {
  readonly strays: readonly DotRow[]
  /** Rows whose entry is not there or cannot be read. */
  readonly lost: readonly DotRow[]
  readonly unindexed: readonly Address[]
}

async function alongDots(partition: Partition, counts: ScrubCounts, context: ScrubContext): Promise<AlongDots> {
  const strays: DotRow[] = []
  const lost: DotRow[] = []
  const noted = new Set<Address>()
  const unindexed: Address[] = []
  const view = context.store.view()
  const look = async (rows: readonly DotIndexRow[]): Promise<void> => {
    const held = await view.readMany(rows.map(({ address }) => address))
    const read: Entry[] = []
    for (const [index, { dot, address }] of rows.entries()) {
      const entry = held[index]
      if (typeof entry !== 'object') {
        if (!noted.has(address)) note(entry, counts, context)
        noted.add(address)
        lost.push({ dot, address, partition })
        continue
      }
      counts.bytes += entry.envelope.length
      const isStray =
        entry.dot.writer !== dot.writer || entry.dot.seq !== dot.seq || partitionOf(entry.keyHash) !== partition
      if (isStray) strays.push({ dot, address, partition })
      read.push(entry)
    }
    unindexed.push(...(await view.unindexed(read)).map(({ address }) => address))
    await yieldToOthers(context.timers)
  }
  try {
    let rows: DotIndexRow[] = []
    for await (const row of view.dotIndex(partition)) {
      rows.push(row)
      if (rows.length < DOTS_AT_A_TIME) continue
      await look(rows)
      rows = []
    }
    await look(rows)
  } catch (error) {
    // A block of the index itself is damaged. The leaves tell what it led to.
    if (!isDamage(error)) throw error
    context.log.error('dot-index-damaged', { partition, error: String(error) })
  } finally {
    await view.close()
  }
  return { strays, lost, unindexed }
}

async function scrubLeaf(leaf: Leaf, counts: ScrubCounts, context: ScrubContext): Promise<void> {
  const { measures, suspects, mender, log } = context
  try {
    const sum = context.state().sumOf(leaf).slice()
    const { rows, unindexed } = await lookAt(leaf, context)
    const bytes = rows.entries.reduce((total, { envelope }) => total + envelope.length, 0)
    counts.bytes += bytes
    measures.add('scrub_bytes', bytes)
    counts.entries += rows.entries.length
    counts.leaves++
    measures.add('scrub_leaves')
    counts.orphanedIndexRows += rows.strays.length
    measures.add('orphaned_index_rows', rows.strays.length)
    await repairIndex({ reindex: unindexed, hashes: rows.strays }, counts, context)
    for (const address of rows.unreadable) {
      const held = context.store.read(address)
      if (typeof held === 'object') continue
      note(held, counts, context)
      await bringBack(address, counts, context)
    }
    if (rows.unreadable.length === 0 && isSameSum(rows.sum, sum)) {
      suspects.onSoundLeaf(leaf)
      return
    }
    // What was committed meanwhile may be in one and not in the other: look again while nothing is.
    const again = await quietLook(leaf, context)
    if (again.isSound) {
      suspects.onSoundLeaf(leaf)
      return
    }
    const isUnreadable = again.unreadable.length > 0
    suspects.onSuspectLeaf(leaf, isUnreadable ? 'rows that cannot be read' : 'its rows do not add up to its sum')
  } catch (error) {
    if (!isDamage(error)) throw error
    suspects.onSuspectLeaf(leaf, 'its index cannot be read')
    log.error('leaf-not-readable', { leaf, error: String(error) })
  }
  const mended = await mender.mend(leaf)
  if (mended === undefined) {
    counts.suspectLeaves++
    return
  }
  counts.mendedLeaves++
  counts.hidden += mended.hidden
  counts.healed += mended.put
  counts.cleared += mended.dropped
}

async function lookAt(
  leaf: Leaf,
  { store, hash }: ScrubContext,
): Promise<{ rows: LeafRows; unindexed: readonly Address[] }> {
  const view = store.view()
  try {
    const rows = await readLeaf(leaf, view, hash)
    const unindexed = rows.entries.length === 0 ? [] : await view.unindexed(rows.entries)
    return { rows, unindexed: unindexed.map(({ address }) => address) }
  } finally {
    await view.close()
  }
}

async function repairIndex(
  { reindex = [], dots = [], hashes = [] }: Partial<Pick<IndexRepair, 'reindex' | 'dots' | 'hashes'>>,
  counts: ScrubCounts,
  { committer, measures }: ScrubContext,
): Promise<void> {
  counts.reindexed += reindex.length
  if (reindex.length > 0) measures.add('reindexed_entries', reindex.length)
  for (let from = 0; from < Math.max(reindex.length, dots.length, hashes.length); from += INDEX_ROWS_AT_A_TIME) {
    const until = from + INDEX_ROWS_AT_A_TIME
    await new Promise<number>((settle, reject) => {
      committer.submit({
        kind: 'index',
        reindex: reindex.slice(from, until),
        dots: dots.slice(from, until),
        hashes: hashes.slice(from, until),
        settle,
        fail: (failure) => reject(errorOf(failure)),
      })
    })
  }
}

async function bringBack(address: Address, counts: ScrubCounts, { healer, store }: ScrubContext): Promise<void> {
  // Along another index it may have come back already.
  if (typeof store.read(address) === 'object') return
  const held = await healer.heal(address)
  if (typeof held === 'object') counts.healed++
  else if (held === undefined) counts.cleared++
}

function note(held: 'corrupt' | undefined, counts: ScrubCounts, { measures }: ScrubContext): void {
  if (held === 'corrupt') {
    counts.corrupt++
    measures.add('corrupt_entries')
  } else {
    counts.hidden++
    measures.add('hidden_entries')
  }
}

/** LevelDB cannot read a block: of the data, then the entries in it are corrupt; or of an index, as here. */
function isDamage(error: unknown): boolean {
  return error instanceof StoreError && error.code === 'data_missing'
}
