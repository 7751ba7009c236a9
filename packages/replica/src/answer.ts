import {
  compareHlc,
  HLC_ZERO,
  RefusalError,
  type Answer,
  type Clock,
  type Hash,
  type Hlc,
  type Measures,
  type Question,
  type QuestionName,
  type ReplicaId,
  type ReplicaReport,
  type RunId,
  type Store,
  type Timers,
} from '@grapevine/core'
import { freshTree } from './fresh-tree.ts'
import { heldEntry } from './heal.ts'
import { soundLeaf } from './leaf-repair.ts'
import type { ChangeMembership } from './membership-change.ts'
import type { Intake } from './intake.ts'
import { entriesByKeyHash, leafDigests, missedEntries, outlinesByKeyHash } from './local-answers.ts'
import type { FailureDetector } from './membership/failure-detector.ts'
import type { ValueGossip } from './membership/value-gossip.ts'
import type { ReplicaState } from './replica-state.ts'
import type { PullPace } from './pull-pace.ts'
import { newestEntry } from './quorum-read.ts'
import { promiseAtLeast, publicationFor, type Knowledge } from './publish.ts'
import type { RollbackWatch } from './rollback-watch.ts'
import type { RumorMonger } from './rumor-monger.ts'
import type { TombstoneWatch } from './tombstone-watch.ts'
import { purgeRecordOf } from './tombstone-reports.ts'
import type { TwinWatch } from './twin-watch.ts'
import type { SuspectLeaves } from './suspect-leaves.ts'
import type { VersionWatch } from './version-watch.ts'

/** What repairs. `leaf-entries` is not among it: reports ask it too, and it changes nothing. */
const ANTI_ENTROPY: ReadonlySet<QuestionName> = new Set([
  'vector-hash',
  'missed-entries',
  'tree-nodes',
  'swap-entries',
  'held-entry',
  'sound-leaf',
])

/** Exchanges that may take entries from us at a time: more would starve the clients (F16). */
const SWAPS_MAX = 2

export interface AnswerContext {
  readonly state: () => ReplicaState
  readonly store: Store
  readonly intake: Intake
  readonly rumors: RumorMonger
  readonly suspects: SuspectLeaves
  readonly versions: VersionWatch
  readonly detector: FailureDetector
  readonly values: ValueGossip
  readonly twins: TwinWatch
  readonly run: RunId
  /** Lets a conversation go on that nobody waits for. */
  readonly background: (conversation: Promise<void>) => void
  readonly pace: Pick<PullPace, 'calledBy'>
  readonly clock: Clock
  readonly timers: Timers
  readonly hash: Hash
  readonly measures: Measures
  readonly answerBytesMax: number
  readonly isPaused: (what: 'rumors' | 'anti-entropy') => boolean
  readonly report: () => ReplicaReport
  readonly changeMembership: ChangeMembership
  /** Stores what a publication brings before it has any effect. */
  readonly learn: (knowledge: Knowledge, from: ReplicaId) => Promise<void>
  /** Takes over a higher frontier (frontier.md R11). */
  readonly learnFrontier: (frontier: Hlc, from: ReplicaId) => Promise<void>
  readonly rollback: RollbackWatch
  /** Whether this run has lost nothing, and so may publish (frontier.md I2, R16). */
  readonly isAcquainted: () => boolean
  /** Drops what the frontier makes absent, to the last row. */
  readonly sweep: () => Promise<void>
  readonly tombstones: TombstoneWatch
}

export type Answerers = {
  readonly [Name in Exclude<QuestionName, 'hello' | 'join' | 'forgotten'>]: (
    question: Question<Name>,
    from: ReplicaId,
  ) => Promise<Answer<Name>> | Answer<Name>
}

/** The answering side of every conversation between members. It keeps nothing between two questions. */
export function answerers(context: AnswerContext): Answerers {
  const { state, store, intake, detector, clock, timers, measures, answerBytesMax } = context
  let swaps = 0
  /** Lets the last question that each member waits with be answered. */
  const releases = new Map<ReplicaId, () => void>()
  return {
    publish: async (question, from) => {
      // Of two that go by one id neither can say what "it" has seen: the frontier waits (frontier.md R16).
      if (question.partitions.length > 0 && context.twins.twin !== undefined)
        throw new RefusalError('cloned', 'another process goes by the id of this node')
      await context.learn(question, from)
      if (question.partitions.length > 0 && !context.isAcquainted())
        throw new RefusalError('busy', 'this node has started, and not heard yet what all others have seen')
      await promiseAtLeast(question.wanted, context)
      if (question.partitions.length > 0) context.rollback.published()
      return publicationFor(state(), question.partitions)
    },
    rumors: async ({ entries, hops }, from) => {
      const rumors = context.rumors
      const fates = await intake.takeIn({ entries, source: 'rumor', from })
      const known: number[] = []
      const lacking: number[] = []
      for (const [index, fate] of fates.entries()) {
        const entry = entries[index]
        if (fate === 'news' && entry !== undefined) {
          rumors.relay(entry, hops)
          measures.observe('rumor_delay_seconds', Math.max(0, clock.wallMs() - entry.version.hlc.wallMs) / 1_000)
        } else if (fate === 'parked' || fate === 'refused' || fate === 'failed') lacking.push(index)
        else known.push(index)
      }
      return { known, lacking }
    },
    'rumor-notice': ({ takesRumors }, from) => {
      context.rumors.notice(from, takesRumors)
      return { takesRumors: !context.isPaused('rumors') }
    },
    'member-values': (question) => context.values.answer(question),
    'hot-rumors': () => ({ entries: context.rumors.hotEntries() }),
    'vector-hash': async ({ vector, roster, frontier }, from) => {
      await context.learnFrontier(frontier, from)
      if (vector === state().vectorHash()) await freshTree(state(), timers)
      // Vector, frontier and root are of one moment: the vector is compared again in the turn in which the root is read.
      const moment = {
        sameRoster: roster === state().rosterHash(),
        frontier: state().frontier,
        purged: state().isPurged,
      }
      if (vector === state().vectorHash()) return { ...moment, partitions: [], root: state().tree.root() }
      context.pace.calledBy(from)
      return { ...moment, partitions: state().partitionVectorHashes(), root: EMPTY_ROOT }
    },
    'missed-entries': async (question) => {
      // Before anything is read: what comes meanwhile may be what makes it so.
      const acquainted = context.isAcquainted()
      const answer = await missedEntries(question, state(), store, answerBytesMax)
      // Who may have lost rows gives no complete answers (R19): single entries yes, claims no.
      const claims = answer.claims.filter(([partition]) => !context.suspects.hasIn(partition))
      return { ...answer, claims, acquainted }
    },
    'tree-nodes': async ({ root, frontier: theirs, nodes }, from) => {
      await context.learnFrontier(theirs, from)
      await context.sweep()
      const tree = await freshTree(state(), timers)
      const { frontier, isPurged } = state()
      if (!isPurged) throw new RefusalError('busy', 'this node is purging')
      if (compareHlc(frontier, theirs) !== 0 || root === tree.root()) return { frontier, children: [] }
      return { frontier, children: nodes.map((node) => tree.children(node)) }
    },
    'leaf-entries': async ({ leaves }) => ({ leaves: await leafDigests(leaves, store, state().frontier) }),
    'swap-entries': async ({ entries, want }, from) => {
      if (swaps >= SWAPS_MAX) throw new RefusalError('busy', 'enough exchanges are under way here')
      swaps++
      try {
        const wanted = await entriesByKeyHash(want, store, state().frontier, answerBytesMax)
        const fates = await intake.takeIn({ entries, source: 'anti-entropy', from })
        return { entries: wanted, taken: fates.filter((fate) => fate === 'news').length }
      } finally {
        swaps--
      }
    },
    time: (question, from) => {
      if (from === detector.self.replica) context.background(context.twins.askedBySelf(question))
      return { run: context.run, wallMs: Math.max(0, Math.round(clock.wallMs())) }
    },
    'sound-leaf': (question, from) => soundLeaf(question, from, context, answerBytesMax),
    'held-entry': (question) => heldEntry(question, state(), store, context.suspects),
    'newest-entry': (question, from) => newestEntry(question, from, context),
    'await-versions': async ({ wanted, waitMs }, from) => {
      // It is asked anew with all that is wanted, and so the one that waits has done its part.
      releases.get(from)?.()
      const { promise: superseded, resolve } = Promise.withResolvers<void>()
      releases.set(from, resolve)
      const since = await context.versions.firstOf(wanted, waitMs, superseded)
      return { held: since.flatMap((atMs, index) => (atMs === undefined ? [] : [{ index, atMs }])) }
    },
    probe: (question, from) => detector.answerProbe(from, question),
    'indirect-probe': (question, from) => detector.answerIndirectProbe(from, question),
    gossip: (question, from) => detector.answerGossip(from, question),
    'push-pull': (question, from) => detector.answerPushPull(from, question),
    report: async ({ partitions, frontier }, from) => {
      await context.learnFrontier(frontier, from)
      await context.sweep()
      const tree = await freshTree(state(), timers)
      return {
        report: context.report(),
        frontier: state().frontier,
        partitions: tree.partitionHashes(),
        leaves: partitions.map((partition) => tree.leafHashes(partition)),
      }
    },
    tombstones: async ({ frontier: theirs }, from) => {
      await context.learnFrontier(theirs, from)
      await context.sweep()
      const oldest = await context.tombstones.lookAtOldest()
      const { totals, frontier } = state()
      return { totals, oldest: oldest?.at ?? HLC_ZERO, frontier, waits: [...context.tombstones.waitsMs()] }
    },
    'purge-record': async ({ keyHash, frontier }, from) => {
      await context.learnFrontier(frontier, from)
      await context.sweep()
      return purgeRecordOf(keyHash, store, state().frontier)
    },
    inspect: async ({ keyHashes }) => ({
      entries: await outlinesByKeyHash(keyHashes, store, state().frontier),
    }),
  }
}

const EMPTY_ROOT = '\0'.repeat(32)

/** A pause is for what it names; reports, probes and membership go on. */
export function refusedWhilePaused(name: QuestionName, isPaused: AnswerContext['isPaused']): boolean {
  if (name === 'rumors' || name === 'hot-rumors') return isPaused('rumors')
  return ANTI_ENTROPY.has(name) && isPaused('anti-entropy')
}
