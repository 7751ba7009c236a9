import {
  bytesOf,
  compareHlc,
  FRONTIER_GROUNDS_MAX,
  HLC_ZERO,
  hlcAt,
  isExpired,
  laterHlc,
  type Acknowledgement,
  type Address,
  type Answer,
  type Clock,
  type Digest,
  type EntryOutline,
  type FrontierGrounds,
  type Hlc,
  type PurgeRecord,
  type ReplicaId,
  type Store,
  type Totals,
} from '@grapevine/core'
import { outlineOf } from './local-answers.ts'
import type { MemberView } from './replica.ts'
import { tryAsk, type ReportContext } from './reports.ts'
import { isWaitedFor, type TombstoneWatch } from './tombstone-watch.ts'

export interface TombstoneReportContext extends ReportContext {
  readonly tombstones: TombstoneWatch
  readonly store: Store
  readonly clock: Clock
  /**
   * Asks all members for their publications now, and raises the frontier as far as they allow. `false` when this node is paused:
   * then what is told of the members is what they said before.
   */
  readonly lookAtFrontier: () => Promise<boolean>
}

/** What a member has said for the frontier, with the member itself. */
export interface MemberAcknowledgement extends Omit<Acknowledgement, 'replica'> {
  readonly member: MemberView
}

/** A member that the frontier waits for. */
export interface FrontierWait extends MemberAcknowledgement {
  /** As long as any member knows of it; a restart forgets. */
  readonly heldForMs: number
}

export interface TombstonesOnMember {
  readonly member: MemberView
  /** `undefined` when it did not answer. */
  readonly answer: { readonly totals: Totals; readonly oldest: Hlc; readonly frontier: Hlc } | undefined
}

export interface TombstoneReport {
  /** Whether the members were asked just now. */
  readonly looked: boolean
  /** F of this replica. */
  readonly frontier: Hlc
  /** When it became that, by this replica's wall clock; `undefined` when that is not remembered. */
  readonly raisedAtMs: number | undefined
  /** The first that may go, over all members that answered: a tombstone's version or an expiry that has passed. */
  readonly oldest: Hlc | undefined
  readonly members: readonly TombstonesOnMember[]
  readonly waits: readonly FrontierWait[]
  readonly isPilingUp: boolean
}

/** What waits to be purged on every member, and for whom. Members are asked for their publications first: it is as of now. */
export async function tombstoneReport(context: TombstoneReportContext): Promise<TombstoneReport> {
  const { tombstones, store } = context
  const looked = await context.lookAtFrontier()
  const members = await Promise.all(
    present(context).map(async (member) => ({
      member,
      answer: await tryAsk(context, member.replica, 'tombstones', { frontier: context.frontier() }),
    })),
  )
  const answers = members.flatMap(({ answer }) => answer ?? [])
  const oldest = earliest(answers.map((answer) => answer.oldest).filter((at) => compareHlc(at, HLC_ZERO) > 0))
  const frontier = context.frontier()
  const raised = (await groundsIn(store)).find((grounds) => compareHlc(grounds.frontier, frontier) === 0)
  return {
    looked,
    frontier,
    raisedAtMs: raised?.atMs,
    oldest,
    members,
    waits: oldest === undefined ? [] : waitsOf(oldest, answers, context),
    isPilingUp: tombstones.isPilingUp,
  }
}

function waitsOf(
  oldest: Hlc,
  answers: readonly Answer<'tombstones'>[],
  context: TombstoneReportContext,
): readonly FrontierWait[] {
  const waited = new Map<ReplicaId, number>()
  for (const { frontier, waits } of answers)
    // Who is behind with the frontier speaks of a round that is over.
    if (compareHlc(frontier, context.frontier()) === 0)
      for (const [replica, forMs] of waits) waited.set(replica, Math.max(forMs, waited.get(replica) ?? 0))
  return context.tombstones
    .acknowledgements(oldest)
    .filter(isWaitedFor)
    .map((acknowledgement) => ({
      ...withMember(acknowledgement, context),
      heldForMs: waited.get(acknowledgement.replica) ?? 0,
    }))
}

/** Where a key stands on one member. */
export interface KeyEnd {
  readonly member: MemberView
  readonly state: 'value' | 'expired' | 'tombstone' | 'purged' | 'nothing' | 'corrupt' | 'unreachable'
  readonly held: EntryOutline | undefined
  readonly purged: PurgeRecord | undefined
}

export interface TombstoneExplanation {
  /**
   * `waiting`: a tombstone or expired value that is held until the frontier has passed it. `absent`: it has, and the rows go with
   * the next purge round. `purged`: they are gone. `unknown`: nothing is held, and nothing remembered.
   */
  readonly state: 'value' | 'waiting' | 'absent' | 'purged' | 'unknown' | 'corrupt'
  /** Whether the members were asked just now. */
  readonly looked: boolean
  readonly frontier: Hlc
  /** What this replica holds. */
  readonly held: EntryOutline | undefined
  /** What the frontier has to pass, or had to. */
  readonly purgeableAt: Hlc | undefined
  /** While it waits: what each member has said so far. */
  readonly acknowledgements: readonly MemberAcknowledgement[]
  readonly purged: PurgeRecord | undefined
  /** Why the frontier had passed it, in the words of whoever decided; `undefined` when nobody that answers remembers. */
  readonly grounds: { readonly decidedBy: MemberView | ReplicaId; readonly said: FrontierGrounds } | undefined
  /** The key on every member. */
  readonly keys: readonly KeyEnd[]
  /** How far back this replica remembers purges; `undefined` when it remembers none. */
  readonly rememberedSinceMs: number | undefined
}

/** What became of a key, and why that is safe: what it waits for, or what the members had said before it went. */
export async function explainTombstone(
  address: Address,
  context: TombstoneReportContext,
): Promise<TombstoneExplanation> {
  const wallMs = context.clock.wallMs()
  const looked = await context.lookAtFrontier()
  const keyHash = context.hash.sha256(bytesOf(address))
  const told = await Promise.all(
    present(context).map(async (member) => ({
      member,
      answer: await tryAsk(context, member.replica, 'purge-record', { keyHash, frontier: context.frontier() }),
    })),
  )
  const frontier = context.frontier()
  const mine = told.find(({ member }) => member.isSelf)?.answer
  const answers = told.flatMap(({ answer }) => answer ?? [])
  const held = outlineIn(mine)
  // What this replica never had, or has forgotten, another one may remember.
  const purged = held === undefined ? (mine?.purged[0] ?? answers.flatMap((answer) => answer.purged)[0]) : undefined
  const purgeableAt = held === undefined ? purged && recordPurgeableAt(purged) : outlinePurgeableAt(held)
  const state = stateOf(mine?.held ?? null, { purgeableAt, frontier, wallMs, isPurged: purged !== undefined })
  return {
    state,
    looked,
    frontier,
    held,
    purgeableAt,
    acknowledgements:
      state === 'waiting' && purgeableAt !== undefined
        ? context.tombstones.acknowledgements(purgeableAt).map((each) => withMember(each, context))
        : [],
    purged,
    grounds: state === 'absent' || state === 'purged' ? decisionIn(told, context) : undefined,
    keys: told.map(({ member, answer }) => keyEnd(member, answer, wallMs)),
    rememberedSinceMs: mine === undefined || mine.rememberedSinceMs === 0 ? undefined : mine.rememberedSinceMs,
  }
}

/** The answer to `purge-record`. What is on disk, also what is absent by the frontier already. */
export async function purgeRecordOf(keyHash: Digest, store: Store, frontier: Hlc): Promise<Answer<'purge-record'>> {
  const view = store.view()
  try {
    const [row] = await view.readByKeyHash([keyHash])
    const held = outlineOf(row)
    const purged = held === null ? await view.purgeRecord(keyHash) : undefined
    const at = purged === undefined ? outlinePurgeableAt(outlineOrNone(held)) : recordPurgeableAt(purged)
    const grounds =
      at === undefined || compareHlc(at, frontier) > 0
        ? undefined
        : groundsFor(at, purged?.purgedAtMs, await view.frontierGrounds())
    return {
      frontier,
      held,
      purged: purged === undefined ? [] : [purged],
      grounds: grounds === undefined ? [] : [grounds],
      rememberedSinceMs: (await view.purgesSinceMs()) ?? 0,
    }
  } finally {
    await view.close()
  }
}

/**
 * The raise that let the frontier pass: the first one to reach it.
 * @param all newest first.
 */
export function groundsFor(
  at: Hlc,
  purgedAtMs: number | undefined,
  all: readonly FrontierGrounds[],
): FrontierGrounds | undefined {
  const first = all.findLast(({ frontier }) => compareHlc(frontier, at) >= 0)
  // When older ones were dropped, the first that is left may be of after the purge: then it was not for this one.
  const isForgotten = all.length >= FRONTIER_GROUNDS_MAX && first === all.at(-1)
  return isForgotten && first !== undefined && first.atMs > (purgedAtMs ?? 0) ? undefined : first
}

interface Told {
  readonly member: MemberView
  readonly answer: Answer<'purge-record'> | undefined
}

/** Who decided remembers what everybody had said; who took over only knows from whom. */
function decisionIn(told: readonly Told[], context: TombstoneReportContext): TombstoneExplanation['grounds'] {
  const all = told.flatMap(({ member, answer }) => (answer?.grounds ?? []).map((said) => ({ member, said })))
  const decided = all
    .filter(({ said }) => said.takenFrom === '')
    .toSorted((a, b) => compareHlc(a.said.frontier, b.said.frontier))[0]
  if (decided !== undefined) return { decidedBy: decided.member, said: decided.said }
  const taken = all.find(({ member }) => member.isSelf) ?? all[0]
  if (taken === undefined) return undefined
  const { takenFrom } = taken.said
  return {
    decidedBy: context.members().find(({ replica }) => replica === takenFrom) ?? takenFrom,
    said: taken.said,
  }
}

function stateOf(
  held: EntryOutline | 'corrupt' | null,
  now: { purgeableAt: Hlc | undefined; frontier: Hlc; wallMs: number; isPurged: boolean },
): TombstoneExplanation['state'] {
  if (held === 'corrupt') return 'corrupt'
  if (held === null) return now.isPurged ? 'purged' : 'unknown'
  if (now.purgeableAt !== undefined && compareHlc(now.purgeableAt, now.frontier) <= 0) return 'absent'
  return held.tombstone || isExpired(held, now.wallMs) ? 'waiting' : 'value'
}

function keyEnd(member: MemberView, answer: Answer<'purge-record'> | undefined, wallMs: number): KeyEnd {
  const nothing = { member, held: undefined, purged: undefined }
  if (answer === undefined) return { ...nothing, state: 'unreachable' }
  if (answer.held === 'corrupt') return { ...nothing, state: 'corrupt' }
  if (answer.held === null) {
    const [purged] = answer.purged
    return { ...nothing, state: purged === undefined ? 'nothing' : 'purged', purged }
  }
  const { held } = answer
  return { ...nothing, state: held.tombstone ? 'tombstone' : isExpired(held, wallMs) ? 'expired' : 'value', held }
}

function present(context: TombstoneReportContext): readonly MemberView[] {
  return context.members().filter(({ state }) => state !== 'evicted')
}

function withMember({ replica, ...said }: Acknowledgement, { members }: TombstoneReportContext): MemberAcknowledgement {
  const member = members().find((each) => each.replica === replica)
  return { ...said, member: member ?? unheardOf(replica) }
}

/** A member that the roster names and of which this node has heard nothing: it may have joined elsewhere a moment ago. */
function unheardOf(replica: ReplicaId): MemberView {
  const nothing = { name: replica, address: '', clientUrl: '', zone: '', version: '', incarnation: 0 }
  return { ...nothing, replica, state: 'dead', rttMs: undefined, skew: undefined, isSelf: false }
}

async function groundsIn(store: Store): Promise<readonly FrontierGrounds[]> {
  const view = store.view()
  try {
    return await view.frontierGrounds()
  } finally {
    await view.close()
  }
}

function outlineIn(answer: Answer<'purge-record'> | undefined): EntryOutline | undefined {
  return outlineOrNone(answer?.held ?? null)
}

function outlineOrNone(held: EntryOutline | 'corrupt' | null): EntryOutline | undefined {
  return typeof held === 'object' && held !== null ? held : undefined
}

function recordPurgeableAt({ version, expiresAtMs }: Pick<PurgeRecord, 'version' | 'expiresAtMs'>): Hlc {
  return laterHlc(version.hlc, hlcAt(expiresAtMs))
}

function outlinePurgeableAt(outline: EntryOutline | undefined): Hlc | undefined {
  if (outline === undefined || (!outline.tombstone && outline.expiresAtMs === 0)) return undefined
  return recordPurgeableAt(outline)
}

function earliest(readings: readonly Hlc[]): Hlc | undefined {
  return readings.toSorted(compareHlc)[0]
}
