import {
  compareEntries,
  compareHlc,
  ENTRIES_PER_QUESTION_MAX,
  leafOf,
  LEAVES_PER_QUESTION_MAX,
  RUMORS_PER_QUESTION_MAX,
  RefusalError,
  TREE_NODES_PER_QUESTION_MAX,
  type Clock,
  type Digest,
  type Entry,
  type EntryDigest,
  type Hlc,
  type Leaf,
  type ReplicaId,
  type Store,
  type Timers,
  type TreeNode,
} from '@grapevine/core'
import { differingChildren } from '@grapevine/merkle'
import type { AskMember } from './ask-member.ts'
import { sleep, yieldToOthers } from './sleep.ts'
import { freshTree } from './fresh-tree.ts'
import type { Intake } from './intake.ts'
import { entriesByKeyHash, leafDigests } from './local-answers.ts'
import type { ReplicaState } from './replica-state.ts'

export interface AntiEntropyContext {
  readonly ask: AskMember
  readonly state: () => ReplicaState
  readonly store: Store
  readonly intake: Intake
  readonly clock: Clock
  readonly timers: Timers
  readonly questionBytesMax: number
  readonly repairBytesPerSecond: number
  /** Takes over a higher frontier (frontier.md R11). */
  readonly learnFrontier: (frontier: Hlc, from: ReplicaId) => Promise<void>
  /** Drops what the frontier makes absent, to the last row. */
  readonly sweep: () => Promise<void>
  /** Two leaves differ though their rows do not, or by rows that one side has and the other does not take. */
  readonly onOddLeaf: (leaf: Leaf, peer: ReplicaId) => void
}

/** What one exchange did. */
export interface Exchange {
  questions: number
  /** From the root. More than one when a frontier moved meanwhile. */
  walks: number
  leaves: number
  /** Partitions in which leaves differed. */
  partitions: number
  keysIn: number
  keysOut: number
  bytesIn: number
  bytesOut: number
}

/** What an exchange comes to before its first question. */
export const NO_EXCHANGE: Exchange = {
  questions: 0,
  walks: 0,
  leaves: 0,
  partitions: 0,
  keysIn: 0,
  keysOut: 0,
  bytesIn: 0,
  bytesOut: 0,
}

const ROOT: TreeNode = { depth: 0, index: 0 }
const LEAF_DEPTH = 16

/**
 * Compares this replica with another one by their hash trees, and swaps what is missing both ways. Two equal
 * replicas exchange one question. Whoever answers keeps nothing, so either side may stop at any point; what was
 * swapped until then stays, and the next exchange finds the rest.
 */
export async function reconcile(peer: ReplicaId, context: AntiEntropyContext): Promise<Exchange> {
  const exchange = { ...NO_EXCHANGE }
  const leaves = await differingLeaves(peer, exchange, context)
  exchange.leaves = leaves.length
  exchange.partitions = new Set(leaves.map((leaf) => leaf >>> 8)).size
  for (let next = 0; next < leaves.length;) {
    const asked = leaves.slice(next, next + LEAVES_PER_QUESTION_MAX)
    exchange.questions++
    const theirs = await context.ask(peer, 'leaf-entries', { leaves: asked })
    const listed = theirs.leaves.length
    if (listed === 0) break
    const mine = await leafDigestsOf(asked.slice(0, listed), context)
    for (const [index, leaf] of asked.slice(0, listed).entries())
      if (areSame(mine[index] ?? [], theirs.leaves[index] ?? [])) context.onOddLeaf(leaf, peer)
    await swap(peer, compareLeaves(mine, theirs.leaves), exchange, context)
    next += listed
  }
  return exchange
}

/** How often the walk begins anew because a frontier moved. They move every few seconds at most. */
const WALKS_MAX = 4

/**
 * The leaves that differ. Trees are compared only when both are exact for the same frontier: the lower side first purges up
 * to the higher one (frontier.md R11).
 */
async function differingLeaves(peer: ReplicaId, exchange: Exchange, context: AntiEntropyContext): Promise<Leaf[]> {
  for (let walks = 0; walks < WALKS_MAX; walks++) {
    await context.sweep()
    exchange.walks++
    const leaves = await walkDown(peer, exchange, context)
    if (leaves !== undefined) return leaves
  }
  throw new RefusalError('busy', 'the frontiers of both sides did not become equal')
}

/** Walks down from the root, four levels a question, along what differs; `undefined` when a frontier has moved. */
async function walkDown(peer: ReplicaId, exchange: Exchange, context: AntiEntropyContext): Promise<Leaf[] | undefined> {
  const { frontier } = context.state()
  let level: readonly TreeNode[] = [ROOT]
  while (level.length > 0 && level[0]?.depth !== LEAF_DEPTH) {
    const below: TreeNode[] = []
    for (let next = 0; next < level.length; next += TREE_NODES_PER_QUESTION_MAX) {
      const nodes = level.slice(next, next + TREE_NODES_PER_QUESTION_MAX)
      const tree = await freshTree(context.state(), context.timers)
      exchange.questions++
      if (compareHlc(context.state().frontier, frontier) !== 0) return undefined
      const answer = await context.ask(peer, 'tree-nodes', { root: tree.root(), frontier, nodes })
      const { children } = answer
      if (compareHlc(answer.frontier, frontier) !== 0) {
        await context.learnFrontier(answer.frontier, peer)
        return undefined
      }
      for (const [index, theirs] of children.entries()) {
        const parent = nodes[index]
        if (parent !== undefined)
          below.push(...differingChildren(parent, context.state().tree.children(parent), theirs))
      }
    }
    level = below
  }
  return level.map(({ index }) => index)
}

async function leafDigestsOf(leaves: readonly Leaf[], context: AntiEntropyContext): Promise<EntryDigest[][]> {
  const listed: EntryDigest[][] = []
  while (listed.length < leaves.length) {
    const { frontier } = context.state()
    listed.push(...(await leafDigests(leaves.slice(listed.length), context.store, frontier)))
  }
  return listed
}

/** Which keys each side is to give: ours that are newer or unknown there, theirs that are newer or unknown here. */
export interface Differences {
  readonly push: readonly Digest[]
  readonly pull: readonly Digest[]
}

export function compareLeaves(
  mine: readonly (readonly EntryDigest[])[],
  theirs: readonly (readonly EntryDigest[])[],
): Differences {
  const here = new Map(mine.flat().map((digest) => [digest.keyHash, digest]))
  const push: Digest[] = []
  const pull: Digest[] = []
  for (const their of theirs.flat()) {
    const our = here.get(their.keyHash)
    here.delete(their.keyHash)
    const order = our === undefined ? -1 : compareEntries(our, their)
    if (order < 0) pull.push(their.keyHash)
    if (order > 0) push.push(their.keyHash)
  }
  push.push(...here.keys())
  return { push, pull }
}

/** Then the leaves differed by something that is not in their rows, unless it came or went since. */
function areSame(mine: readonly EntryDigest[], theirs: readonly EntryDigest[]): boolean {
  const { push, pull } = compareLeaves([mine], [theirs])
  return push.length + pull.length === 0
}

async function swap(
  peer: ReplicaId,
  { push, pull }: Differences,
  exchange: Exchange,
  context: AntiEntropyContext,
): Promise<void> {
  let given = 0
  let taken = 0
  while (given < push.length || taken < pull.length) {
    const { frontier } = context.state()
    const entries = await entriesByKeyHash(push.slice(given), context.store, frontier, context.questionBytesMax)
    const want = pull.slice(taken, taken + Math.min(ENTRIES_PER_QUESTION_MAX, RUMORS_PER_QUESTION_MAX))
    const startedMs = context.clock.monotonicMs()
    exchange.questions++
    const answer = await context.ask(peer, 'swap-entries', { entries, want })
    await context.intake.takeIn({ entries: answer.entries, source: 'anti-entropy', from: peer })
    // Not one of ours was news there, though they had listed none of them: the rules for what arrives do not mend that.
    if (answer.taken === 0) for (const { keyHash } of entries) context.onOddLeaf(leafOf(keyHash), peer)
    const bytesOut = bytesOf(entries)
    const bytesIn = bytesOf(answer.entries)
    exchange.keysOut += answer.taken
    exchange.keysIn += answer.entries.length
    exchange.bytesOut += bytesOut
    exchange.bytesIn += bytesIn
    // A row that meanwhile changed or cannot be read comes from neither side: the next exchange sees it again.
    given = entries.length === 0 ? push.length : given + entries.length
    taken = answer.entries.length === 0 ? pull.length : taken + answer.entries.length
    await pace(bytesIn + bytesOut, startedMs, context)
  }
}

/** Foreground traffic comes first: not faster than the repair rate, and never without a pause. */
async function pace(
  bytes: number,
  startedMs: number,
  { clock, timers, repairBytesPerSecond }: AntiEntropyContext,
): Promise<void> {
  const aheadMs = (bytes / repairBytesPerSecond) * 1_000 - (clock.monotonicMs() - startedMs)
  await (aheadMs > 1 ? sleep(timers, aheadMs) : yieldToOthers(timers))
}

function bytesOf(entries: readonly Entry[]): number {
  return entries.reduce((sum, entry) => sum + entry.envelope.length, 0)
}
