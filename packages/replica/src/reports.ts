import {
  bytesOf,
  compareEntries,
  compareHlc,
  laterHlc,
  LEAVES_PER_PARTITION,
  LEAVES_PER_QUESTION_MAX,
  RefusalError,
  UnreachableError,
  hexOf,
  type Address,
  type Answer,
  type Digest,
  type EntryOutline,
  type Hash,
  type Hlc,
  type Leaf,
  type Partition,
  type Question,
  type ReplicaId,
  type ShortHash,
} from '@grapevine/core'
import { estimateKeys } from '@grapevine/merkle'
import { compareLeaves } from './anti-entropy-round.ts'
import type { AskMember } from './ask-member.ts'
import type { DiffPage, DifferingKey, DivergenceReport, KeyOnReplica, MemberView, PairDivergence } from './replica.ts'

/** What reports ask of this replica as of any other one. */
export type ReportQuestion = 'report' | 'leaf-entries' | 'inspect' | 'tombstones' | 'purge-record'

export interface ReportContext {
  readonly ask: AskMember
  readonly hash: Hash
  readonly self: () => ReplicaId
  readonly members: () => readonly MemberView[]
  readonly frontier: () => Hlc
  readonly learnFrontier: (frontier: Hlc, from: ReplicaId) => Promise<void>
  /** The answer of this replica itself. */
  readonly answer: <Name extends ReportQuestion>(name: Name, question: Question<Name>) => Promise<Answer<Name>>
}

/** Reports are for people, who would rather hear that a member is silent than wait for it. */
export const REPORT_TIMEOUT_MS = 1_500
/** Leaf hashes of so many partitions come in one answer: 128 KiB. */
const PARTITIONS_PER_QUESTION = 64

interface Tree {
  readonly member: MemberView
  readonly answer: Answer<'report'> | undefined
  readonly leaves: Map<Partition, readonly ShortHash[]>
}

/** Compares every pair of members, each by one moment of its own: roots, partitions, then leaves of what differs. */
export async function divergenceReport(context: ReportContext): Promise<DivergenceReport> {
  const members = context.members().filter(({ state }) => state !== 'evicted')
  const trees = await treesOf(members, context)
  await fetchDifferingLeaves(trees, context)
  const pairs = trees.flatMap((a, index) => trees.slice(index + 1).map((b) => comparePair(a, b)))
  return {
    converged: pairs.every((pair) => pair.compared && pair.partitions.length === 0),
    replicas: trees.map(({ member, answer }) => ({ member, report: answer?.report })),
    pairs,
  }
}

/** The trees of all members at one frontier: whoever is behind purges up to the highest one first (frontier.md R11). */
async function treesOf(members: readonly MemberView[], context: ReportContext): Promise<readonly Tree[]> {
  const ask = (): Promise<readonly Tree[]> =>
    Promise.all(
      members.map(async (member): Promise<Tree> => {
        const question = { partitions: [], frontier: context.frontier() }
        return { member, answer: await tryAsk(context, member.replica, 'report', question), leaves: new Map() }
      }),
    )
  const trees = await ask()
  const highest = trees.reduce((high, { answer }) => laterHlc(high, answer?.frontier ?? high), context.frontier())
  if (trees.every(({ answer }) => answer === undefined || compareHlc(answer.frontier, highest) === 0)) return trees
  const from = trees.find(({ answer }) => answer !== undefined && compareHlc(answer.frontier, highest) === 0)
  await context.learnFrontier(highest, from?.member.replica ?? '')
  return ask()
}

/** Exactly the keys that differ between this replica and another one, leaf by leaf (P18). */
export async function diffPage(
  withReplica: ReplicaId,
  fromLeaf: Leaf,
  limit: number,
  context: ReportContext,
): Promise<DiffPage> {
  const self = context.self()
  const question = { partitions: [], frontier: context.frontier() }
  const theirs = await askOrAnswer(context, withReplica, 'report', question)
  await context.learnFrontier(theirs.frontier, withReplica)
  const mine = await askOrAnswer(context, self, 'report', question)
  const partitions = differingIndexes(mine.partitions, theirs.partitions).filter((id) => id >= fromLeaf >>> 8)
  const keys: DifferingKey[] = []
  let nextLeaf: Leaf | undefined
  for (const partition of partitions) {
    const leaves = (await differingLeavesIn(partition, withReplica, context)).filter((leaf) => leaf >= fromLeaf)
    for (let next = 0; next < leaves.length && nextLeaf === undefined;) {
      const asked = leaves.slice(next, next + LEAVES_PER_QUESTION_MAX)
      const { found, listed } = await differingKeys(asked, withReplica, context)
      keys.push(...found)
      next += listed
      if (keys.length >= limit) nextLeaf = leaves[next] ?? (partition + 1) * LEAVES_PER_PARTITION
    }
    if (nextLeaf !== undefined) break
  }
  return {
    a: { name: mine.report.name, root: hexOf(mine.report.root) },
    b: { name: theirs.report.name, root: hexOf(theirs.report.root) },
    keys: keys.toSorted((a, b) => (a.address < b.address ? -1 : 1)),
    nextLeaf: nextLeaf !== undefined && nextLeaf < 256 * LEAVES_PER_PARTITION ? nextLeaf : undefined,
  }
}

/** One key on every member, side by side. */
export async function inspectKey(address: Address, context: ReportContext): Promise<readonly KeyOnReplica[]> {
  const keyHashes = [context.hash.sha256(bytesOf(address))]
  return Promise.all(
    context.members().map(async (member): Promise<KeyOnReplica> => {
      const answer = await tryAsk(context, member.replica, 'inspect', { keyHashes })
      return { member, entry: answer === undefined ? 'unreachable' : (answer.entries[0] ?? null) }
    }),
  )
}

async function fetchDifferingLeaves(trees: readonly Tree[], context: ReportContext): Promise<void> {
  const [first, ...others] = trees.flatMap(({ answer }) => answer ?? [])
  if (first === undefined) return
  const differing = new Set(others.flatMap((other) => differingIndexes(first.partitions, other.partitions)))
  const partitions = [...differing].toSorted((a, b) => a - b)
  for (let from = 0; from < partitions.length; from += PARTITIONS_PER_QUESTION) {
    const asked = partitions.slice(from, from + PARTITIONS_PER_QUESTION)
    await Promise.all(
      trees.map(async ({ member, answer, leaves }) => {
        if (answer === undefined) return
        const detailed = await tryAsk(context, member.replica, 'report', {
          partitions: asked,
          frontier: context.frontier(),
        })
        for (const [index, partition] of asked.entries()) leaves.set(partition, detailed?.leaves[index] ?? [])
      }),
    )
  }
}

function comparePair(a: Tree, b: Tree): PairDivergence {
  const names = { a: a.member.name, b: b.member.name }
  if (a.answer === undefined || b.answer === undefined)
    return { ...names, compared: false, partitions: [], leaves: 0, estimatedKeys: 0 }
  let leaves = 0
  const partitions: Partition[] = []
  for (const [partition, mine] of a.leaves) {
    const differing = differingIndexes(mine, b.leaves.get(partition) ?? []).length
    leaves += differing
    if (differing > 0) partitions.push(partition)
  }
  return { ...names, compared: true, partitions, leaves, estimatedKeys: estimateKeys(leaves) }
}

async function differingLeavesIn(partition: Partition, other: ReplicaId, context: ReportContext): Promise<Leaf[]> {
  const question = { partitions: [partition], frontier: context.frontier() }
  const [mine, theirs] = await Promise.all([
    askOrAnswer(context, context.self(), 'report', question),
    askOrAnswer(context, other, 'report', question),
  ])
  const differing = differingIndexes(mine.leaves[0] ?? [], theirs.leaves[0] ?? [])
  return differing.map((index) => partition * LEAVES_PER_PARTITION + index)
}

async function differingKeys(
  leaves: readonly Leaf[],
  other: ReplicaId,
  context: ReportContext,
): Promise<{ found: DifferingKey[]; listed: number }> {
  const [mine, theirs] = await Promise.all([
    askOrAnswer(context, context.self(), 'leaf-entries', { leaves }),
    askOrAnswer(context, other, 'leaf-entries', { leaves }),
  ])
  const listed = Math.min(mine.leaves.length, theirs.leaves.length)
  if (listed === 0) return { found: [], listed: leaves.length }
  const { push, pull } = compareLeaves(mine.leaves.slice(0, listed), theirs.leaves.slice(0, listed))
  return { found: await outlines([...push, ...pull], other, context), listed }
}

/** Both sides are read again, key by key, so that what was on its way during the comparison is not reported. */
async function outlines(
  keyHashes: readonly Digest[],
  other: ReplicaId,
  context: ReportContext,
): Promise<DifferingKey[]> {
  const found: DifferingKey[] = []
  for (let from = 0; from < keyHashes.length; from += 256) {
    const asked = keyHashes.slice(from, from + 256)
    const [mine, theirs] = await Promise.all([
      askOrAnswer(context, context.self(), 'inspect', { keyHashes: asked }),
      askOrAnswer(context, other, 'inspect', { keyHashes: asked }),
    ])
    for (const index of asked.keys()) {
      const a = readable(mine.entries[index])
      const b = readable(theirs.entries[index])
      const address = a?.address ?? b?.address
      if (address === undefined || a?.hash === b?.hash) continue
      found.push({ address, a, b, newer: b === null || (a !== null && compareEntries(a, b) > 0) ? 'a' : 'b' })
    }
  }
  return found
}

function readable(outline: EntryOutline | 'corrupt' | null | undefined): EntryOutline | null {
  return typeof outline === 'object' ? outline : null
}

function differingIndexes(a: readonly ShortHash[], b: readonly ShortHash[]): number[] {
  return a.flatMap((hash, index) => (hash === b[index] ? [] : [index]))
}

function askOrAnswer<Name extends ReportQuestion>(
  context: ReportContext,
  replica: ReplicaId,
  name: Name,
  question: Question<Name>,
): Promise<Answer<Name>> {
  return replica === context.self()
    ? context.answer(name, question)
    : context.ask(replica, name, question, REPORT_TIMEOUT_MS)
}

/** `undefined` when it does not answer. */
export async function tryAsk<Name extends ReportQuestion>(
  context: ReportContext,
  replica: ReplicaId,
  name: Name,
  question: Question<Name>,
): Promise<Answer<Name> | undefined> {
  try {
    return await askOrAnswer(context, replica, name, question)
  } catch (error) {
    if (error instanceof UnreachableError || error instanceof RefusalError) return undefined
    throw error
  }
}
