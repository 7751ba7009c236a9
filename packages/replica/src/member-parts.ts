import {
  compareHlc,
  evict,
  mergeRosters,
  standingOf,
  takenOver,
  RefusalError,
  type Answer,
  type Hlc,
  type Identity,
  type KnownPeer,
  type MemberUpdate,
  type ReplicaId,
  type ReplicaReport,
  type RunId,
  type WriterId,
} from '@grapevine/core'
import { Acquaintance } from './acquaintance.ts'
import { answerers, type Answerers } from './answer.ts'
import type { MembershipNow, MembershipThen } from './arrival.ts'
import { askMembers, ignoreAbsence, type AskMember } from './ask-member.ts'
import { ClassicRumors } from './classic-rumors.ts'
import { ClockWatch } from './clock-watch.ts'
import type { Committer } from './committer.ts'
import { EagerRumors, type RumorContext } from './eager-rumors.ts'
import { evictedError, FatalError } from './fatal-error.ts'
import type { Intake } from './intake.ts'
import { FailureDetector } from './membership/failure-detector.ts'
import { membershipEventOf, type MembershipEvent } from './membership/membership-event.ts'
import { ValueGossip } from './membership/value-gossip.ts'
import type { ChangeMembership } from './membership-change.ts'
import { Owners } from './owners.ts'
import type { Pausable } from './replica.ts'
import type { ReplicaOptions } from './replica-options.ts'
import { PullPace } from './pull-pace.ts'
import { Publications } from './publications.ts'
import { exchangeKnowledge, type Knowledge } from './publish.ts'
import { Purger } from './purge-round.ts'
import { RollbackWatch, rolledBackError } from './rollback-watch.ts'
import type { RumorMonger } from './rumor-monger.ts'
import { StrangerWatch } from './stranger-watch.ts'
import { TombstoneWatch } from './tombstone-watch.ts'
import { TwinWatch } from './twin-watch.ts'
import type { SuspectLeaves } from './suspect-leaves.ts'
import type { VersionWatch } from './version-watch.ts'
import { VisibilityWatch } from './visibility.ts'

/** What a replica has once it knows who it is. */
export interface MemberParts {
  readonly ask: AskMember
  readonly detector: FailureDetector
  /** What members tell of themselves. */
  readonly values: ValueGossip
  readonly rumors: RumorMonger
  readonly pace: PullPace
  readonly owners: Owners
  readonly answerers: Answerers
  readonly clocks: ClockWatch
  readonly twins: TwinWatch
  readonly strangers: StrangerWatch
  readonly publications: Publications
  readonly purger: Purger
  readonly tombstones: TombstoneWatch
  readonly visibility: VisibilityWatch
  readonly learn: (knowledge: Knowledge, from: ReplicaId) => Promise<void>
  readonly learnFrontier: (frontier: Hlc, from: ReplicaId) => Promise<void>
  /** The same, when all that this member had seen at that frontier is here. */
  readonly takeFrontier: (frontier: Hlc, from: ReplicaId) => Promise<void>
  /** The same for folded writers: all their dots count as covered from then on. */
  readonly takeFolded: (folded: readonly WriterId[], from: ReplicaId) => Promise<void>
  readonly rollback: RollbackWatch
  readonly acquaintance: Acquaintance
  /** Whether this run has lost nothing, as it has heard from everybody, and so may publish (frontier.md I2, R16). */
  readonly isAcquainted: () => boolean
  /** Looks whether what another member has seen shows that this directory was rolled back (frontier.md R16). */
  readonly checkClaims: (claims: Answer<'missed-entries'>['claims']) => void
  /** Exchanges with one member what both know of members, frontier and folded writers. */
  readonly publishTo: (replica: ReplicaId) => Promise<void>
  readonly publishToAll: () => Promise<void>
  /** Another member has told this one that it is evicted. */
  readonly onFenced: () => void
  /** Whether any other member has answered since the start. */
  readonly hasContact: () => boolean
}

export interface MemberContext {
  /** Whether there was nobody in the directory when this process began. */
  readonly beganEmpty: boolean
  readonly options: ReplicaOptions
  readonly identity: Identity
  /** This process. */
  readonly run: RunId
  readonly committer: Committer
  readonly intake: Intake
  readonly changeMembership: ChangeMembership
  readonly isPaused: (what: Pausable) => boolean
  readonly report: () => ReplicaReport
  readonly suspects: SuspectLeaves
  /** Told of what becomes of members. */
  readonly onMembership: (event: MembershipEvent) => void
  /** It cannot go on: a `FatalError`, or a bug. */
  readonly fail: (error: unknown) => void
  readonly versions: VersionWatch
}

export function assembleMember(context: MemberContext): MemberParts {
  const { options, identity, run, committer, intake, changeMembership, isPaused, fail } = context
  const { transport, clock, timers, random, measures, log, settings, store } = options
  const state = (): Committer['state'] => committer.state
  const self = { replica: identity.replica, address: options.self.address }
  let contacted = false

  const ask = askMembers({
    transport,
    clock,
    timeoutMs: settings.peerTimeoutMs,
    addressOf: (replica) => detector.member(replica)?.address,
    onContact: (replica, rttMs) => {
      if (rttMs === undefined) detector.contactFailed(replica)
      else {
        contacted = true
        detector.contactSucceeded(replica, rttMs)
      }
    },
    onFenced,
    onOutcome: (replica, error) => strangers.note(replica, error),
  })
  const detector: FailureDetector = new FailureDetector({
    self: { ...options.self, replica: identity.replica, state: 'alive', incarnation: identity.incarnation },
    clock,
    timers,
    random,
    ask,
    isMember: (replica) => standingOf(state().roster, replica) === 'member',
    measures,
    log,
    probe: settings.probe,
    onNamesake: (address) => background(twins.heardOfSelfAt(address)),
    onForgotten: (member) => context.onMembership({ kind: 'leave', member: { ...member, state: 'evicted' } }),
    onChange: (event) => {
      const { kind, member } = event
      const told = membershipEventOf(event)
      if (told !== undefined) context.onMembership(told)
      if (kind === 'refute') void noteIncarnation(member.incarnation).catch(() => {})
      // A new run of a member takes rumors until it says otherwise.
      if (kind === 'join' || kind === 'alive' || kind === 'refresh') rumors.notice(member.replica, true)
    },
  })
  const strangers: StrangerWatch = new StrangerWatch({
    clock,
    log,
    others: () => state().others(),
    isHeardOf: (replica) => detector.member(replica) !== undefined,
    antiEntropyIntervalMs: settings.antiEntropyIntervalMs,
    sponsor: identity.sponsor,
    isNew: context.beganEmpty && identity.sponsor !== '',
  })
  const twins: TwinWatch = new TwinWatch({ ...self, transport, clock, log, run })
  const values = new ValueGossip({
    self: identity.replica,
    ask,
    clock,
    timers,
    random,
    hash: options.hash,
    log,
    livePeers: () => detector.livePeers(),
    isMember: (replica) => standingOf(state().roster, replica) === 'member',
    onChange: (value) => {
      const member = detector.member(value.owner)
      if (member !== undefined) context.onMembership({ kind: 'change', member, value })
    },
  })
  const clocks: ClockWatch = new ClockWatch({
    ...self,
    clock,
    log,
    ask,
    run,
    intake,
    live: () => detector.livePeers().map(({ replica }) => replica),
    member: (replica) => detector.member(replica),
    driftMs: settings.driftMs,
  })
  const owners = new Owners({
    roster: () => state().roster,
    members: () =>
      state()
        .members()
        .map((replica) => ({ replica, zone: detector.member(replica)?.zone ?? '' })),
    // The first mode: every node owns every partition.
    replicationFactor: 'all',
    hash: options.hash,
  })
  const spreading: RumorContext = {
    ask,
    owners,
    livePeers: () => detector.livePeers(),
    random,
    measures,
    questionBytesMax: settings.frameBytes,
  }
  const rumors: RumorMonger =
    settings.rumor === 'eager'
      ? new EagerRumors(spreading)
      : new ClassicRumors({
          ...spreading,
          options: settings.rumor,
          timers,
          log,
          takeIn: (entries, from) => intake.takeIn({ entries, source: 'rumor', from }),
        })

  const pace = new PullPace({
    livePeers: () => detector.livePeers(),
    intake,
    clock,
    random,
    idleMs: settings.pullIntervalMs,
  })

  function background(conversation: Promise<void>): void {
    conversation.catch((error: unknown) => log.error('twin-not-looked-for', { error: String(error) }))
  }

  const rollback = new RollbackWatch(state().promise)
  const acquaintance = new Acquaintance(state().others().length === 0)
  const isAcquainted = (): boolean => acquaintance.isComplete(state().others())

  function refuseAsRolledBack(): never {
    fail(rolledBackError(identity.name))
    throw new RefusalError('failed', 'the directory of this node was rolled back')
  }

  function checkClaims(claims: Answer<'missed-entries'>['claims']): void {
    if (rollback.isShownByClaims(claims, state())) refuseAsRolledBack()
  }

  function onFenced(): void {
    // The mark is stored before it has an effect, as every other.
    changeMembership(({ roster }) => ({ roster: evict(roster, identity.replica) })).then(refuseToGoOn, fail)
  }

  function refuseToGoOn(): void {
    // Who has left is told its own mark by the others, and knows.
    if (state().identity?.stage !== 'left') fail(evictedError(identity))
  }

  /** Best effort: a start raises it anyway, and whatever is still said of us then is refuted. */
  function noteIncarnation(incarnation: number): Promise<void> {
    return changeMembership(({ identity: now }) => (now === undefined ? {} : { identity: { ...now, incarnation } }))
  }

  async function learn({ roster, folded, frontier }: Knowledge, from: ReplicaId): Promise<void> {
    await learnRoster(roster, from)
    // A joiner's vectors cover what they name and nothing else; it folds when the last partition was claimed.
    // Nor does a run take them unseen that may have lost some of their entries (see `pullRound`).
    if (state().identity?.stage === 'member' && isAcquainted()) await takeFolded(folded, from)
    await learnFrontier(frontier, from)
  }

  /** An answer may have been under way while whoever gave it was evicted: then it is of nobody's word (R14, R15). */
  function changeByWordOf(from: ReplicaId, change: (now: MembershipNow) => MembershipThen): Promise<void> {
    return changeMembership((now) => (standingOf(now.roster, from) === 'evicted' ? {} : change(now)))
  }

  async function takeFolded(folded: readonly WriterId[], from: ReplicaId): Promise<void> {
    const fold = folded.filter((writer) => !state().folded.has(writer))
    if (fold.length > 0) await changeByWordOf(from, () => ({ fold }))
  }

  async function learnRoster(roster: Knowledge['roster'], from: ReplicaId): Promise<void> {
    if (mergeRosters(state().roster, roster) === state().roster) return
    await changeByWordOf(from, (now) => ({ roster: mergeRosters(now.roster, roster) }))
    detector.rosterChanged()
    if (standingOf(state().roster, identity.replica) === 'evicted') refuseToGoOn()
  }

  /** Members give each other their frontiers freely; a joiner takes its sponsor's with the claims (frontier.md R7, R11). */
  async function learnFrontier(frontier: Hlc, from: ReplicaId): Promise<void> {
    if (!isFrontierNews(frontier) || !isAcquainted()) return
    await takeFrontier(frontier, from)
  }

  /**
   * Whatever is at or below a frontier and not here is refused from then on (R5). So a run whose directory may be older than the
   * promise that the frontier rests on takes it only from a member all of whose entries have come.
   */
  async function takeFrontier(frontier: Hlc, from: ReplicaId): Promise<void> {
    if (!isFrontierNews(frontier)) return
    await changeByWordOf(from, (now) =>
      compareHlc(frontier, now.frontier) > 0 ? { frontier: takenOver(frontier, from, clock.wallMs()) } : {},
    )
    purger.onRaise()
  }

  function isFrontierNews(frontier: Hlc): boolean {
    if (state().identity?.stage !== 'member' || compareHlc(frontier, state().frontier) <= 0) return false
    if (rollback.isShownBy(frontier)) refuseAsRolledBack()
    return true
  }

  const publishing = { ask, state, learn }
  const publishTo = async (replica: ReplicaId): Promise<void> => {
    await exchangeKnowledge(replica, publishing)
  }
  const publications = new Publications()
  const purger = new Purger({ committer, store, timers, log, changeMembership })
  const tombstones = new TombstoneWatch({
    state,
    store,
    publications,
    clock,
    log,
    nameOf: (replica) => detector.member(replica)?.name ?? replica,
    purgeIntervalMs: settings.purgeIntervalMs,
    ratioMax: settings.tombstoneRatioMax,
  })
  const visibility = new VisibilityWatch({
    self: identity.replica,
    ask,
    timers,
    peerTimeoutMs: settings.peerTimeoutMs,
    watch: context.versions,
    live: () => detector.livePeers().map(({ replica }) => replica),
  })

  return {
    ask,
    detector,
    values,
    rumors,
    pace,
    owners,
    clocks,
    twins,
    strangers,
    publications,
    purger,
    tombstones,
    visibility,
    learn,
    learnFrontier,
    takeFrontier,
    takeFolded,
    rollback,
    acquaintance,
    isAcquainted,
    checkClaims,
    publishTo,
    publishToAll: async () => {
      await Promise.all(detector.livePeers().map(({ replica }) => publishTo(replica).catch(ignoreAbsence)))
    },
    onFenced,
    hasContact: () => contacted,
    answerers: answerers({
      state,
      store,
      intake,
      detector,
      values,
      twins,
      run,
      background,
      pace,
      clock,
      timers,
      hash: options.hash,
      measures,
      isPaused,
      changeMembership,
      learn,
      learnFrontier,
      rollback,
      isAcquainted,
      sweep: () => purger.sweep(),
      tombstones,
      rumors,
      answerBytesMax: settings.frameBytes,
      report: context.report,
      suspects: context.suspects,
      versions: context.versions,
    }),
  }
}

export function wrongNameError(inDirectory: string, given: string): FatalError {
  return new FatalError(
    'wrong_name',
    `the data directory is that of the node ${inDirectory}, and this one was started as ${given} (without --name ` +
      `a node goes by the name of its host). Start it with --name ${inDirectory}, or give ${given} a --data-dir of its own. A node cannot be renamed; to give its data another name, ` +
      `join as ${given} with an empty directory, and then end the membership of ${inDirectory}.`,
  )
}

/** Members as the disk remembers them: known by address alone, so any word of their own is newer. */
export function remembered({ replica, name, address, clientUrl }: KnownPeer): MemberUpdate {
  return { replica, name, address, clientUrl, zone: '', version: '', state: 'alive', incarnation: 0 }
}
