import {
  bytesOf,
  presentAt,
  RefusalError,
  standingOf,
  type Address,
  type Answer,
  type BucketPolicy,
  type Entry,
  type Held,
  type Identity,
  type MemberState,
  type Partition,
  type MemberValue,
  type Peer,
  type Question,
  type QuestionName,
  type Refusal,
  type ReplicaId,
  type ReplicaReport,
  type RunId,
  type SessionStanding,
  type SessionToken,
  type SessionView,
  type StoreView,
  judge,
  type QuestionHeader,
} from '@grapevine/core'
import { adoptSnapshot, isUnfinished, type AdoptionContext, unfinishedError } from './adopt-snapshot.ts'
import { refusedWhilePaused } from './answer.ts'
import { reconcile } from './anti-entropy-round.ts'
import { evictMember } from './evict-member.ts'
import { sleep } from './sleep.ts'
import { evictedError, FatalError, leftError } from './fatal-error.ts'
import { freshTree } from './fresh-tree.ts'
import {
  askForSponsor,
  awaitIntroduction,
  bootstrap,
  foundCluster,
  hello,
  type Introduction,
  type JoinContext,
} from './join.ts'
import { leaveCluster, LeaveError, tellDeparture, type Departure } from './leave.ts'
import { assembleMember, ignoreAbsence, remembered, wrongNameError, type MemberParts } from './member-parts.ts'
import type { MembershipEvent } from './membership/membership-event.ts'
import { assembleOwn, type OwnParts } from './own-parts.ts'
import { knowledgeOf, type Knowledge } from './publish.ts'
import type { PullContext } from './pull-round.ts'
import type {
  DiffPage,
  DivergenceReport,
  ExchangeReport,
  FormerMember,
  KeyOnReplica,
  MemberView,
  Pausable,
  Replica,
  ReplicaStatus,
  VisibilityRequest,
  WriteRequest,
  WriteResult,
} from './replica.ts'
import { rolledBackError } from './rollback-watch.ts'
import { NOBODY, reportOf, statusOf } from './replica-status.ts'
import { quorumRead } from './quorum-read.ts'
import type { ReplicaOptions } from './replica-options.ts'
import {
  diffPage,
  divergenceReport,
  inspectKey,
  REPORT_TIMEOUT_MS,
  type ReportContext,
  type ReportQuestion,
} from './reports.ts'
import { importEntries, type ImportFate } from './import-entries.ts'
import type { ScrubReport } from './scrubber.ts'
import { takeMoment, type SnapshotMoment } from './snapshot-moment.ts'
import { sponsor } from './sponsor.ts'
import {
  explainTombstone,
  tombstoneReport,
  type TombstoneExplanation,
  type TombstoneReport,
  type TombstoneReportContext,
} from './tombstone-reports.ts'
import { twinAdvice } from './twin-watch.ts'
import { Upkeep } from './upkeep.ts'
import { isQuorumCondition, writeOnCondition } from './write-on-condition.ts'
import { openWatch, WATCHERS_MAX, type Watch, type WatchRequest } from './watch/watch.ts'
import { coordinateWrite } from './write.ts'
import type { Visibility } from './visibility.ts'

/** How long a stopping node waits for its rumors to be heard. */
const FLUSH_MS = 1_000

/** One replica, wired together. What it does is in the files that it imports; here is only who knows whom. */
export class RunningReplica implements Replica {
  readonly #options: ReplicaOptions
  readonly #own: OwnParts
  readonly #told = new Set<(event: MembershipEvent) => void>()
  readonly #paused = new Set<Pausable>()
  #member: MemberParts | undefined
  #upkeep: Upkeep | undefined
  /** Draws the line between this process and any other with the same replica id. */
  readonly #run: RunId

  constructor(options: ReplicaOptions) {
    this.#options = options
    this.#run = options.random.hex(8)
    this.#own = assembleOwn({
      options,
      member: () => this.#member,
      memberOrRefuse: () => this.#memberOrRefuse(),
      read: (address) => this.read(address),
      livePeers: () => this.livePeers(),
      peersToRepairFrom: () => (this.#isPaused('anti-entropy') ? [] : this.livePeers()),
      isAlone: () => this.#isAlone(),
      pullingForSessions: () => this.#pullingForSessions(),
      raiseFrontier: async (atLeast) => this.#upkeep?.raiseFrontier({ atLeast }),
    })
  }

  /** Founds, joins or comes back, and then does its rounds. Returns at once. */
  start(): void {
    this.#live().catch(this.#fail)
  }

  // The face towards the server.

  status(): ReplicaStatus {
    const { name } = this.#options.self
    const isAlone = this.#isAlone()
    return statusOf({
      own: this.#own,
      member: this.#member,
      name,
      paused: this.#paused,
      isAlone,
      members: this.members(),
    })
  }

  read(address: Address): Held {
    const held = presentAt(this.#options.store.read(address), this.#own.committer.state.frontier)
    if (held === 'corrupt') {
      this.#options.measures.add('corrupt_entries')
      this.#options.log.error('corrupt-entry', { address })
    }
    return held
  }

  policyOf(bucket: string): BucketPolicy {
    return this.#own.policies.of(bucket)
  }

  view(): StoreView {
    return this.#options.store.view()
  }

  watch(request: WatchRequest): Watch | undefined {
    if (this.#own.feed.watchers >= WATCHERS_MAX) return undefined
    const committer = this.#own.committer
    return openWatch(request, {
      ...this.#options,
      feed: this.#own.feed,
      state: () => committer.state,
      isCommitting: () => committer.isCommitting,
      onUnreadable: (address) => this.#own.healer.suspect(address),
      isStopping: () => this.#own.readiness.isStopping,
    })
  }

  write(request: WriteRequest): Promise<WriteResult> {
    if (!isQuorumCondition(request, this.#own.committer.state.members().length)) return this.#write(request)
    return writeOnCondition(request, {
      readFromQuorum: (address, timeoutMs) => this.readFrom(address, 'quorum', timeoutMs),
      read: (address) => this.read(address),
      write: (onCondition) => this.#write(onCondition),
      monotonicMs: () => this.#options.clock.monotonicMs(),
    })
  }

  readFrom(address: Address, members: 'quorum' | 'all', timeoutMs: number): Promise<Held> {
    const { ask, owners } = this.#memberOrRefuse()
    return quorumRead(address, members, timeoutMs, {
      ...this.#options,
      ask,
      owners,
      livePeers: () => this.livePeers(),
      state: () => this.#own.committer.state,
      intake: this.#own.intake,
      heal: (unreadable) => this.heal(unreadable),
    })
  }

  get seen(): SessionView {
    return this.#own.sessions.seen
  }

  untilSeen(token: SessionToken, partition: Partition | undefined, timeoutMs: number): Promise<SessionStanding> {
    return this.#own.sessions.untilSeen(token, partition, timeoutMs)
  }

  async visibility({ address, ...question }: VisibilityRequest): Promise<Visibility | 'too-many'> {
    const keyHash = this.#options.hash.sha256(bytesOf(address))
    return this.#memberOrRefuse().visibility.until({ keyHash, ...question })
  }

  heal(address: Address): Promise<Held> {
    return this.#own.healer.heal(address)
  }

  moment(): Promise<SnapshotMoment> {
    return takeMoment(this.#own.committer, this.#options.store, this.#options.timers)
  }

  importEntries(entries: readonly Entry[]): Promise<readonly ImportFate[]> {
    return importEntries(entries, {
      committer: this.#own.committer,
      refusal: this.#own.readiness.writeRefusal,
      wallMs: () => this.#options.clock.wallMs(),
      driftMs: this.#options.settings.driftMs,
      onUnreadable: ({ address }) => this.#own.healer.suspect(address),
    })
  }

  evict(replica: ReplicaId): Promise<boolean> {
    const member = this.#memberOrRefuse()
    return evictMember(replica, {
      state: () => this.#own.committer.state,
      detector: member.detector,
      changeMembership: this.#own.changeMembership,
      publishToAll: () => this.#own.rounds.run('publish', () => member.publishToAll()),
    })
  }

  async leave(timeoutMs: number): Promise<Departure> {
    const member = this.#memberOrRefuse()
    if (this.#own.readiness.isLeaving) throw new LeaveError('not_member', 'this node is leaving already')
    if (member.twins.twin !== undefined) throw new LeaveError('cloned', twinAdvice(member.twins.twin))
    this.#own.readiness.isLeaving = true
    try {
      const departure = await leaveCluster(timeoutMs, {
        ...this.#options,
        ask: member.ask,
        state: () => this.#own.committer.state,
        learn: member.learn,
        livePeers: () => this.livePeers(),
        changeMembership: this.#own.changeMembership,
        peerTimeoutMs: this.#options.settings.peerTimeoutMs,
      })
      this.#fallSilent()
      return departure
    } finally {
      this.#own.readiness.isLeaving = false
    }
  }

  wasEvicted(replica: ReplicaId): boolean {
    return standingOf(this.#own.committer.state.roster, replica) === 'evicted'
  }

  formerMembers(): readonly FormerMember[] {
    return this.#member?.detector.former() ?? []
  }

  unheardOf(): readonly ReplicaId[] {
    const { detector } = this.#memberOrRefuse()
    return this.#own.committer.state
      .members()
      .filter((replica) => replica !== this.#identity?.replica && detector.member(replica) === undefined)
  }

  scrub(): ScrubReport {
    return this.#own.scrubber.start()
  }

  scrubReport(): ScrubReport | undefined {
    return this.#own.scrubber.report
  }

  members(): readonly MemberView[] {
    const member = this.#member
    return member?.detector.members().map((view) => ({ ...view, skew: member.clocks.skewOf(view.replica) })) ?? []
  }

  onMembership(tell: (event: MembershipEvent) => void): () => void {
    this.#told.add(tell)
    return () => this.#told.delete(tell)
  }

  setMemberValue(name: string, value: Uint8Array, contentType: string): boolean {
    return this.#memberOrRefuse().values.set(name, value, contentType) !== undefined
  }

  memberValues(replica: ReplicaId): readonly MemberValue[] {
    return this.#member?.values.values.of(replica) ?? []
  }

  livePeers(): readonly Peer[] {
    return this.#member?.detector.livePeers() ?? []
  }

  async exchange(withReplica?: ReplicaId): Promise<ExchangeReport> {
    const member = this.#memberOrRefuse()
    const peer = withReplica ?? this.#upkeep?.randomPeer()
    if (peer === undefined) throw new RefusalError('not-introduced', 'there is no live member to exchange with')
    const name = member.detector.member(peer)?.name ?? peer
    return this.#own.exchanges.record(name, () =>
      reconcile(peer, {
        ...this.#conversing(member),
        store: this.#options.store,
        clock: this.#options.clock,
        questionBytesMax: this.#options.settings.frameBytes,
        repairBytesPerSecond: this.#options.settings.repairBytesPerSecond,
        learnFrontier: member.learnFrontier,
        sweep: () => member.purger.sweep(),
        onOddLeaf: (leaf, other) => this.#own.mender.examine(leaf, other),
      }),
    )
  }

  exchanges(): readonly ExchangeReport[] {
    return this.#own.exchanges.latest
  }

  divergence(): Promise<DivergenceReport> {
    return divergenceReport(this.#reporting())
  }

  diff(withReplica: ReplicaId, fromLeaf: number, limit: number): Promise<DiffPage> {
    return diffPage(withReplica, fromLeaf, limit, this.#reporting())
  }

  inspect(address: Address): Promise<readonly KeyOnReplica[]> {
    return inspectKey(address, this.#reporting())
  }

  tombstones(): Promise<TombstoneReport> {
    return tombstoneReport(this.#reportingTombstones())
  }

  explainTombstone(address: Address): Promise<TombstoneExplanation> {
    return explainTombstone(address, this.#reportingTombstones())
  }

  pause(what: Pausable): void {
    this.#paused.add(what)
    if (what === 'rumors') this.#member?.rumors.pause()
    this.#noticeRumors()
  }

  resume(what: Pausable): void {
    this.#paused.delete(what)
    if (what === 'rumors') this.#member?.rumors.resume()
    this.#noticeRumors()
  }

  async stop(): Promise<void> {
    if (this.#own.readiness.isStopping) return
    this.#own.readiness.isStopping = true
    this.#own.feed.end()
    const { clock, timers, store } = this.#options
    await this.#member?.detector.leave()
    await this.#own.rounds.stop()
    const deadlineMs = clock.monotonicMs() + FLUSH_MS
    while ((this.#member?.rumors.hot ?? 0) > 0 && clock.monotonicMs() < deadlineMs) await sleep(timers, 10)
    this.#member?.rumors.stop()
    this.#member?.values.stop()
    this.#own.intake.stop()
    this.#own.disk.stop()
    await this.#own.committer.close()
    await store.close()
  }

  // The face towards the other replicas.

  /** Empty texts before this node belongs to a cluster. */
  get identity(): Identity {
    return this.#identity ?? NOBODY
  }

  judge(header: QuestionHeader): Refusal | undefined {
    if (this.#own.readiness.isOut) return 'failed'
    return judge(header, this.#identity, this.#own.committer.state.roster)
  }

  async answer<Name extends QuestionName>(
    { from }: QuestionHeader,
    name: Name,
    question: Question<Name>,
  ): Promise<Answer<Name>> {
    if (name === 'hello') return this.#hello()
    const member = this.#memberOrRefuse()
    // TypeScript does not follow a generic name to its question, nor through a table: hence the casts.
    if (name === 'join') return this.#sponsor(question as Question<'join'>, member)
    if (name === 'forgotten') return this.#hearThatItForgot(from)
    // Its directory may be open again in the next run already, which must not take this one for a twin.
    if (name === 'time' && this.#own.readiness.isStopping) throw new RefusalError('busy', 'this node is stopping')
    if (refusedWhilePaused(name, this.#isPaused)) throw new RefusalError('paused', `${name} is paused on this node`)
    member.detector.heardFrom(from)
    const answerers: Readonly<Record<string, unknown>> = member.answerers
    const answerer = answerers[name] as (question: Question<Name>, from: ReplicaId) => Promise<Answer<Name>>
    return answerer(question, from)
  }

  // Its life.

  readonly #fail = (error: unknown): void => {
    // What such a replica holds is not to be given to anybody (R16), and nothing is to be taken from it (R15).
    if (error instanceof FatalError) this.#fallSilent()
    if (!this.#own.readiness.isStopping) this.#options.onFatal(error)
  }

  #fallSilent(): void {
    this.#own.readiness.isOut = true
    this.#member?.rumors.stop()
  }

  async #live(): Promise<void> {
    const { store, timers } = this.#options
    await this.#own.disk.start()
    const known = this.#identity
    const { name } = this.#options.self
    if (known !== undefined && known.name !== name) throw wrongNameError(known.name, name)
    if (known?.stage === 'left') throw await this.#leftBefore(known)
    if (known !== undefined && standingOf(store.state.roster, known.replica) === 'evicted') throw evictedError(known)
    if (isUnfinished(store.state)) throw unfinishedError()
    // The first look at the root would otherwise hash all leaves in one turn.
    await freshTree(this.#own.committer.state, timers)
    const joining = this.#joining()
    if (this.#identity === undefined && this.#options.found) await foundCluster(joining)
    const sponsorship = this.#identity === undefined ? await askForSponsor(joining) : undefined
    const identity = this.#identity
    if (identity === undefined || this.#own.readiness.isStopping) return
    const member = await this.#assemble(identity, known === undefined)
    // Whoever stops it meanwhile does not wait for it, and would not stop what begins from here on.
    if (this.#own.readiness.isStopping) return
    member.detector.learn(sponsorship?.members ?? this.#own.committer.state.peers.map(remembered))
    member.detector.start()
    this.#upkeep?.startLookingAround()
    if (identity.stage === 'joining') await this.#becomeMember(identity, member, joining)
    else await this.#comeBack(member)
    if (this.#own.readiness.isStopping) return
    this.#upkeep?.start()
    this.#noticeRumors()
  }

  /** Perhaps nobody could be told then, and everybody still waits for it. */
  async #leftBefore(identity: Identity): Promise<FatalError> {
    const { peers, roster } = this.#own.committer.state
    await tellDeparture(
      peers.filter(({ replica }) => standingOf(roster, replica) === 'member'),
      {
        ...this.#options,
        state: () => this.#own.committer.state,
        peerTimeoutMs: this.#options.settings.peerTimeoutMs,
      },
    )
    return leftError(identity)
  }

  /** Every start raises the incarnation, so that what was said of the last run is refuted by the first word. */
  async #assemble(identity: Identity, beganEmpty: boolean): Promise<MemberParts> {
    const raised = { ...identity, incarnation: identity.incarnation + 1 }
    await this.#own.changeMembership(() => ({ identity: raised }))
    this.#member = assembleMember({
      options: this.#options,
      identity: raised,
      beganEmpty,
      run: this.#run,
      committer: this.#own.committer,
      intake: this.#own.intake,
      changeMembership: this.#own.changeMembership,
      isPaused: this.#isPaused,
      report: () => this.#report(),
      onMembership: (event) => {
        for (const tell of this.#told) tell(event)
      },
      suspects: this.#own.suspects,
      fail: this.#fail,
      versions: this.#own.versions,
    })
    this.#upkeep = new Upkeep({
      options: this.#options,
      member: this.#member,
      committer: this.#own.committer,
      intake: this.#own.intake,
      rounds: this.#own.rounds,
      pulling: this.#conversing(this.#member),
      changeMembership: this.#own.changeMembership,
      isPaused: this.#isPaused,
      exchange: (peer) => this.exchange(peer),
      scrub: () => this.#own.scrubber.round(),
      mender: this.#own.mender,
      fail: this.#fail,
    })
    return this.#member
  }

  async #becomeMember(identity: Identity, member: MemberParts, joining: JoinContext): Promise<void> {
    const { log } = this.#options
    await bootstrap(identity.sponsor, this.#conversing(member), joining)
    this.#own.feed.start()
    log.info('bootstrapped', { sponsor: identity.sponsor, ...this.#own.committer.state.totals })
    const knowledge = (): Knowledge => knowledgeOf(this.#own.committer.state)
    const others: Introduction['others'] = () =>
      this.#own.committer.state
        .members()
        .filter((replica) => replica !== identity.replica)
        .map((replica) => ({ replica, standing: standingFor(member.detector.member(replica)?.state) }))
    await awaitIntroduction(
      { ask: member.ask, others, self: identity.replica, sponsor: identity.sponsor, knowledge },
      joining,
    )
    if (this.#own.readiness.isStopping) return
    await this.#own.changeMembership(({ identity: now }) => (now ? { identity: { ...now, stage: 'member' } } : {}))
    this.#own.readiness.hasSearched = true
    log.info('joined', { replica: identity.replica })
  }

  /** A member that was away looks for the others, wherever they are now, and serves alone when nobody answers. */
  async #comeBack(member: MemberParts): Promise<void> {
    const { clock, settings, timers } = this.#options
    const deadlineMs = clock.monotonicMs() + settings.joinTimeoutMs
    while (
      !this.#own.readiness.isStopping &&
      !this.#isAlone() &&
      !member.hasContact() &&
      clock.monotonicMs() < deadlineMs
    ) {
      await this.#upkeep?.askSeeds()
      await sleep(timers, 100)
    }
    this.#own.readiness.hasSearched = true
  }

  // What its parts need of each other.

  get #identity(): Identity | undefined {
    return this.#own.committer.state.identity
  }

  readonly #isPaused = (what: Pausable): boolean => this.#paused.has(what)

  #isAlone(): boolean {
    return this.#own.committer.state.members().length <= 1
  }

  #memberOrRefuse(): MemberParts {
    if (this.#member === undefined) throw new RefusalError('not-founded', 'this node belongs to no cluster yet')
    return this.#member
  }

  #hello(): Answer<'hello'> {
    const identity = this.#identity
    return {
      cluster: identity?.cluster ?? '',
      replica: identity?.replica ?? '',
      name: this.#options.self.name,
      member: this.#own.readiness.problem === undefined,
    }
  }

  #sponsor(question: Question<'join'>, member: MemberParts): Promise<Answer<'join'>> {
    // A joiner would lose its sponsor, and have to begin anew.
    if (this.#own.readiness.isLeaving) throw new RefusalError('busy', 'this node is leaving')
    return sponsor(question, {
      state: () => this.#own.committer.state,
      detector: member.detector,
      mayIntroduce: () => member.strangers.mayIntroduce,
      changeMembership: this.#own.changeMembership,
      publishToAll: () => this.#own.rounds.run('publish', member.publishToAll),
      hello: (address) =>
        hello(address, {
          transport: this.#options.transport,
          peerTimeoutMs: this.#options.settings.peerTimeoutMs,
        }),
    })
  }

  /** By somebody who was a member here once, as only his own word says: no harm comes of it where he still is. */
  #hearThatItForgot(from: ReplicaId): Answer<'forgotten'> {
    const { state } = this.#own.committer
    if (state.identity === undefined || standingOf(state.roster, from) !== 'stranger') return {}
    this.#fail(rolledBackError(this.#options.self.name))
    throw new RefusalError('failed', 'the directory of this node was rolled back')
  }

  #report(): ReplicaReport {
    return reportOf({ own: this.#own, member: this.#member, name: this.#options.self.name })
  }

  #conversing(member: MemberParts): PullContext {
    return {
      ask: member.ask,
      state: () => this.#own.committer.state,
      intake: this.#own.intake,
      timers: this.#options.timers,
      publishTo: member.publishTo,
      takeFrontier: member.takeFrontier,
      checkClaims: member.checkClaims,
      isStopping: () => this.#own.readiness.isStopping,
    }
  }

  /** A joiner takes from its sponsor alone; what there is no room for need not be asked for. */
  #pullingForSessions(): PullContext | undefined {
    const isAble =
      this.#identity?.stage === 'member' && !this.#isPaused('anti-entropy') && !this.#own.committer.isReadOnly
    return this.#member !== undefined && isAble ? this.#conversing(this.#member) : undefined
  }

  #write(request: WriteRequest): Promise<WriteResult> {
    const { clock, hash, timers, settings } = this.#options
    return coordinateWrite(request, {
      committer: this.#own.committer,
      rumors: this.#member?.rumors,
      owners: this.#member?.owners,
      hash,
      clock,
      timers,
      driftMs: settings.driftMs,
      refusal: this.#own.readiness.writeRefusal,
    })
  }

  #joining(): JoinContext {
    const { restore, settings } = this.#options
    return {
      ...this.#options,
      changeMembership: this.#own.changeMembership,
      driftMs: settings.driftMs,
      peerTimeoutMs: settings.peerTimeoutMs,
      sponsorIsAhead: (aheadMs) => {
        this.#own.readiness.sponsorAheadMs = aheadMs
      },
      notSponsored: (why) => {
        this.#own.readiness.notSponsored = why
      },
      isStopping: () => this.#own.readiness.isStopping,
      ...(restore !== undefined && { adopt: () => adoptSnapshot(restore, this.#adopting()) }),
    }
  }

  #adopting(): AdoptionContext {
    return {
      ...this.#options,
      committer: this.#own.committer,
      driftMs: this.#options.settings.driftMs,
      isStopping: () => this.#own.readiness.isStopping,
    }
  }

  #reporting(): ReportContext {
    const member = this.#memberOrRefuse()
    return {
      ask: member.ask,
      hash: this.#options.hash,
      self: () => this.#identity?.replica ?? '',
      members: () => this.members(),
      frontier: () => this.#own.committer.state.frontier,
      learnFrontier: member.learnFrontier,
      answer: async (name, question) => {
        await freshTree(this.#own.committer.state, this.#options.timers)
        return this.#answerMyself(name, question, member)
      },
    }
  }

  #reportingTombstones(): TombstoneReportContext {
    const { store, clock } = this.#options
    return {
      ...this.#reporting(),
      store,
      clock,
      tombstones: this.#memberOrRefuse().tombstones,
      lookAtFrontier: async () => {
        const upkeep = this.#upkeep
        if (upkeep?.mayLookAtFrontier !== true) return false
        await upkeep.raiseFrontier({ timeoutMs: REPORT_TIMEOUT_MS })
        return true
      },
    }
  }

  async #answerMyself<Name extends ReportQuestion>(
    name: Name,
    question: Question<Name>,
    { answerers }: MemberParts,
  ): Promise<Answer<Name>> {
    const answerer = answerers[name] as (question: Question<Name>, from: ReplicaId) => Promise<Answer<Name>>
    return answerer(question, this.#identity?.replica ?? '')
  }

  #noticeRumors(): void {
    const member = this.#member
    if (member === undefined) return
    const question = { takesRumors: !this.#paused.has('rumors') }
    this.#own.rounds.run('rumor-notice', async () => {
      const told = member.detector.livePeers().map(async ({ replica }) => {
        const { takesRumors } = await member.ask(replica, 'rumor-notice', question)
        member.rumors.notice(replica, takesRumors)
      })
      for (const result of await Promise.allSettled(told))
        if (result.status === 'rejected') ignoreAbsence(result.reason)
    })
  }
}

/** Whether a joiner waits for a member until that one knows it. */
function standingFor(state: MemberState | undefined): 'here' | 'away' | 'unheard-of' {
  if (state === undefined) return 'unheard-of'
  return state === 'dead' || state === 'left' ? 'away' : 'here'
}
