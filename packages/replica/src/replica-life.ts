import {
  presentAt,
  RefusalError,
  standingOf,
  type Address,
  type Held,
  type Identity,
  type MemberState,
  type Peer,
  type ReplicaId,
  type ReplicaReport,
  type RunId,
} from '@grapevine/core'
import { adoptSnapshot, isUnfinished, unfinishedError, type AdoptionContext } from './adopt-snapshot.ts'
import { reconcile } from './anti-entropy-round.ts'
import { evictedError, FatalError, leftError } from './fatal-error.ts'
import { freshTree } from './fresh-tree.ts'
import {
  askForSponsor,
  awaitIntroduction,
  bootstrap,
  foundCluster,
  type Introduction,
  type JoinContext,
} from './join.ts'
import { tellDeparture } from './leave.ts'
import { ignoreAbsence } from './ask-member.ts'
import { assembleMember, remembered, wrongNameError, type MemberParts } from './member-parts.ts'
import type { MembershipEvent } from './membership/membership-event.ts'
import { assembleOwn, type OwnParts } from './own-parts.ts'
import { exchangeKnowledge } from './publish.ts'
import type { ReplicaState } from './replica-state.ts'
import type { PullContext } from './pull-round.ts'
import type { ExchangeReport, Pausable } from './replica.ts'
import type { ReplicaOptions } from './replica-options.ts'
import { reportOf } from './replica-status.ts'
import { sleep } from './sleep.ts'
import { Upkeep } from './upkeep.ts'

/** How long a stopping node waits for its rumors to be heard. */
const FLUSH_MS = 1_000

/**
 * From the start to the end of one run of a replica: it founds, joins or comes back, then does its rounds, until it is stopped or
 * finds that it cannot go on. Here its parts are put together; what they do is in the files that are imported.
 */
export class ReplicaLife {
  readonly own: OwnParts
  readonly #options: ReplicaOptions
  readonly #paused = new Set<Pausable>()
  readonly #told = new Set<(event: MembershipEvent) => void>()
  /** Draws the line between this process and any other with the same replica id. */
  readonly #run: RunId
  #member: MemberParts | undefined
  #upkeep: Upkeep | undefined

  constructor(options: ReplicaOptions) {
    this.#options = options
    this.#run = options.random.hex(8)
    this.own = assembleOwn({
      options,
      member: () => this.#member,
      memberOrRefuse: () => this.memberOrRefuse(),
      read: (address) => this.read(address),
      livePeers: () => this.livePeers(),
      peersToRepairFrom: () => (this.isPaused('anti-entropy') ? [] : this.livePeers()),
      isAlone: () => this.isAlone,
      pullingForSessions: () => this.#pullingForSessions(),
      raiseFrontier: async (atLeast) => {
        if (this.#upkeep?.mayLookAtFrontier === true) await this.#upkeep.raiseFrontier({ atLeast })
      },
      onReopened: () => this.#endIfOver(),
    })
  }

  /** What it has once it knows who it is. */
  get member(): MemberParts | undefined {
    return this.#member
  }

  get upkeep(): Upkeep | undefined {
    return this.#upkeep
  }

  get identity(): Identity | undefined {
    return this.own.committer.state.identity
  }

  get isAlone(): boolean {
    return this.own.committer.state.members().length <= 1
  }

  get paused(): ReadonlySet<Pausable> {
    return this.#paused
  }

  readonly isPaused = (what: Pausable): boolean => this.#paused.has(what)

  /** @throws {RefusalError} */
  memberOrRefuse(): MemberParts {
    if (this.#member === undefined) throw new RefusalError('not-founded', 'this node belongs to no cluster yet')
    return this.#member
  }

  livePeers(): readonly Peer[] {
    return this.#member?.detector.livePeers() ?? []
  }

  read(address: Address): Held {
    const held = presentAt(this.#options.store.read(address), this.own.committer.state.frontier)
    if (held === 'corrupt') {
      this.#options.measures.add('corrupt_entries')
      this.#options.log.error('corrupt-entry', { address })
    }
    return held
  }

  /** One exchange of anti-entropy, written down. */
  async exchange(peer: ReplicaId): Promise<ExchangeReport> {
    const member = this.memberOrRefuse()
    const name = member.detector.member(peer)?.name ?? peer
    return this.own.exchanges.record(name, () =>
      reconcile(peer, {
        ...this.#conversing(member),
        store: this.#options.store,
        clock: this.#options.clock,
        questionBytesMax: this.#options.settings.frameBytes,
        repairBytesPerSecond: this.#options.settings.repairBytesPerSecond,
        learnFrontier: member.learnFrontier,
        sweep: () => member.purger.sweep(),
        onOddLeaf: (leaf, other) => this.own.mender.examine(leaf, other),
      }),
    )
  }

  /** Tells of what becomes of members, until the returned function is called. */
  onMembership(tell: (event: MembershipEvent) => void): () => void {
    this.#told.add(tell)
    return () => this.#told.delete(tell)
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

  /** Founds, joins or comes back, and then does its rounds. Returns at once. */
  start(): void {
    this.#live().catch(this.fail)
  }

  async stop(): Promise<void> {
    if (this.own.readiness.isStopping) return
    this.own.readiness.isStopping = true
    this.own.feed.end()
    const { clock, timers, store } = this.#options
    await this.#member?.detector.leave()
    await this.own.rounds.stop()
    const deadlineMs = clock.monotonicMs() + FLUSH_MS
    while ((this.#member?.rumors.hot ?? 0) > 0 && clock.monotonicMs() < deadlineMs) await sleep(timers, 10)
    this.#member?.rumors.stop()
    this.#member?.values.stop()
    this.own.intake.stop()
    this.own.disk.stop()
    await this.own.committer.close()
    await store.close()
  }

  /** It cannot go on. */
  readonly fail = (error: unknown): void => {
    // What such a replica holds is not to be given to anybody (R16), and nothing is to be taken from it (R15).
    if (error instanceof FatalError) this.fallSilent()
    if (!this.own.readiness.isStopping) this.#options.onFatal(error)
  }

  fallSilent(): void {
    this.own.readiness.isOut = true
    this.#member?.rumors.stop()
  }

  async #live(): Promise<void> {
    const { store, timers } = this.#options
    await this.own.disk.start()
    const known = this.identity
    const { name } = this.#options.self
    if (known !== undefined && known.name !== name) throw wrongNameError(known.name, name)
    if (known?.stage === 'left') throw await this.#leftBefore(known)
    if (known !== undefined && standingOf(store.state.roster, known.replica) === 'evicted') throw evictedError(known)
    if (isUnfinished(store.state)) throw unfinishedError()
    // The first look at the root would otherwise hash all leaves in one turn.
    await freshTree(this.own.committer.state, timers)
    const joining = this.#joining()
    if (this.identity === undefined && this.#options.found) await foundCluster(joining)
    const sponsorship = this.identity === undefined ? await askForSponsor(joining) : undefined
    const identity = this.identity
    if (identity === undefined || this.own.readiness.isStopping) return
    const member = await this.#assemble(identity, known === undefined)
    // Whoever stops it meanwhile does not wait for it, and would not stop what begins from here on.
    if (this.own.readiness.isStopping) return
    member.detector.learn(sponsorship?.members ?? this.own.committer.state.peers.map(remembered))
    member.detector.start()
    this.#upkeep?.startLookingAround()
    if (identity.stage === 'joining') await this.#becomeMember(identity, member, joining)
    else await this.#comeBack(member)
    if (this.own.readiness.isStopping) return
    this.#upkeep?.start()
    this.#noticeRumors()
  }

  /** The commit that failed may have been that of the end of its own membership, and be durable all the same. */
  #endIfOver(): void {
    const { identity } = this
    if (identity === undefined) return
    if (identity.stage === 'left') this.fail(leftError(identity))
    else if (standingOf(this.own.committer.state.roster, identity.replica) === 'evicted')
      this.fail(evictedError(identity))
  }

  /** Perhaps nobody could be told then, and everybody still waits for it. */
  async #leftBefore(identity: Identity): Promise<FatalError> {
    const { peers, roster } = this.own.committer.state
    await tellDeparture(
      peers.filter(({ replica }) => standingOf(roster, replica) === 'member'),
      {
        ...this.#options,
        state: () => this.own.committer.state,
        peerTimeoutMs: this.#options.settings.peerTimeoutMs,
      },
    )
    return leftError(identity)
  }

  /** Every start raises the incarnation, so that what was said of the last run is refuted by the first word. */
  async #assemble(identity: Identity, beganEmpty: boolean): Promise<MemberParts> {
    const raised = { ...identity, incarnation: identity.incarnation + 1 }
    await this.own.changeMembership(() => ({ identity: raised }))
    this.#member = assembleMember({
      options: this.#options,
      identity: raised,
      beganEmpty,
      run: this.#run,
      committer: this.own.committer,
      intake: this.own.intake,
      changeMembership: this.own.changeMembership,
      isPaused: this.isPaused,
      report: () => this.#report(),
      onMembership: (event) => {
        for (const tell of this.#told) tell(event)
      },
      suspects: this.own.suspects,
      fail: this.fail,
      versions: this.own.versions,
    })
    this.#upkeep = new Upkeep({
      options: this.#options,
      member: this.#member,
      committer: this.own.committer,
      intake: this.own.intake,
      rounds: this.own.rounds,
      pulling: this.#conversing(this.#member),
      changeMembership: this.own.changeMembership,
      isPaused: this.isPaused,
      exchange: (peer) => this.exchange(peer),
      scrub: () => this.own.scrubber.round(),
      mender: this.own.mender,
      fail: this.fail,
    })
    return this.#member
  }

  async #becomeMember(identity: Identity, member: MemberParts, joining: JoinContext): Promise<void> {
    const { log } = this.#options
    if (await bootstrap(identity.sponsor, this.#conversing(member), joining)) member.acquaintance.lostNothing()
    this.own.feed.start()
    log.info('bootstrapped', { sponsor: identity.sponsor, ...this.own.committer.state.totals })
    const state = (): ReplicaState => this.own.committer.state
    const exchange: Introduction['exchange'] = (replica) =>
      exchangeKnowledge(replica, { ask: member.ask, learn: member.learn, state })
    const others: Introduction['others'] = () =>
      state()
        .others()
        .map((replica) => ({ replica, standing: standingFor(member.detector.member(replica)?.state) }))
    await awaitIntroduction({ exchange, others, self: identity.replica, sponsor: identity.sponsor }, joining)
    if (this.own.readiness.isStopping) return
    await this.own.changeMembership(({ identity: now }) => (now ? { identity: { ...now, stage: 'member' } } : {}))
    this.own.readiness.hasSearched = true
    log.info('joined', { replica: identity.replica })
  }

  /** A member that was away looks for the others, wherever they are now, and serves alone when nobody answers. */
  async #comeBack(member: MemberParts): Promise<void> {
    const { clock, settings, timers } = this.#options
    const deadlineMs = clock.monotonicMs() + settings.joinTimeoutMs
    while (
      !this.own.readiness.isStopping &&
      !this.isAlone &&
      !member.hasContact() &&
      clock.monotonicMs() < deadlineMs
    ) {
      await this.#upkeep?.askSeeds()
      await sleep(timers, 100)
    }
    this.own.readiness.hasSearched = true
  }

  // What its parts need of each other.

  #report(): ReplicaReport {
    return reportOf({ own: this.own, member: this.#member, name: this.#options.self.name })
  }

  #conversing(member: MemberParts): PullContext {
    return {
      ask: member.ask,
      state: () => this.own.committer.state,
      intake: this.own.intake,
      timers: this.#options.timers,
      publishTo: member.publishTo,
      takeFrontier: member.takeFrontier,
      takeFolded: member.takeFolded,
      isAcquainted: member.isAcquainted,
      checkClaims: member.checkClaims,
      isStopping: () => this.own.readiness.isStopping,
    }
  }

  /** A joiner takes from its sponsor alone; what there is no room for need not be asked for. */
  #pullingForSessions(): PullContext | undefined {
    const isAble = this.identity?.stage === 'member' && !this.isPaused('anti-entropy') && !this.own.committer.isReadOnly
    return this.#member !== undefined && isAble ? this.#conversing(this.#member) : undefined
  }

  #joining(): JoinContext {
    const { restore, settings } = this.#options
    return {
      ...this.#options,
      changeMembership: this.own.changeMembership,
      driftMs: settings.driftMs,
      peerTimeoutMs: settings.peerTimeoutMs,
      sponsorIsAhead: (aheadMs) => {
        this.own.readiness.sponsorAheadMs = aheadMs
      },
      notSponsored: (why) => {
        this.own.readiness.notSponsored = why
      },
      isStopping: () => this.own.readiness.isStopping,
      ...(restore !== undefined && { adopt: () => adoptSnapshot(restore, this.#adopting()) }),
    }
  }

  #adopting(): AdoptionContext {
    return {
      ...this.#options,
      committer: this.own.committer,
      driftMs: this.#options.settings.driftMs,
      isStopping: () => this.own.readiness.isStopping,
    }
  }

  #noticeRumors(): void {
    const member = this.#member
    if (member === undefined) return
    const question = { takesRumors: !this.#paused.has('rumors') }
    this.own.rounds.run('rumor-notice', async () => {
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
