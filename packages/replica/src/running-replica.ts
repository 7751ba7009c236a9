import {
  bytesOf,
  RefusalError,
  standingOf,
  type Address,
  type Answer,
  type BucketPolicy,
  type Entry,
  type Held,
  type Identity,
  type Partition,
  type MemberValue,
  type Peer,
  type Question,
  type QuestionName,
  type Refusal,
  type ReplicaId,
  type SessionStanding,
  type SessionToken,
  type SessionView,
  type StoreView,
  type QuestionHeader,
} from '@grapevine/core'
import { evictMember } from './evict-member.ts'
import { freshTree } from './fresh-tree.ts'
import { leaveCluster, LeaveError, type Departure } from './leave.ts'
import type { MemberParts } from './member-parts.ts'
import type { MembershipEvent } from './membership/membership-event.ts'
import type { OwnParts } from './own-parts.ts'
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
import { PeerFace } from './peer-face.ts'
import { ReplicaLife } from './replica-life.ts'
import { statusOf } from './replica-status.ts'
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
import {
  explainTombstone,
  tombstoneReport,
  type TombstoneExplanation,
  type TombstoneReport,
  type TombstoneReportContext,
} from './tombstone-reports.ts'
import { twinAdvice } from './twin-watch.ts'
import { isQuorumCondition, writeOnCondition } from './write-on-condition.ts'
import { openWatch, WATCHERS_MAX, type Watch, type WatchRequest } from './watch/watch.ts'
import { coordinateWrite } from './write.ts'
import type { Visibility } from './visibility.ts'

/** One replica as its server sees it. How it lives is in `replica-life.ts`, what it answers other replicas in `peer-face.ts`. */
export class RunningReplica implements Replica {
  readonly #options: ReplicaOptions
  readonly #life: ReplicaLife
  readonly #peerFace: PeerFace

  constructor(options: ReplicaOptions) {
    this.#options = options
    this.#life = new ReplicaLife(options)
    this.#peerFace = new PeerFace(options, this.#life)
  }

  get identity(): Identity {
    return this.#peerFace.identity
  }

  judge(header: QuestionHeader): Refusal | undefined {
    return this.#peerFace.judge(header)
  }

  answer<Name extends QuestionName>(
    header: QuestionHeader,
    name: Name,
    question: Question<Name>,
  ): Promise<Answer<Name>> {
    return this.#peerFace.answer(header, name, question)
  }

  start(): void {
    this.#life.start()
  }

  status(): ReplicaStatus {
    const { name } = this.#options.self
    const isAlone = this.#life.isAlone
    return statusOf({
      own: this.#own,
      member: this.#member,
      name,
      paused: this.#life.paused,
      isAlone,
      members: this.members(),
    })
  }

  read(address: Address): Held {
    return this.#life.read(address)
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
      suspects: this.#own.suspects,
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
      this.#life.fallSilent()
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
    return this.#own.committer.state.others().filter((replica) => detector.member(replica) === undefined)
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
    return this.#life.onMembership(tell)
  }

  setMemberValue(name: string, value: Uint8Array, contentType: string): boolean {
    return this.#memberOrRefuse().values.set(name, value, contentType) !== undefined
  }

  memberValues(replica: ReplicaId): readonly MemberValue[] {
    return this.#member?.values.values.of(replica) ?? []
  }

  livePeers(): readonly Peer[] {
    return this.#life.livePeers()
  }

  async exchange(withReplica?: ReplicaId): Promise<ExchangeReport> {
    const peer = withReplica ?? this.#life.upkeep?.randomPeer()
    if (peer === undefined) throw new RefusalError('not-introduced', 'there is no live member to exchange with')
    return this.#life.exchange(peer)
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
    this.#life.pause(what)
  }

  resume(what: Pausable): void {
    this.#life.resume(what)
  }

  stop(): Promise<void> {
    return this.#life.stop()
  }

  get #own(): OwnParts {
    return this.#life.own
  }

  get #member(): MemberParts | undefined {
    return this.#life.member
  }

  #memberOrRefuse(): MemberParts {
    return this.#life.memberOrRefuse()
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

  #reporting(): ReportContext {
    const member = this.#memberOrRefuse()
    return {
      ask: member.ask,
      hash: this.#options.hash,
      self: () => this.#life.identity?.replica ?? '',
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
        const upkeep = this.#life.upkeep
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
    return answerer(question, this.#life.identity?.replica ?? '')
  }
}
