import {
  compareHlc,
  isBeyondDrift,
  newerOf,
  presentAt,
  replaceLeaf,
  settleLeaf,
  vectorText,
  VersionVector,
  RUMORS_PER_QUESTION_MAX,
  type Address,
  type Answer,
  type Clock,
  type Digest,
  type Dot,
  type Entry,
  type EntryDigest,
  type Hlc,
  type Leaf,
  type Question,
  type ReplicaId,
  type StoreView,
  type UndecidedRow,
  type Version,
  type WriterId,
} from '@grapevine/core'
import { errorOf, type LeafRepair } from './arrival.ts'
import type { AskMember } from './ask-member.ts'
import type { Committer } from './committer.ts'
import { quietLook, type LeafMoment, type LookContext } from './leaf-look.ts'
import { digestOf } from './local-answers.ts'
import type { SuspectLeaves } from './suspect-leaves.ts'

export interface LeafRepairContext extends LookContext {
  readonly ask: AskMember
  readonly committer: Pick<Committer, 'submit'>
  readonly clock: Clock
  readonly driftMs: number
  readonly suspects: SuspectLeaves
  /** Exchanges what is known of members and folded writers with a member who knows otherwise. */
  readonly publishTo: (replica: ReplicaId) => Promise<void>
  /** Takes over a higher frontier (frontier.md R11). */
  readonly learnFrontier: (frontier: Hlc, from: ReplicaId) => Promise<void>
  /** Drops what the frontier makes absent, to the last row. */
  readonly sweep: () => Promise<void>
}

/** What came of asking one member about a leaf. */
export type LeafOutcome =
  /** That member is no help now: it is behind, in doubt itself, or ahead of our clock. */
  | { readonly kind: 'no-help' }
  /** The leaf took the place of ours, which had lost rows (R19). */
  | {
      readonly kind: 'replaced'
      readonly put: number
      readonly dropped: number
      /** Of those put, what no index had led to. */
      readonly hidden: number
    }
  /** Both are sound; what could be decided is (R20). */
  | {
      readonly kind: 'settled'
      readonly put: number
      readonly dropped: number
      readonly undecided: readonly UndecidedRow[]
    }

/** Each answer but the last brings a frame of entries, a roster or a frontier: 64 MiB of one leaf are more than there is. */
const QUESTIONS_MAX = 64
/** A roster and a frontier, and what of both came meanwhile. A run that takes neither on trust has to pull first (`pullRound`). */
const UNEQUAL_MAX = 4
/** A reader may wait for it. Whoever takes longer is asked again by the next round. */
const ANSWER_TIMEOUT_MS = 2_000
/** Each is a search through all that is remembered of purges. */
const PURGE_RECORDS_PER_ANSWER_MAX = 64
const NO_HELP: LeafOutcome = { kind: 'no-help' }

/**
 * Asks one member what it holds of a leaf, and mends ours by the answer. A leaf of which rows are lost, or cannot be read, is
 * replaced by that of a member whose own adds up and who has seen all that we have seen (frontier.md R19). Two sound
 * leaves that differ at equal vectors, frontiers and rosters are settled row by row (R20). No vote: others are not asked.
 *
 * Why may a row that cannot be read be dropped when that member holds nothing for its key? Our vector claims its dot, so
 * does theirs; by I1 they hold it or something newer, or have dropped something newer. Their leaf adds up, so nothing was lost
 * there: they have dropped it, and at equal frontiers what is dropped there is absent here (I7).
 *
 * @param unreadable rows that cannot be read, also such as no index leads to.
 */
export async function repairLeaf(
  leaf: Leaf,
  peer: ReplicaId,
  unreadable: readonly Address[],
  context: LeafRepairContext,
): Promise<LeafOutcome> {
  const { ask, state, clock, driftMs, suspects } = context
  let hidden = 0
  let put = 0
  let unequal = 0
  for (let asked = 0; asked < QUESTIONS_MAX; asked++) {
    await context.sweep()
    const folded = state().folded
    const purged: [Digest, Version][] = []
    const lost: Address[] = []
    const mine = await quietLook(leaf, context, async (view) => {
      for (const address of unreadable) if (typeof view.read(address) !== 'object') lost.push(address)
    })
    const answer = await ask(peer, 'sound-leaf', questionOf(leaf, mine), ANSWER_TIMEOUT_MS)
    const isSameFrontier = compareHlc(answer.frontier, mine.frontier) === 0
    if (!answer.sameRoster || !isSameFrontier) {
      if (++unequal > UNEQUAL_MAX) return NO_HELP
      if (!answer.sameRoster) await context.publishTo(peer)
      await context.learnFrontier(answer.frontier, peer)
      continue
    }
    if (!answer.sound || !answer.contains) return NO_HELP
    // What others rightly hold is parked by a clock that is behind (R3), and a leaf cannot be taken in part.
    if (answer.entries.some((entry) => isBeyondDrift(entry, clock.wallMs(), driftMs))) return NO_HELP
    if (!mine.isSound || lost.length > 0 || suspects.isSuspect(leaf)) {
      const isComplete = answer.entries.length === lackedBy(mine, answer.listed).length
      const changed = await replace(
        leaf,
        peer,
        answer,
        mine.frontier,
        isComplete ? [...mine.unreadable, ...lost] : undefined,
        folded,
        context,
      )
      put += changed.put
      hidden += Math.max(0, changed.put - mine.unreadable.length)
      if (isComplete) return { kind: 'replaced', put, dropped: changed.dropped, hidden }
    } else {
      // An ordinary difference, which pulls and exchanges bring to its end.
      if (vectorText(answer.vector) !== vectorText(mine.vector)) return NO_HELP
      await withView(context, async (view) => {
        const lacked = answer.entries.filter(({ version }) => compareHlc(version.hlc, mine.frontier) <= 0)
        purged.push(...(await purgedOf(lacked, view)))
      })
      const settled = await settle(leaf, peer, answer, mine, purged, context)
      if (answer.entries.length === lackedBy(mine, answer.listed).length) return settled
    }
  }
  return NO_HELP
}

/** Makes the sum of a leaf that of its rows. Only for whoever has nobody to ask. Returns whether that could be done. */
export async function acceptLeaf(leaf: Leaf, context: LeafRepairContext): Promise<boolean> {
  const { unreadable, frontier } = await quietLook(leaf, context)
  // They are still there, and only a write of their keys ends it.
  if (unreadable.length > 0) return false
  const nothing = { entries: [], unreadable: [], change: () => ({ put: [], drop: [] }) }
  const self = context.state().identity?.replica ?? ''
  await commit({ leaf, from: self, frontier, ...nothing, replaces: true, isComplete: true }, context)
  return true
}

/** The other side. It looks at its own rows first: who is in doubt about them says nothing of others'. */
export async function soundLeaf(
  { leaf, vector, frontier, roster, held }: Question<'sound-leaf'>,
  from: ReplicaId,
  context: LookContext & Pick<LeafRepairContext, 'suspects' | 'learnFrontier' | 'sweep'>,
  answerBytesMax: number,
): Promise<Answer<'sound-leaf'>> {
  const { suspects } = context
  await context.learnFrontier(frontier, from)
  await context.sweep()
  const purged: [Digest, Version][] = []
  const mine = await quietLook(leaf, context, async (view) => {
    const listed = new Set((await view.leaf(leaf)).entries.map(({ keyHash }) => keyHash))
    const lacking = held.filter(
      ({ keyHash, version }) => !listed.has(keyHash) && compareHlc(version.hlc, frontier) <= 0,
    )
    purged.push(...(await purgedOf(lacking, view)))
  })
  const about = { sameRoster: roster === mine.roster, frontier: mine.frontier }
  const nothing = { ...about, sound: false, contains: false, vector: [], listed: [], entries: [], purged: [] }
  if (!about.sameRoster || compareHlc(mine.frontier, frontier) !== 0) return nothing
  if (!mine.isSound) suspects.onSuspectLeaf(leaf, 'its rows do not add up to its sum')
  if (!mine.isSound || suspects.isSuspect(leaf)) return nothing
  // Equal rosters name equal folded writers, so neither vector names one.
  if (!VersionVector.of(mine.vector).contains(vector)) return { ...nothing, sound: true }
  const present = presentOf(mine)
  return {
    ...about,
    sound: true,
    contains: true,
    vector: mine.vector,
    listed: present.map(digestOf),
    entries: asManyAsFit(
      newerOf(held, present.map(shortened)).map(({ entry }) => entry),
      answerBytesMax,
    ),
    purged,
  }
}

function questionOf(leaf: Leaf, mine: LeafMoment): Question<'sound-leaf'> {
  const { vector, frontier, roster } = mine
  return { leaf, vector, frontier, roster, held: presentOf(mine).map(digestOf) }
}

function replace(
  leaf: Leaf,
  from: ReplicaId,
  { listed, entries, vector }: Answer<'sound-leaf'>,
  frontier: Hlc,
  /** `undefined` when more is to come: nothing is concluded from what this answer lacks. */
  unreadable: readonly Address[] | undefined,
  folded: ReadonlySet<WriterId>,
  context: LeafRepairContext,
): Promise<{ put: number; dropped: number }> {
  const seen = VersionVector.of(vector)
  const covers = (dot: Dot): boolean => folded.has(dot.writer) || seen.covers(dot)
  return commit(
    {
      leaf,
      from,
      frontier,
      entries,
      change: (held) => replaceLeaf(held, { listed, covers }, entries),
      unreadable: unreadable ?? [],
      replaces: true,
      isComplete: unreadable !== undefined,
    },
    context,
  )
}

async function settle(
  leaf: Leaf,
  from: ReplicaId,
  { listed, entries, purged }: Answer<'sound-leaf'>,
  { frontier }: LeafMoment,
  purgedHere: readonly (readonly [Digest, Version])[],
  context: LeafRepairContext,
): Promise<LeafOutcome> {
  let undecided: readonly UndecidedRow[] = []
  const change: LeafRepair['change'] = (held) => {
    const settlement = settleLeaf({
      held,
      listed,
      sent: entries,
      frontier,
      purgedHere: new Map(purgedHere),
      purgedThere: new Map(purged),
    })
    undecided = settlement.undecided
    return settlement
  }
  const changed = await commit(
    { leaf, from, frontier, entries, change, unreadable: [], replaces: false, isComplete: true },
    context,
  )
  return { kind: 'settled', ...changed, undecided }
}

function commit(
  repair: Omit<LeafRepair, 'kind' | 'settle' | 'fail'>,
  { committer }: LeafRepairContext,
): Promise<{ put: number; dropped: number }> {
  return new Promise((resolve, reject) => {
    committer.submit({ kind: 'leaf', ...repair, settle: resolve, fail: (failure) => reject(errorOf(failure)) })
  })
}

function presentOf({ entries, frontier }: LeafMoment): Entry[] {
  return entries.filter((entry) => presentAt(entry, frontier) !== undefined)
}

/** Compared as digests are, whose hashes are short. */
function shortened(entry: Entry): EntryDigest & { readonly entry: Entry } {
  return { ...digestOf(entry), entry }
}

function lackedBy(mine: LeafMoment, listed: readonly EntryDigest[]): readonly EntryDigest[] {
  return newerOf(presentOf(mine).map(digestOf), listed)
}

function asManyAsFit(entries: readonly Entry[], bytesMax: number): Entry[] {
  let bytes = 0
  return entries.slice(0, RUMORS_PER_QUESTION_MAX).filter(({ envelope }, index) => {
    bytes += envelope.length
    return index === 0 || bytes <= bytesMax
  })
}

async function purgedOf(
  lacking: readonly { readonly keyHash: Digest }[],
  view: StoreView,
): Promise<[Digest, Version][]> {
  const purged: [Digest, Version][] = []
  for (const { keyHash } of lacking.slice(0, PURGE_RECORDS_PER_ANSWER_MAX)) {
    const record = await view.purgeRecord(keyHash)
    if (record !== undefined) purged.push([keyHash, record.version])
  }
  return purged
}

async function withView({ store }: LeafRepairContext, use: (view: StoreView) => Promise<void>): Promise<void> {
  const view = store.view()
  try {
    await use(view)
  } finally {
    await view.close()
  }
}
