import {
  bytesOf,
  leafOf,
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
import type { AskMember } from './ask-member.ts'
import { reconcile } from './anti-entropy-round.ts'
import { BucketPolicies } from './bucket-policies.ts'
import { clockAdvice } from './clock-watch.ts'
import { Committer } from './committer.ts'
import { DiskWatch } from './disk-watch.ts'
import { evictMember } from './evict-member.ts'
import { sleep } from './sleep.ts'
import { ExchangeLog } from './exchange-log.ts'
import { evictedError, FatalError, leftError } from './fatal-error.ts'
import { freshTree } from './fresh-tree.ts'
import { Healer } from './heal.ts'
import { LeafMender } from './leaf-mender.ts'
import { Intake } from './intake.ts'
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
import { membershipChanger, type ChangeMembership } from './membership-change.ts'
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
import { RecentCommits } from './recent-commits.ts'
import { Rounds } from './rounds.ts'
import { Scrubber, type ScrubReport } from './scrubber.ts'
import { Sessions } from './sessions.ts'
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
import { SuspectLeaves } from './suspect-leaves.ts'
import { Upkeep } from './upkeep.ts'
import { isQuorumCondition, writeOnCondition } from './write-on-condition.ts'
import { ChangeFeed } from './watch/change-feed.ts'
import { ExpiryTeller } from './watch/expiry-teller.ts'
import { openWatch, WATCHERS_MAX, type Watch, type WatchRequest } from './watch/watch.ts'
import { coordinateWrite, type WriteRefusal } from './write.ts'
import { VersionWatch } from './version-watch.ts'
import type { Visibility } from './visibility.ts'

/** How long a stopping node waits for its rumors to be heard. */
const FLUSH_MS = 1_000

/** One replica, wired together. What it does is in the files that it imports; here is only who knows whom. */
export class RunningReplica implements Replica {
  readonly #options: ReplicaOptions
  readonly #disk: DiskWatch
  readonly #committer: Committer
  readonly #intake: Intake
  readonly #suspects: SuspectLeaves
  readonly #versions: VersionWatch
  readonly #healer: Healer
  readonly #mender: LeafMender
  readonly #scrubber: Scrubber
  readonly #rounds: Rounds
  readonly #changeMembership: ChangeMembership
  readonly #exchanges: ExchangeLog
  readonly #policies: BucketPolicies
  readonly #sessions: Sessions
  readonly #feed: ChangeFeed
  readonly #told = new Set<(event: MembershipEvent) => void>()
  readonly #paused = new Set<Pausable>()
  #member: MemberParts | undefined
  #upkeep: Upkeep | undefined
  /** Draws the line between this process and any other with the same replica id. */
  readonly #run: RunId
  /** How far the only sponsor's clock is ahead of ours, when that is too far to join. */
  #sponsorAheadMs: number | undefined
  /** Why nobody has let this node in so far. */
  #notSponsored: string | undefined
  /** It has found out that it is no replica any more (frontier.md R15, R16), and says nothing until it is stopped. */
  #isOut = false
  #isLeaving = false
  #searched = false
  #stopping = false

  constructor(options: ReplicaOptions) {
    const { clock, hash, timers, measures, log, settings } = options
    this.#options = options
    this.#run = options.random.hex(8)
    this.#disk = new DiskWatch({ disk: options.disk, timers, log, reserveBytes: settings.diskReserveBytes })
    this.#committer = new Committer({ ...options, disk: this.#disk })
    this.#intake = new Intake({
      committer: this.#committer,
      clock,
      hash,
      timers,
      measures,
      log,
      driftMs: settings.driftMs,
    })
    const commits = new RecentCommits(clock.wallMs())
    this.#versions = new VersionWatch({
      store: options.store,
      timers,
      commits,
      frontier: () => this.#committer.state.frontier,
      landed: () => this.#committer.landed(),
    })
    this.#committer.onDurable = (changes, wallMs) => {
      // In whole milliseconds, and rather late than early.
      const atMs = Math.ceil(wallMs)
      commits.note(changes.values(), atMs)
      this.#versions.committed(changes.values(), atMs)
    }
    this.#rounds = new Rounds(options)
    this.#changeMembership = membershipChanger(this.#committer)
    this.#exchanges = new ExchangeLog(options)
    this.#policies = new BucketPolicies({
      read: (address) => this.read(address),
      epoch: () => this.#committer.policyEpoch,
    })
    this.#suspects = new SuspectLeaves(options)
    const state = (): Committer['state'] => this.#committer.state
    const asking = {
      ...options,
      state,
      committer: this.#committer,
      changeMembership: this.#changeMembership,
      suspects: this.#suspects,
      ask: ((...question) => this.#memberOrRefuse().ask(...question)) as AskMember,
      livePeers: () => (this.#paused.has('anti-entropy') ? [] : this.livePeers()),
    }
    this.#mender = new LeafMender({
      ...asking,
      driftMs: settings.driftMs,
      publishTo: (replica) => this.#memberOrRefuse().publishTo(replica),
      learnFrontier: (frontier, from) => this.#memberOrRefuse().learnFrontier(frontier, from),
      sweep: () => this.#memberOrRefuse().purger.sweep(),
      nameOf: (replica) => this.#member?.detector.member(replica)?.name ?? replica,
      isReadOnly: () => this.#committer.isReadOnly,
      isAlone: () => this.#isAlone(),
    })
    this.#healer = new Healer({
      ...asking,
      intake: this.#intake,
      mend: (...what) => this.#mender.mend(...what),
    })
    this.#scrubber = new Scrubber({
      ...asking,
      healer: this.#healer,
      mender: this.#mender,
      progress: options.scrubProgress,
      bytesPerSecond: settings.scrubBytesPerSecond,
      isStopping: () => this.#stopping,
    })
    this.#sessions = new Sessions({
      ...options,
      state,
      pulling: () => this.#pullingForSessions(),
      livePeers: () => this.livePeers(),
      raiseFrontier: async (atLeast) => this.#upkeep?.raiseFrontier({ atLeast }),
    })
    this.#feed = new ChangeFeed({ ...options, state, itemsMax: settings.feedItems })
    this.#feed.start()
    new ExpiryTeller({ ...options, feed: this.#feed }).start()
    this.#committer.onCommitted = (plan) => {
      this.#feed.committed(plan)
      this.#sessions.look()
    }
    this.#committer.onReopened = () => {
      this.#feed.reset()
      this.#sessions.look()
    }
    this.#intake.onUnreadable = (address) => this.#healer.suspect(address)
    this.#intake.onRefused = ({ keyHash }, from) => this.#mender.examine(leafOf(keyHash), from)
    this.#committer.onDoubt = (leaf) => this.#suspects.onDoubtfulLeaf(leaf)
  }

  /** Founds, joins or comes back, and then does its rounds. Returns at once. */
  start(): void {
    this.#live().catch(this.#fail)
  }

  // The face towards the server.

  status(): ReplicaStatus {
    const identity = this.#identity
    const reason = this.#unreadiness()
    const member = this.#member
    return {
      identity: identity ?? NOBODY,
      ready: reason === undefined,
      ...(reason !== undefined && { reason }),
      joined: member !== undefined && (member.hasContact() || this.#isAlone()),
      report: this.#report(),
      membersByState: member?.detector.countsByState() ?? { alive: 0, suspect: 0, dead: 0, left: 0 },
      localHealth: member?.detector.localHealth ?? 0,
      parked: this.#intake.parked,
      parkedFrom: Object.fromEntries(
        [...this.#intake.parkedFrom()].map(([replica, count]) => [
          member?.detector.member(replica)?.name ?? replica,
          count,
        ]),
      ),
      skewsMs: Object.fromEntries(
        this.members().flatMap(({ name, state, skew }) =>
          skew !== undefined && (state === 'alive' || state === 'suspect') ? [[name, skew.skewMs]] : [],
        ),
      ),
      writeQueue: this.#committer.queueLength,
      suspectLeaves: this.#suspects.leaves.length,
      undecided: this.#mender.undecided,
      disk: {
        isReadOnly: this.#disk.isReadOnly,
        freeBytes: this.#disk.freeBytes,
        reserveBytes: this.#disk.reserveBytes,
      },
      rebuilds: this.#committer.state.rebuilds,
      paused: [...this.#paused],
      divergentPartitions: this.#exchanges.divergentPartitions,
      frontier: this.#committer.state.frontier,
      oldestTombstoneMs: member?.tombstones.oldestMs,
      frontierLagsMs: this.#frontierLagsMs(),
      tombstonesPileUp: member?.tombstones.isPilingUp ?? false,
      watchers: this.#feed.watchers,
    }
  }

  read(address: Address): Held {
    const held = presentAt(this.#options.store.read(address), this.#committer.state.frontier)
    if (held === 'corrupt') {
      this.#options.measures.add('corrupt_entries')
      this.#options.log.error('corrupt-entry', { address })
    }
    return held
  }

  policyOf(bucket: string): BucketPolicy {
    return this.#policies.of(bucket)
  }

  view(): StoreView {
    return this.#options.store.view()
  }

  watch(request: WatchRequest): Watch | undefined {
    if (this.#feed.watchers >= WATCHERS_MAX) return undefined
    const committer = this.#committer
    return openWatch(request, {
      ...this.#options,
      feed: this.#feed,
      state: () => committer.state,
      isCommitting: () => committer.isCommitting,
      onUnreadable: (address) => this.#healer.suspect(address),
      isStopping: () => this.#stopping,
    })
  }

  write(request: WriteRequest): Promise<WriteResult> {
    if (!isQuorumCondition(request, this.#committer.state.members().length)) return this.#write(request)
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
      state: () => this.#committer.state,
      intake: this.#intake,
      heal: (unreadable) => this.heal(unreadable),
    })
  }

  get seen(): SessionView {
    return this.#sessions.seen
  }

  untilSeen(token: SessionToken, partition: Partition | undefined, timeoutMs: number): Promise<SessionStanding> {
    return this.#sessions.untilSeen(token, partition, timeoutMs)
  }

  async visibility({ address, ...question }: VisibilityRequest): Promise<Visibility | 'too-many'> {
    const keyHash = this.#options.hash.sha256(bytesOf(address))
    return this.#memberOrRefuse().visibility.until({ keyHash, ...question })
  }

  heal(address: Address): Promise<Held> {
    return this.#healer.heal(address)
  }

  moment(): Promise<SnapshotMoment> {
    return takeMoment(this.#committer, this.#options.store, this.#options.timers)
  }

  importEntries(entries: readonly Entry[]): Promise<readonly ImportFate[]> {
    return importEntries(entries, {
      committer: this.#committer,
      refusal: this.#writeRefusal,
      wallMs: () => this.#options.clock.wallMs(),
      driftMs: this.#options.settings.driftMs,
      onUnreadable: ({ address }) => this.#healer.suspect(address),
    })
  }

  evict(replica: ReplicaId): Promise<boolean> {
    const member = this.#memberOrRefuse()
    return evictMember(replica, {
      state: () => this.#committer.state,
      detector: member.detector,
      changeMembership: this.#changeMembership,
      publishToAll: () => this.#rounds.run('publish', () => member.publishToAll()),
    })
  }

  async leave(timeoutMs: number): Promise<Departure> {
    const member = this.#memberOrRefuse()
    if (this.#isLeaving) throw new LeaveError('not_member', 'this node is leaving already')
    if (member.twins.twin !== undefined) throw new LeaveError('cloned', twinAdvice(member.twins.twin))
    this.#isLeaving = true
    try {
      const departure = await leaveCluster(timeoutMs, {
        ...this.#options,
        ask: member.ask,
        state: () => this.#committer.state,
        learn: member.learn,
        livePeers: () => this.livePeers(),
        changeMembership: this.#changeMembership,
        peerTimeoutMs: this.#options.settings.peerTimeoutMs,
      })
      this.#fallSilent()
      return departure
    } finally {
      this.#isLeaving = false
    }
  }

  wasEvicted(replica: ReplicaId): boolean {
    return standingOf(this.#committer.state.roster, replica) === 'evicted'
  }

  formerMembers(): readonly FormerMember[] {
    return this.#member?.detector.former() ?? []
  }

  unheardOf(): readonly ReplicaId[] {
    const { detector } = this.#memberOrRefuse()
    return this.#committer.state
      .members()
      .filter((replica) => replica !== this.#identity?.replica && detector.member(replica) === undefined)
  }

  scrub(): ScrubReport {
    return this.#scrubber.start()
  }

  scrubReport(): ScrubReport | undefined {
    return this.#scrubber.report
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
    return this.#exchanges.record(name, () =>
      reconcile(peer, {
        ...this.#conversing(member),
        store: this.#options.store,
        clock: this.#options.clock,
        questionBytesMax: this.#options.settings.frameBytes,
        repairBytesPerSecond: this.#options.settings.repairBytesPerSecond,
        sweep: () => member.purger.sweep(),
        onOddLeaf: (leaf, other) => this.#mender.examine(leaf, other),
      }),
    )
  }

  exchanges(): readonly ExchangeReport[] {
    return this.#exchanges.latest
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
    if (this.#stopping) return
    this.#stopping = true
    this.#feed.end()
    const { clock, timers, store } = this.#options
    await this.#member?.detector.leave()
    await this.#rounds.stop()
    const deadlineMs = clock.monotonicMs() + FLUSH_MS
    while ((this.#member?.rumors.hot ?? 0) > 0 && clock.monotonicMs() < deadlineMs) await sleep(timers, 10)
    this.#member?.rumors.stop()
    this.#member?.values.stop()
    this.#intake.stop()
    this.#disk.stop()
    await this.#committer.close()
    await store.close()
  }

  // The face towards the other replicas.

  /** Empty texts before this node belongs to a cluster. */
  get identity(): Identity {
    return this.#identity ?? NOBODY
  }

  judge(header: QuestionHeader): Refusal | undefined {
    if (this.#isOut) return 'failed'
    return judge(header, this.#identity, this.#committer.state.roster)
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
    // Its directory may be open again in the next run already, which must not take this one for a twin.
    if (name === 'time' && this.#stopping) throw new RefusalError('busy', 'this node is stopping')
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
    if (!this.#stopping) this.#options.onFatal(error)
  }

  #fallSilent(): void {
    this.#isOut = true
    this.#member?.rumors.stop()
  }

  async #live(): Promise<void> {
    const { store, timers } = this.#options
    await this.#disk.start()
    const known = this.#identity
    const { name } = this.#options.self
    if (known !== undefined && known.name !== name) throw wrongNameError(known.name, name)
    if (known?.stage === 'left') throw await this.#leftBefore(known)
    if (known !== undefined && standingOf(store.state.roster, known.replica) === 'evicted') throw evictedError(known)
    if (isUnfinished(store.state)) throw unfinishedError()
    // The first look at the root would otherwise hash all leaves in one turn.
    await freshTree(this.#committer.state, timers)
    const joining = this.#joining()
    if (this.#identity === undefined && this.#options.found) await foundCluster(joining)
    const sponsorship = this.#identity === undefined ? await askForSponsor(joining) : undefined
    const identity = this.#identity
    if (identity === undefined || this.#stopping) return
    const member = await this.#assemble(identity, known === undefined)
    // Whoever stops it meanwhile does not wait for it, and would not stop what begins from here on.
    if (this.#stopping) return
    member.detector.learn(sponsorship?.members ?? this.#committer.state.peers.map(remembered))
    member.detector.start()
    this.#upkeep?.startLookingAround()
    if (identity.stage === 'joining') await this.#becomeMember(identity, member, joining)
    else await this.#comeBack(member)
    if (this.#stopping) return
    this.#upkeep?.start()
    this.#noticeRumors()
  }

  /** Perhaps nobody could be told then, and everybody still waits for it. */
  async #leftBefore(identity: Identity): Promise<FatalError> {
    const { peers, roster } = this.#committer.state
    await tellDeparture(
      peers.filter(({ replica }) => standingOf(roster, replica) === 'member'),
      {
        ...this.#options,
        state: () => this.#committer.state,
        peerTimeoutMs: this.#options.settings.peerTimeoutMs,
      },
    )
    return leftError(identity)
  }

  /** Every start raises the incarnation, so that what was said of the last run is refuted by the first word. */
  async #assemble(identity: Identity, beganEmpty: boolean): Promise<MemberParts> {
    const raised = { ...identity, incarnation: identity.incarnation + 1 }
    await this.#changeMembership(() => ({ identity: raised }))
    this.#member = assembleMember({
      options: this.#options,
      identity: raised,
      beganEmpty,
      run: this.#run,
      committer: this.#committer,
      intake: this.#intake,
      changeMembership: this.#changeMembership,
      isPaused: this.#isPaused,
      report: () => this.#report(),
      onMembership: (event) => {
        for (const tell of this.#told) tell(event)
      },
      suspects: this.#suspects,
      fail: this.#fail,
      versions: this.#versions,
    })
    this.#upkeep = new Upkeep({
      options: this.#options,
      member: this.#member,
      committer: this.#committer,
      intake: this.#intake,
      rounds: this.#rounds,
      pulling: this.#conversing(this.#member),
      changeMembership: this.#changeMembership,
      isPaused: this.#isPaused,
      exchange: (peer) => this.exchange(peer),
      scrub: () => this.#scrubber.round(),
      mender: this.#mender,
    })
    return this.#member
  }

  async #becomeMember(identity: Identity, member: MemberParts, joining: JoinContext): Promise<void> {
    const { log } = this.#options
    await bootstrap(identity.sponsor, this.#conversing(member), joining)
    this.#feed.start()
    log.info('bootstrapped', { sponsor: identity.sponsor, ...this.#committer.state.totals })
    const knowledge = (): Knowledge => knowledgeOf(this.#committer.state)
    const others: Introduction['others'] = () =>
      this.#committer.state
        .members()
        .filter((replica) => replica !== identity.replica)
        .map((replica) => ({ replica, standing: standingFor(member.detector.member(replica)?.state) }))
    await awaitIntroduction(
      { ask: member.ask, others, self: identity.replica, sponsor: identity.sponsor, knowledge },
      joining,
    )
    if (this.#stopping) return
    await this.#changeMembership(({ identity: now }) => (now ? { identity: { ...now, stage: 'member' } } : {}))
    this.#searched = true
    log.info('joined', { replica: identity.replica })
  }

  /** A member that was away looks for the others, wherever they are now, and serves alone when nobody answers. */
  async #comeBack(member: MemberParts): Promise<void> {
    const { clock, settings, timers } = this.#options
    const deadlineMs = clock.monotonicMs() + settings.joinTimeoutMs
    while (!this.#stopping && !this.#isAlone() && !member.hasContact() && clock.monotonicMs() < deadlineMs) {
      await this.#upkeep?.askSeeds()
      await sleep(timers, 100)
    }
    this.#searched = true
  }

  // What its parts need of each other.

  get #identity(): Identity | undefined {
    return this.#committer.state.identity
  }

  readonly #isPaused = (what: Pausable): boolean => this.#paused.has(what)

  /**
   * A suspect clock is no reason to refuse a write: nobody who comes here is better served by an error, and versions
   * follow what is held, whatever the clock says.
   */
  readonly #writeRefusal = (): WriteRefusal | undefined => {
    if (this.#stopping || this.#isOut || this.#isLeaving) return 'draining'
    if (this.#member?.twins.twin !== undefined) return 'cloned'
    if (this.#incompleteness() !== undefined) return 'not_ready'
    return this.#disk.isReadOnly ? 'disk_full' : undefined
  }

  #unreadiness(): string | undefined {
    const incompleteness = this.#incompleteness()
    if (incompleteness !== undefined) return incompleteness
    const twin = this.#member?.twins.twin
    if (twin !== undefined) return `cloned: ${twinAdvice(twin)}`
    const fault = this.#member?.clocks.fault
    return fault && `clock_suspect: ${clockAdvice(fault)}`
  }

  /** Why this node is not yet, or no more, a member that holds what a member holds. */
  #incompleteness(): string | undefined {
    const identity = this.#identity
    if (this.#stopping) return 'stopping'
    if (identity === undefined && this.#sponsorAheadMs !== undefined)
      return `clock_suspect: the sponsor's clock is ${Math.round(this.#sponsorAheadMs / 1_000)} s ahead of this node's. Set the clocks, best by NTP: the node then joins by itself`
    if (identity === undefined && this.#options.found) return this.#founding
    if (identity === undefined)
      return ['looking for a sponsor', ...(this.#notSponsored === undefined ? [] : [this.#notSponsored])].join(': ')
    if (identity.stage === 'left') return 'it has left the cluster'
    if (standingOf(this.#committer.state.roster, identity.replica) === 'evicted') return 'evicted'
    if (this.#isLeaving) return 'leaving: it takes no more writes, until another member holds everything'
    if (identity.stage === 'joining') return 'joining'
    if (this.#committer.isReopening) return 'opening the store again after a failed write'
    return this.#searched ? undefined : 'looking for the other members'
  }

  get #founding(): string {
    return this.#options.restore === undefined ? 'founding' : 'founding, from a snapshot'
  }

  #isAlone(): boolean {
    return this.#committer.state.members().length <= 1
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
      member: this.#unreadiness() === undefined,
    }
  }

  #sponsor(question: Question<'join'>, member: MemberParts): Promise<Answer<'join'>> {
    // A joiner would lose its sponsor, and have to begin anew.
    if (this.#isLeaving) throw new RefusalError('busy', 'this node is leaving')
    return sponsor(question, {
      state: () => this.#committer.state,
      detector: member.detector,
      changeMembership: this.#changeMembership,
      publishToAll: () => this.#rounds.run('publish', member.publishToAll),
      hello: (address) =>
        hello(address, {
          transport: this.#options.transport,
          peerTimeoutMs: this.#options.settings.peerTimeoutMs,
        }),
    })
  }

  #report(): ReplicaReport {
    const { state } = this.#committer
    return {
      name: this.#options.self.name,
      // Hashed first, if need be, and so only for those who look at it.
      get root() {
        return state.tree.root()
      },
      totals: state.totals,
      hotRumors: this.#member?.rumors.hot ?? 0,
      lastExchangeMs: this.#exchanges.sinceLastMs,
      ready: this.#unreadiness() === undefined,
    }
  }

  #conversing(member: MemberParts): PullContext {
    return {
      ask: member.ask,
      state: () => this.#committer.state,
      intake: this.#intake,
      timers: this.#options.timers,
      publishTo: member.publishTo,
      learnFrontier: member.learnFrontier,
      checkClaims: member.checkClaims,
      isStopping: () => this.#stopping,
    }
  }

  /** A joiner takes from its sponsor alone; what there is no room for need not be asked for. */
  #pullingForSessions(): PullContext | undefined {
    const isAble = this.#identity?.stage === 'member' && !this.#isPaused('anti-entropy') && !this.#committer.isReadOnly
    return this.#member !== undefined && isAble ? this.#conversing(this.#member) : undefined
  }

  #write(request: WriteRequest): Promise<WriteResult> {
    const { clock, hash, timers, settings } = this.#options
    return coordinateWrite(request, {
      committer: this.#committer,
      rumors: this.#member?.rumors,
      owners: this.#member?.owners,
      hash,
      clock,
      timers,
      driftMs: settings.driftMs,
      refusal: this.#writeRefusal,
    })
  }

  #joining(): JoinContext {
    const { restore, settings } = this.#options
    return {
      ...this.#options,
      changeMembership: this.#changeMembership,
      driftMs: settings.driftMs,
      peerTimeoutMs: settings.peerTimeoutMs,
      sponsorIsAhead: (aheadMs) => {
        this.#sponsorAheadMs = aheadMs
      },
      notSponsored: (why) => {
        this.#notSponsored = why
      },
      isStopping: () => this.#stopping,
      ...(restore !== undefined && { adopt: () => adoptSnapshot(restore, this.#adopting()) }),
    }
  }

  #adopting(): AdoptionContext {
    return {
      ...this.#options,
      committer: this.#committer,
      driftMs: this.#options.settings.driftMs,
      isStopping: () => this.#stopping,
    }
  }

  #reporting(): ReportContext {
    const member = this.#memberOrRefuse()
    return {
      ask: member.ask,
      hash: this.#options.hash,
      self: () => this.#identity?.replica ?? '',
      members: () => this.members(),
      frontier: () => this.#committer.state.frontier,
      learnFrontier: member.learnFrontier,
      answer: async (name, question) => {
        await freshTree(this.#committer.state, this.#options.timers)
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

  #frontierLagsMs(): Readonly<Record<string, number>> {
    const waitsMs = this.#member?.tombstones.waitsMs()
    const members = this.members().filter(({ state }) => state !== 'evicted')
    return Object.fromEntries(members.map(({ name, replica }) => [name, waitsMs?.get(replica) ?? 0]))
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
    this.#rounds.run('rumor-notice', async () => {
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

/** Before it has joined, a replica is nobody. */
const NOBODY: Identity = { cluster: '', replica: '', name: '', stage: 'joining', sponsor: '', incarnation: 0 }
