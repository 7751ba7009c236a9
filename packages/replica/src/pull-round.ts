import {
  compareHlc,
  HLC_ZERO,
  PARTITIONS,
  PEER_FRAME_BYTES_MAX,
  type Answer,
  type Hlc,
  type Partition,
  type Question,
  type ReplicaId,
  type Timers,
  type VectorRows,
  type WriterId,
} from '@grapevine/core'
import type { AskMember } from './ask-member.ts'
import type { Source } from './arrival.ts'
import { yieldToOthers } from './sleep.ts'
import type { Intake } from './intake.ts'
import { vectorBytes } from './local-answers.ts'
import type { ReplicaState } from './replica-state.ts'

export interface PullContext {
  readonly ask: AskMember
  /** Always asked anew: a store that was reopened has another state. */
  readonly state: () => ReplicaState
  readonly intake: Intake
  readonly timers: Timers
  /** Exchanges what is known of members and folded writers with a member who knows otherwise. */
  readonly publishTo: (replica: ReplicaId) => Promise<void>
  /** Takes over a higher frontier of a member all of whose entries have come (frontier.md R7, R11). */
  readonly takeFrontier: (frontier: Hlc, from: ReplicaId) => Promise<void>
  /** The same for its folded writers. */
  readonly takeFolded: (folded: readonly WriterId[], from: ReplicaId) => Promise<void>
  /** Whether this run has heard all that every other member had seen: else it takes over nothing whose entries have not come. */
  readonly isAcquainted: () => boolean
  /** @throws {RefusalError} when the claims show that this directory was rolled back (frontier.md R16). */
  readonly checkClaims: (claims: Answer<'missed-entries'>['claims']) => void
  readonly isStopping: () => boolean
  /** The peer has answered, and so is there. */
  readonly onAnswer?: () => void
}

export interface PullResult {
  readonly entries: number
  /**
   * Whether the roots differ though vectors, frontiers and rosters were equal at one moment of both: then rows were lost
   * (R19). `undefined` when there was no such moment.
   */
  readonly rootsDiffer: boolean | undefined
  /** All that the peer had seen is here. */
  readonly isComplete: boolean
}

/** Of vectors in one question: half a frame. Partitions beyond wait for the next question. */
const VECTOR_BYTES_PER_QUESTION_MAX: number = PEER_FRAME_BYTES_MAX / 2
const BYTES_PER_FOLDED_WRITER = 10
/** 1,024 answers of up to 1 MiB: a round that needs more goes on in the next. */
const ANSWERS_PER_ROUND_MAX = 1_024

/** It is answered out of memory. Whoever takes longer is away, and the next pull may find somebody who is not. */
const VECTOR_HASH_TIMEOUT_MS = 1_000

/** Learns from one member what was missed: 16 bytes when nothing was, else exactly the missed entries. */
export async function pullRound(peer: ReplicaId, context: PullContext): Promise<PullResult> {
  const { state } = context
  const { mine, answer } = await compareVectors(peer, context)
  if (!answer.sameRoster) {
    await context.publishTo(peer)
    if (!context.isAcquainted()) return pullWhole(peer, answer.frontier, context)
  }
  if (answer.partitions.length === 0) {
    await context.takeFrontier(answer.frontier, peer)
    const isSameMoment = state().vectorHash() === mine.vector && answer.purged && state().isPurged
    const isSameFrontier = compareHlc(answer.frontier, state().frontier) === 0
    const areComparable = isSameMoment && answer.sameRoster && isSameFrontier && !state().tree.isStale
    return {
      entries: 0,
      rootsDiffer: areComparable ? answer.root !== state().tree.root() : undefined,
      isComplete: true,
    }
  }
  const ours = state().partitionVectorHashes()
  const differing = answer.partitions.flatMap((hash, partition) => (hash === ours[partition] ? [] : [partition]))
  const { entries, unclaimed } = await pullPartitions(peer, differing, BY_HASH, context)
  const isComplete = unclaimed.length === 0
  if (isComplete) await context.takeFrontier(answer.frontier, peer)
  return { entries, rootsDiffer: undefined, isComplete }
}

/**
 * By a run that may have lost something. A member that has folded other writers covers dots of them that its vectors do not
 * name, in every partition. So all are asked for, and what is folded there is taken over with them (R7).
 */
async function pullWhole(peer: ReplicaId, frontier: Hlc, context: PullContext): Promise<PullResult> {
  const pulled = await pullPartitions(peer, ALL_PARTITIONS, { source: 'pull', namesFolded: true }, context)
  const isComplete = pulled.unclaimed.length === 0
  if (isComplete) {
    await context.takeFolded(pulled.folded, peer)
    await context.takeFrontier(frontier, peer)
  }
  return { entries: pulled.entries, rootsDiffer: undefined, isComplete }
}

/** The 16 bytes, which show both sides whether they have seen the same. */
export async function compareVectors(
  peer: ReplicaId,
  { ask, state }: Pick<PullContext, 'ask' | 'state'>,
): Promise<{ mine: Question<'vector-hash'>; answer: Answer<'vector-hash'> }> {
  const mine = { vector: state().vectorHash(), roster: state().rosterHash(), frontier: state().frontier }
  return { mine, answer: await ask(peer, 'vector-hash', mine, VECTOR_HASH_TIMEOUT_MS) }
}

export interface PullManner {
  readonly source: Extract<Source, 'pull' | 'bootstrap'>
  /** Whether to take over the folded writers of the peer with what is pulled. Else both have to have folded the same. */
  readonly namesFolded: boolean
}

export const BY_HASH: PullManner = { source: 'pull', namesFolded: false }

export interface Pulled {
  readonly entries: number
  readonly unclaimed: readonly Partition[]
  /** Those of the first answer: one that was folded later need not have been covered there when an earlier partition was claimed. */
  readonly folded: readonly WriterId[]
  /** Whether no answer came from a run that may have lost something. */
  readonly isSound: boolean
}

/**
 * Pulls until each of the partitions was answered completely, or nothing more comes. Each question
 * carries the vector as it is then: chunks that were read at different moments never add up to a claim (R8).
 */
export async function pullPartitions(
  peer: ReplicaId,
  partitions: readonly Partition[],
  { source, namesFolded }: PullManner,
  context: PullContext,
): Promise<Pulled> {
  let foldedThere: readonly WriterId[] | undefined
  let isSound = true
  let left = partitions
  let entries = 0
  for (let answers = 0; left.length > 0 && answers < ANSWERS_PER_ROUND_MAX; answers++) {
    const state = context.state()
    const folded = namesFolded ? state.foldedRows() : state.foldedHash()
    const vectors = vectorsOf(left, state, VECTOR_BYTES_PER_QUESTION_MAX - folded.length * BYTES_PER_FOLDED_WRITER)
    const question = { vectors, folded }
    const answer = await context.ask(peer, 'missed-entries', question)
    context.onAnswer?.()
    context.checkClaims(answer.claims)
    foldedThere ??= answer.folded
    isSound &&= answer.acquainted
    // A frontier is about all partitions, and what was asked for may be one of them: a run that may have lost something in the
    // others would refuse it as old from then on (R5). It takes the frontier once all of them were claimed.
    const mayTakeFrontier = source === 'bootstrap' || context.isAcquainted()
    const frontier = mayTakeFrontier ? answer.frontier : HLC_ZERO
    const { fates, isAdopted } = await context.intake.takeAnswer({ ...answer, frontier, source, from: peer })
    entries += fates.filter((fate) => fate === 'news').length
    const claimed = new Set(answer.claims.map(([partition]) => partition))
    // What is parked, or cannot be stored now, comes again: what was told with it is not seen (R7).
    if (claimed.size > 0 && !isAdopted) break
    left = left.filter((partition) => !claimed.has(partition))
    // Nothing more to come from a partition with a row that cannot be read there, or that was parked here.
    if (answer.entries.length === 0 && claimed.size === 0) break
    if (fates.includes('parked') || fates.includes('failed')) break
    if (context.isStopping()) break
    await yieldToOthers(context.timers)
  }
  return { entries, unclaimed: left, folded: foldedThere ?? [], isSound }
}

/** As many of the partitions, with what is seen of them, as one question may carry; at least one. */
function vectorsOf(
  partitions: readonly Partition[],
  state: ReplicaState,
  bytesMax: number,
): (readonly [Partition, VectorRows])[] {
  const vectors: (readonly [Partition, VectorRows])[] = []
  let bytes = 0
  for (const partition of partitions) {
    const rows = state.vector(partition).rows()
    bytes += vectorBytes(rows)
    if (vectors.length > 0 && bytes > bytesMax) break
    vectors.push([partition, rows])
  }
  return vectors
}

export const ALL_PARTITIONS: readonly Partition[] = Array.from({ length: PARTITIONS }, (_, partition) => partition)
