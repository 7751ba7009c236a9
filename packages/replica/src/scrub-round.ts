import {
  LEAVES_PER_PARTITION,
  PARTITIONS,
  StoreError,
  type Address,
  type Clock,
  type DotIndexRow,
  type Entry,
  type Hash,
  type Leaf,
  type Log,
  type Measures,
  type Partition,
  type Store,
  type StoreView,
  type Timers,
} from '@grapevine/core'
import { addDigest, entryDigest } from '@grapevine/merkle'
import type { Healer } from './heal.ts'
import type { ChangeMembership } from './membership-change.ts'
import type { ReplicaState } from './replica-state.ts'
import { sleep, yieldToOthers } from './sleep.ts'
import type { SuspectLeaves } from './suspect-leaves.ts'

export interface ScrubContext {
  readonly store: Store
  readonly state: () => ReplicaState
  /** Used for its quiet moment: nothing is on its way to the disk while it decides. */
  readonly changeMembership: ChangeMembership
  readonly healer: Pick<Healer, 'heal'>
  readonly suspects: SuspectLeaves
  readonly hash: Hash
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
  /** Rows of the dot index that lead to another entry: they say nothing, and nobody follows them. */
  orphanedIndexRows: number
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
    orphanedIndexRows: 0,
    suspectLeaves: 0,
  }
}

/** Dots looked up at a time: values may be a megabyte each. */
const DOTS_AT_A_TIME = 16

/**
 * Reads every entry of one partition, and sums up each of its leaves anew. First along the dot index, which finds entries that
 * the hash index has lost as well; then leaf by leaf along the hash index, as peers see it. What cannot be read is fetched
 * from them; a leaf that then still does not add up has lost rows that no index knows of.
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
  for (const lost of await lostAlongDots(partition, counts, context)) await bringBack(lost, counts, context)
  await pace()
  for (let index = 0; index < LEAVES_PER_PARTITION && !context.isStopping(); index++) {
    const bytes = counts.bytes
    await scrubLeaf(partition * LEAVES_PER_PARTITION + index, counts, context)
    // Mostly there is nothing to read in a leaf, and looking costs microseconds.
    if (counts.bytes > bytes || index % 16 === 0) await pace()
  }
}

export const SCRUB_PARTITIONS: number = PARTITIONS

/** Follows the dot index. Returns the addresses whose rows are not there or cannot be read. */
async function lostAlongDots(partition: Partition, counts: ScrubCounts, context: ScrubContext): Promise<Address[]> {
  const lost = new Set<Address>()
  const view = context.store.view()
  const look = async (rows: readonly DotIndexRow[]): Promise<void> => {
    const held = await view.readMany(rows.map(({ address }) => address))
    for (const [index, { dot, address }] of rows.entries()) {
      const entry = held[index]
      if (typeof entry !== 'object') {
        if (!lost.has(address)) note(entry, counts, context)
        lost.add(address)
      } else {
        counts.bytes += entry.envelope.length
        if (entry.dot.writer !== dot.writer || entry.dot.seq !== dot.seq) {
          counts.orphanedIndexRows++
          context.measures.add('orphaned_index_rows')
        }
      }
    }
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
  return [...lost]
}

async function scrubLeaf(leaf: Leaf, counts: ScrubCounts, context: ScrubContext): Promise<void> {
  const { measures, suspects, log } = context
  try {
    const sum = context.state().sumOf(leaf).slice()
    let look = await during(context.store.view(), (view) => lookAt(leaf, view, context))
    for (const entry of look.entries) counts.bytes += entry.envelope.length
    measures.add(
      'scrub_bytes',
      look.entries.reduce((total, { envelope }) => total + envelope.length, 0),
    )
    counts.entries += look.entries.length
    counts.leaves++
    measures.add('scrub_leaves')
    if (look.unreadable.length > 0) {
      for (const { address, held } of look.unreadable) {
        note(held, counts, context)
        await bringBack(address, counts, context)
      }
    } else if (isSame(look.sum, sum)) {
      suspects.onSoundLeaf(leaf)
      return
    }
    // What was committed meanwhile may be in one and not in the other: look again while nothing is.
    const quiet = await quietMoment(leaf, context)
    look = await during(quiet.view, (view) => lookAt(leaf, view, context))
    if (look.unreadable.length === 0 && isSame(look.sum, quiet.sum)) {
      suspects.onSoundLeaf(leaf)
      return
    }
    counts.suspectLeaves++
    const reason = look.unreadable.length > 0 ? 'rows that cannot be read' : 'its rows do not add up to its sum'
    suspects.onSuspectLeaf(leaf, reason)
  } catch (error) {
    if (!isDamage(error)) throw error
    counts.suspectLeaves++
    suspects.onSuspectLeaf(leaf, 'its index cannot be read')
    log.error('leaf-not-readable', { leaf, error: String(error) })
  }
}

interface Look {
  readonly entries: readonly Entry[]
  readonly unreadable: readonly { readonly address: Address; readonly held: 'corrupt' | undefined }[]
  /** Of what can be read. */
  readonly sum: Uint8Array
}

async function lookAt(leaf: Leaf, view: StoreView, { hash }: ScrubContext): Promise<Look> {
  const { entries, unreadable } = await view.leaf(leaf)
  const sum = new Uint8Array(32)
  for (const entry of entries) addDigest(sum, entryDigest(entry, hash))
  return {
    entries,
    sum,
    unreadable: unreadable.map((address) => ({
      address,
      held: view.read(address) === undefined ? undefined : 'corrupt',
    })),
  }
}

/** View and sum of one moment: the committer tells between two batches, when both are the same. */
async function quietMoment(leaf: Leaf, context: ScrubContext): Promise<{ view: StoreView; sum: Uint8Array }> {
  let view: StoreView | undefined
  let sum = new Uint8Array(32)
  await context.changeMembership(() => {
    view = context.store.view()
    sum = context.state().sumOf(leaf).slice()
    return {}
  })
  return { view: view ?? context.store.view(), sum }
}

async function bringBack(address: Address, counts: ScrubCounts, { healer }: ScrubContext): Promise<void> {
  if (typeof (await healer.heal(address)) === 'object') counts.healed++
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

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, index) => byte === b[index])
}

async function during<T>(view: StoreView, use: (view: StoreView) => Promise<T>): Promise<T> {
  try {
    return await use(view)
  } finally {
    await view.close()
  }
}
