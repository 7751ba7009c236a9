import {
  Contacts,
  LOCAL_HEALTH_MAX,
  LocalHealth,
  ProbeOrder,
  sample,
  SleepDetector,
  type Answer,
  type Clock,
  type Log,
  type Measures,
  type MemberEvent,
  type MemberState,
  type MemberUpdate,
  type Peer,
  type Question,
  type Random,
  type ReplicaId,
  type Timer,
  type Timers,
} from '@grapevine/core'
import type { MemberView } from '../replica.ts'
import { Opinions } from './opinions.ts'
import {
  isSignOfLife,
  probeRound,
  reaches,
  type AskMember,
  type ProbeContext,
  type ProbeOptions,
} from './probe-round.ts'

export const PROBE_DEFAULTS: ProbeOptions = { intervalMs: 1_000, timeoutMs: 500, indirectProbes: 3 }

/** How often we look at the clock. News travels at this pace, and a sleep is noticed within it. */
const TICK_MS = 200
/**
 * Members probed in one interval. SWIM probes one. Among ten, all nine others may then leave a crashed one for
 * the end of their rounds, and one silent crash in thirty was seen later than P10's 10 s; with three, none was.
 */
const PROBES_PER_INTERVAL = 3
/** Peers that hear urgent news at each tick: all within log4(n) ticks. */
const GOSSIP_FANOUT = 3
/** Peers that hear at once that we are alive after all, or that we leave. Above that, gossip does the rest. */
const BROADCAST_MAX = 16
/** Whole lists go both ways so rarely because they only bring what all else has missed. */
const PUSH_PULL_INTERVAL_MS = 30_000
/** A whole list of 256 members is 64 KiB, which a slow link takes a while to carry. */
const PUSH_PULL_TIMEOUT_MS = 5_000
/** Probe intervals between two attempts to reach somebody who is dead or left: that is how a partition heals. */
const GONE_CONTACT_INTERVALS = 30
/** Evicted members whose names are remembered, so that whoever asks to evict one once more hears that it is. */
const FORMER_MEMBERS_MAX = 64
/** How long a departure waits for the others to hear of it. */
const LEAVE_TIMEOUT_MS = 500

export interface FailureDetectorOptions {
  /** With an incarnation above that of the last run, when it is known: the caller keeps it on disk. */
  readonly self: MemberUpdate
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly ask: AskMember
  /** Decided by the roster, never here (frontier.md R14). */
  readonly isMember: (replica: ReplicaId) => boolean
  readonly measures: Measures
  readonly log: Log
  readonly probe: ProbeOptions
  readonly onChange: (event: MemberEvent) => void
  /** It was evicted, and is no member any more. */
  readonly onForgotten?: (member: MemberUpdate) => void
  /** Somebody says that this replica lives at another address than it does. */
  readonly onNamesake?: (address: string) => void
  /**
   * Whether to do what Lifeguard adds to SWIM: local health, noticing one's own sleep, telling a suspect first, heeding
   * signs of life, and suspicions that others' agreement shortens. Always, but for measuring what it is worth.
   */
  readonly lifeguard?: boolean
}

/**
 * Knows whom to route to: SWIM (Das et al. 2002) with Lifeguard (Dadgar et al. 2018). It decides the state of
 * members and their order, never who is one, nor what may be purged (P10).
 */
export class FailureDetector {
  readonly #options: FailureDetectorOptions
  readonly #opinions: Opinions
  readonly #contacts = new Contacts()
  readonly #health: LocalHealth
  readonly #order: ProbeOrder
  readonly #sleep: SleepDetector
  readonly #probeContext: ProbeContext
  readonly #former = new Map<ReplicaId, string>()
  /** Probes under way: one a member. */
  readonly #probing = new Set<ReplicaId>()
  /** To be probed at the next tick, out of turn. */
  readonly #probeSoon = new Set<ReplicaId>()
  /** When each was last probed out of turn: chatter must not become a flood of probes. */
  readonly #probedSoonMs = new Map<ReplicaId, number>()
  #timer: Timer | undefined
  #nextProbeMs = 0
  #nextPushPullMs = 0
  #nextGoneContactMs = 0
  #sleptAtMs: number = Number.NEGATIVE_INFINITY

  constructor(options: FailureDetectorOptions) {
    const { probe, random, lifeguard = true } = options
    this.#options = options
    this.#health = new LocalHealth(lifeguard ? LOCAL_HEALTH_MAX : 0)
    this.#opinions = new Opinions({ ...options, lifeguard, health: this.#health, probeIntervalMs: probe.intervalMs })
    this.#order = new ProbeOrder(random)
    this.#sleep = new SleepDetector(lifeguard ? probe.timeoutMs : Number.POSITIVE_INFINITY)
    this.#probeContext = {
      ask: options.ask,
      clock: options.clock,
      options: probe,
      health: this.#health,
      helpersFor: (target) => this.#helpersFor(target),
      newsFor: (replica, about) => this.#opinions.newsFor(replica, about),
      receive: (from, updates) => this.#receive(from, updates),
      answered: (target, rttMs) => this.#answered(target, rttMs),
      sleptSince: (ms) => this.#sleptSince(ms),
    }
  }

  // What we know.

  /** Rises when this replica refutes: `onChange` tells whoever keeps the incarnation on disk, as kind `refute`. */
  get self(): MemberUpdate {
    return this.#opinions.list.self
  }

  /** 0 is well, 8 is worst. */
  get localHealth(): number {
    return this.#health.score
  }

  /** Also where the member lives: addresses come with higher incarnations of their owners. */
  member(replica: ReplicaId): MemberUpdate | undefined {
    return this.#opinions.list.get(replica)
  }

  /** The whole list, this replica first, as a joiner gets it. */
  updates(): readonly MemberUpdate[] {
    return this.#opinions.list.all()
  }

  members(): readonly MemberView[] {
    return this.updates().map((member) => ({
      ...member,
      rttMs: this.#contacts.rttMs(member.replica),
      skew: undefined,
      isSelf: member.replica === this.self.replica,
    }))
  }

  /** Best first, by {@link Contacts.rank}. */
  livePeers(): readonly Peer[] {
    const ranked = this.#contacts.rank(this.#opinions.list.live(), this.#nowMs())
    return ranked.map(({ replica, address }) => ({ replica, address }))
  }

  /** This replica included. */
  countsByState(): Readonly<Record<MemberState, number>> {
    const counts = { alive: 0, suspect: 0, dead: 0, left: 0 }
    for (const { state } of this.updates()) counts[state] += 1
    return counts
  }

  // What this replica tells its failure detector.

  /**
   * Members known from elsewhere: the sponsor's answer, or the disk. Where only an address is known,
   * incarnation 0 lets any word of its owner replace it.
   */
  learn(updates: readonly MemberUpdate[]): void {
    this.#receive(this.self.replica, updates)
  }

  rosterChanged(): void {
    for (const member of this.#opinions.rosterChanged()) {
      const { replica, name } = member
      this.#options.onForgotten?.(member)
      this.#former.set(replica, name)
      const [oldest] = this.#former.keys()
      if (this.#former.size > FORMER_MEMBERS_MAX && oldest !== undefined) this.#former.delete(oldest)
      this.#contacts.forget(replica)
      this.#probeSoon.delete(replica)
      this.#probedSoonMs.delete(replica)
    }
  }

  /** Who was evicted since the start, by name: the roster keeps ids alone. */
  former(): readonly { readonly replica: ReplicaId; readonly name: string }[] {
    return [...this.#former].map(([replica, name]) => ({ replica, name })).toReversed()
  }

  /** An authenticated peer spoke to us about whatever. Whom we doubt is probed next, and so hears that we do. */
  heardFrom(replica: ReplicaId): void {
    this.#sawLife(replica)
    const state = this.member(replica)?.state
    if (state !== undefined && state !== 'alive') this.#probeOutOfTurn(replica)
  }

  contactSucceeded(replica: ReplicaId, rttMs: number): void {
    if (this.member(replica) === undefined) return
    this.#contacts.succeeded(replica, this.#nowMs(), rttMs)
    this.heardFrom(replica)
  }

  /** Somebody could not reach it just now: it is ranked last at once, and probed at the next tick. */
  contactFailed(replica: ReplicaId): void {
    if (this.member(replica) === undefined) return
    this.#contacts.failed(replica)
    this.#probeOutOfTurn(replica)
  }

  // What peers ask us.

  answerProbe(from: ReplicaId, { updates }: Question<'probe'>): Answer<'probe'> {
    return { updates: this.#swapNews(from, updates) }
  }

  answerGossip(from: ReplicaId, { updates }: Question<'gossip'>): Answer<'gossip'> {
    return { updates: this.#swapNews(from, updates) }
  }

  async answerIndirectProbe(
    from: ReplicaId,
    { target, updates }: Question<'indirect-probe'>,
  ): Promise<Answer<'indirect-probe'>> {
    const { isMember, probe } = this.#options
    if (!isMember(from) || this.member(target) === undefined) return { reached: false, updates: [this.self] }
    this.#receive(from, updates)
    this.#sawLife(from)
    // Local health plays no part here: the asker counts on an answer in time.
    const reached = await reaches(target, probe.timeoutMs, this.#probeContext)
    return { reached, updates: this.#opinions.newsFor(from, target) }
  }

  answerPushPull(from: ReplicaId, { members }: Question<'push-pull'>): Answer<'push-pull'> {
    if (!this.#options.isMember(from)) return { members: [this.self] }
    this.#receiveList(from, members)
    this.#sawLife(from)
    return { members: this.updates() }
  }

  // What we do by ourselves.

  start(): void {
    const { probe, random } = this.#options
    const nowMs = this.#nowMs()
    // At random moments, or nodes that were started together would all ask at once for ever.
    this.#nextProbeMs = nowMs + random.next() * probe.intervalMs
    this.#nextPushPullMs = nowMs + random.next() * PUSH_PULL_INTERVAL_MS
    this.#nextGoneContactMs = nowMs + random.next() * GONE_CONTACT_INTERVALS * probe.intervalMs
    this.#opinions.announceSelf()
    this.#pushPullWithSome(GOSSIP_FANOUT)
    this.#scheduleTick()
  }

  /** Cancels the timer. Questions under way end by themselves, and accuse nobody. */
  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  /** Tells the others that we stop on purpose. Membership stays. */
  async leave(): Promise<void> {
    this.stop()
    this.#opinions.leave()
    await this.#broadcastSelf(LEAVE_TIMEOUT_MS)
  }

  /** Compares whole lists with one member. Tells whether it answered. */
  async pushPull(replica: ReplicaId): Promise<boolean> {
    try {
      const question = { members: this.updates() }
      const { members } = await this.#options.ask(replica, 'push-pull', question, PUSH_PULL_TIMEOUT_MS)
      this.#receiveList(replica, members)
    } catch (error) {
      if (!isSignOfLife(error)) this.#contacts.failed(replica)
      return false
    }
    this.#sawLife(replica)
    return true
  }

  #scheduleTick(): void {
    this.#sleep.expect(this.#nowMs() + TICK_MS)
    this.#timer = this.#options.timers.after(TICK_MS, () => this.#tick())
  }

  #tick(): void {
    const nowMs = this.#nowMs()
    // First of all: a deadline that passed in our sleep must not be seen before the sleep is.
    this.#noticeSleep(nowMs)
    this.#opinions.declareOverdue(nowMs)
    this.#startProbes(nowMs)
    this.#startGossip()
    this.#startPushPulls(nowMs)
    if (this.#timer !== undefined) this.#scheduleTick()
  }

  #noticeSleep(nowMs: number): void {
    const sleptMs = this.#sleep.slept(nowMs)
    if (sleptMs === 0) return
    this.#sleptAtMs = nowMs
    this.#health.note('late-tick')
    this.#opinions.slept(sleptMs)
    // Long enough to be suspected ourselves: whoever answers tells us so, and we deny it.
    if (sleptMs >= this.#options.probe.intervalMs) this.#pushPullWithSome(GOSSIP_FANOUT)
  }

  /** Whether we slept since then. Looks at the clock too: the time-out of a question may run before our tick. */
  #sleptSince(ms: number): boolean {
    this.#noticeSleep(this.#nowMs())
    return this.#sleptAtMs >= ms
  }

  #startProbes(nowMs: number): void {
    const targets = new Set(this.#probeSoon)
    this.#probeSoon.clear()
    if (nowMs >= this.#nextProbeMs) {
      this.#nextProbeMs = nowMs + this.#options.probe.intervalMs * this.#health.multiplier
      this.rosterChanged()
      const live = this.#opinions.list.live().map(({ replica }) => replica)
      if (live.length === 0) this.#health.note('nobody-to-probe')
      for (const target of this.#order.take(PROBES_PER_INTERVAL, live)) targets.add(target)
    }
    for (const target of targets) if (!this.#probing.has(target)) this.#background(this.#probe(target))
  }

  async #probe(target: ReplicaId): Promise<void> {
    const before = this.member(target)
    if (before === undefined) return
    this.#probing.add(target)
    try {
      const verdict = await probeRound(target, this.#probeContext)
      if (verdict === 'vouched' || verdict === 'silent') this.#contacts.failed(target)
      if (verdict === 'silent') this.#suspect(before)
    } finally {
      this.#probing.delete(target)
    }
  }

  #suspect(before: MemberUpdate): void {
    const { replica } = before
    const now = this.member(replica)
    // What it said of itself since the probe began is better evidence than the probe.
    if (this.#timer === undefined || now?.incarnation !== before.incarnation) return
    // With nobody to ask, the fault may as well be ours (Lifeguard §IV-A); but a known suspect proves nothing new.
    if (now.state === 'alive' && this.#helpersFor(replica).length === 0) this.#health.note('probe-missed')
    this.#opinions.claim(replica, 'suspect')
  }

  #startGossip(): void {
    if (!this.#opinions.hasNews) return
    const { probe, random } = this.#options
    for (const { replica } of sample(this.#opinions.list.live(), GOSSIP_FANOUT, random)) {
      this.#background(this.#gossip(replica, this.#opinions.newsFor(replica), probe.timeoutMs))
    }
  }

  async #gossip(replica: ReplicaId, updates: readonly MemberUpdate[], timeoutMs: number): Promise<void> {
    try {
      const answer = await this.#options.ask(replica, 'gossip', { updates }, timeoutMs)
      this.#receive(replica, answer.updates)
    } catch (error) {
      if (!isSignOfLife(error)) return this.#contacts.failed(replica)
    }
    this.#sawLife(replica)
  }

  #startPushPulls(nowMs: number): void {
    const { probe, random } = this.#options
    if (nowMs >= this.#nextPushPullMs) {
      this.#nextPushPullMs = nowMs + PUSH_PULL_INTERVAL_MS
      this.#pushPullWithSome(1)
    }
    if (nowMs >= this.#nextGoneContactMs) {
      const live = this.#opinions.list.live()
      // With nobody left there is nothing better to do than to look for somebody.
      this.#nextGoneContactMs = nowMs + probe.intervalMs * (live.length === 0 ? 1 : GONE_CONTACT_INTERVALS)
      const gone = this.updates().filter((member) => member !== this.self && !live.includes(member))
      for (const { replica } of sample(gone, 1, random)) this.#background(this.pushPull(replica))
    }
  }

  #pushPullWithSome(count: number): void {
    for (const { replica } of sample(this.#opinions.list.live(), count, this.#options.random)) {
      this.#background(this.pushPull(replica))
    }
  }

  async #broadcastSelf(timeoutMs: number): Promise<void> {
    const peers = sample(this.#opinions.list.live(), BROADCAST_MAX, this.#options.random)
    await Promise.all(peers.map(({ replica }) => this.#gossip(replica, [this.self], timeoutMs)))
  }

  #swapNews(from: ReplicaId, updates: readonly MemberUpdate[]): readonly MemberUpdate[] {
    // A stranger's news is dropped, but whoever probes is answered (frontier.md R3).
    if (!this.#options.isMember(from)) return [this.self]
    const refuted = this.#receive(from, updates)
    this.#sawLife(from)
    return this.#opinions.newsFor(from, refuted ? this.self.replica : undefined)
  }

  #receive(from: ReplicaId, updates: readonly MemberUpdate[]): boolean {
    for (const { replica, address } of updates)
      if (replica === this.self.replica && address !== this.self.address) this.#options.onNamesake?.(address)
    const refuted = this.#opinions.hear(from, updates)
    if (refuted) this.#background(this.#broadcastSelf(this.#options.probe.timeoutMs))
    return refuted
  }

  /** A whole list may be old: who is dead in it and alive here gets the chance to deny it, as in memberlist. */
  #receiveList(from: ReplicaId, members: readonly MemberUpdate[]): void {
    const live = new Set(this.#opinions.list.live().map(({ replica }) => replica))
    const doubted = members.filter(({ replica, state }) => state === 'dead' && live.has(replica))
    const certain = members.filter((member) => !doubted.includes(member))
    this.#receive(from, [...certain, ...doubted.map((member) => ({ ...member, state: 'suspect' as const }))])
    for (const { replica } of doubted) if (this.member(replica)?.state === 'suspect') this.#probeOutOfTurn(replica)
  }

  #answered(target: ReplicaId, rttMs: number): void {
    this.#options.measures.observe('probe_seconds', rttMs / 1_000)
    this.#contacts.succeeded(target, this.#nowMs(), rttMs)
    this.#sawLife(target)
  }

  #sawLife(replica: ReplicaId): void {
    if (this.member(replica) === undefined) return
    this.#contacts.heard(replica, this.#nowMs())
    this.#opinions.sawLife(replica)
  }

  #helpersFor(target: ReplicaId): readonly ReplicaId[] {
    const { probe, random } = this.#options
    const able = this.#opinions.list.live().filter(({ replica, state }) => replica !== target && state === 'alive')
    return sample(able, probe.indirectProbes, random).map(({ replica }) => replica)
  }

  #probeOutOfTurn(replica: ReplicaId): void {
    const nowMs = this.#nowMs()
    const lastMs = this.#probedSoonMs.get(replica) ?? Number.NEGATIVE_INFINITY
    if (nowMs - lastMs < this.#options.probe.intervalMs) return
    this.#probedSoonMs.set(replica, nowMs)
    this.#probeSoon.add(replica)
  }

  /** Nobody waits for these. They expect the world's failures, so what comes out of them is a bug. */
  #background(conversation: Promise<unknown>): void {
    conversation.catch((error: unknown) => this.#options.log.error('membership_failed', { error }))
  }

  #nowMs(): number {
    return this.#options.clock.monotonicMs()
  }
}
