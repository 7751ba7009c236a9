import {
  HLC_ZERO,
  hlcAt,
  laterHlc,
  sample,
  PARTITIONS,
  type Hlc,
  type Hold,
  type Purgeable,
  type ReplicaId,
} from '@grapevine/core'
import type { Committer } from './committer.ts'
import type { Intake } from './intake.ts'
import type { LeafMender } from './leaf-mender.ts'
import { evictMember } from './evict-member.ts'
import type { FatalError } from './fatal-error.ts'
import { collectPublications, frontierRound, type FrontierContext } from './frontier-round.ts'
import { FrontierTurn } from './frontier-turn.ts'
import { memberHello, knownPeerOf } from './join.ts'
import { ignoreAbsence } from './ask-member.ts'
import type { MemberParts } from './member-parts.ts'
import type { ChangeMembership } from './membership-change.ts'
import { compareVectors, pullRound, type PullContext } from './pull-round.ts'
import { lostPredecessors } from './predecessors.ts'
import type { Pausable } from './replica.ts'
import type { ReplicaOptions } from './replica-options.ts'
import { firstPurgeable } from './purge-round.ts'
import { forgetReceipts } from './receipt-round.ts'
import type { Rounds } from './rounds.ts'
import { sleep } from './sleep.ts'
import { noteBearer, strangerRound, type StrangerRoundContext } from './stranger-round.ts'
import { STRANGER_INTERVAL_MS } from './stranger-watch.ts'

/** Between two looks at the seeds while some member is not alive. */
const SEED_INTERVAL_MS = 5_000
/** While all are, one in so many: who was rolled back may have a cluster of its own with those that it let in since. */
const CONTENT_LOOKS = 6
/** Between two looks at the others' clocks: they wander by at most 5 ms meanwhile, and somebody may set one. */
const CLOCKS_INTERVAL_MS = 10_000
/** Members asked for their time in one look. */
const CLOCKS_PER_ROUND = 2
/** Between two notes of who the members are and where, for the next start. */
const PEERS_INTERVAL_MS = 2_000

/** Looks at the frontier in one round, while members only have to catch up with each other. */
const LOOKS_PER_ROUND = 4

/** Behind every address: buckets are ASCII. */
const LAST_ADDRESS = '\u00ff'

export interface UpkeepContext {
  readonly options: ReplicaOptions
  readonly member: MemberParts
  readonly committer: Committer
  readonly intake: Intake
  readonly rounds: Rounds
  readonly pulling: PullContext
  readonly changeMembership: ChangeMembership
  readonly isPaused: (what: Pausable) => boolean
  readonly exchange: (peer: ReplicaId) => Promise<unknown>
  /** One partition of the scrub. */
  readonly scrub: () => Promise<void>
  /** It cannot go on. */
  readonly fail: (error: FatalError) => void
  readonly mender: Pick<LeafMender, 'round'>
}

/** What a replica does by itself, again and again: pulls, exchanges, and keeping in touch. */
export class Upkeep {
  readonly #context: UpkeepContext
  /** Members whose root differed for no reason when it was compared last. */
  readonly #faulty = new Set<ReplicaId>()
  readonly #turn = new FrontierTurn()
  #isMeeting = false
  #contentLooks = 0

  constructor(context: UpkeepContext) {
    this.#context = context
  }

  get #meeting(): StrangerRoundContext {
    const { options, member, committer, fail } = this.#context
    return {
      ...options,
      ...member,
      cluster: () => committer.state.identity?.cluster,
      peerTimeoutMs: options.settings.peerTimeoutMs,
      fail,
    }
  }

  /** A random live member, or undefined when there is none. */
  randomPeer(): ReplicaId | undefined {
    const { member, options } = this.#context
    const live = member.detector.livePeers()
    return live[Math.floor(options.random.next() * live.length)]?.replica
  }

  /** From the start on, while joining too: a sponsor may have moved, and only the seeds tell. */
  startLookingAround(): void {
    this.#context.rounds.every(
      'seeds',
      () => SEED_INTERVAL_MS,
      () => this.askSeeds(),
    )
  }

  /** Once the replica is a member: a joiner takes from its sponsor alone (frontier.md R13). */
  start(): void {
    const { member, options, rounds } = this.#context
    const { antiEntropyIntervalMs, pullIntervalMs, scrubIntervalMs } = options.settings
    member.rumors.start()
    if (pullIntervalMs > 0) this.#startPulls()
    rounds.every(
      'anti-entropy',
      () => antiEntropyIntervalMs,
      () => this.#antiEntropy(),
    )
    if (scrubIntervalMs > 0)
      rounds.every(
        'scrub',
        () => scrubIntervalMs / PARTITIONS,
        () => this.#context.scrub(),
      )
    member.purger.onRaise = () => rounds.run('sweep', () => member.purger.sweep())
    rounds.every(
      'purge',
      () => options.settings.purgeIntervalMs,
      async () => {
        await this.#forgetReceipts()
        await this.#purge()
      },
    )
    rounds.every(
      'clocks',
      () => CLOCKS_INTERVAL_MS,
      () => this.#askTimes(),
    )
    rounds.run('clocks', () => this.#askTimes())
    if (options.rebuild || (options.former ?? []).length > 0)
      rounds.every(
        'predecessors',
        () => PEERS_INTERVAL_MS,
        () => this.#replacePredecessors(),
      )
    rounds.every(
      'strangers',
      () => STRANGER_INTERVAL_MS,
      () => strangerRound(this.#meeting),
    )
    rounds.every(
      'peers',
      () => PEERS_INTERVAL_MS,
      () => this.#notePeers(),
    )
  }

  /** Whose place this node has taken and its sponsor did not know. */
  async #replacePredecessors(): Promise<void> {
    const { member, committer, changeMembership, options } = this.#context
    const { detector } = member
    const { former = [], rebuild } = options
    const members = committer.state.members().map((replica) => detector.member(replica) ?? { replica })
    for (const replica of lostPredecessors(detector.self, { former, rebuild }, members))
      await evictMember(replica, {
        state: () => committer.state,
        detector,
        changeMembership,
        publishToAll: () => this.#context.rounds.run('publish', () => member.publishToAll()),
      })
  }

  /** Seeds are tried always while somebody is missing, since all others may have moved; and now and then in any case. */
  async askSeeds(): Promise<void> {
    const { member, options, committer } = this.#context
    const { detector, hasContact } = member
    const { seeds, transport, log, settings } = options
    const { identity } = committer.state
    const isContent = hasContact() && detector.members().every(({ state }) => state === 'alive')
    if (isContent && ++this.#contentLooks % CONTENT_LOOKS !== 0) return
    for (const seed of seeds) {
      const answer = await memberHello(seed, { transport, peerTimeoutMs: settings.peerTimeoutMs })
      if (answer === 'stranger') {
        log.warn('seed-of-another-cluster', { seed })
        continue
      }
      if (answer === 'fenced') {
        // Perhaps nobody whom it would ask can tell it: all that it knew are gone, or are strangers there as well (frontier.md R15).
        member.onFenced()
        continue
      }
      if (answer === undefined || answer.cluster === '' || answer.replica === identity?.replica) continue
      noteBearer(answer, this.#meeting)
      const known = detector.member(answer.replica)
      if (known?.address === seed && known.state === 'alive' && hasContact()) continue
      try {
        const peer = { replica: answer.replica, address: seed }
        const question = { members: detector.updates() }
        const { members } = await transport.ask(peer, 'push-pull', question, settings.peerTimeoutMs)
        detector.learn(members)
        await detector.pushPull(answer.replica)
      } catch (error) {
        ignoreAbsence(error)
      }
    }
  }

  /** In a large cluster pulls carry a rumor to its end, and so are quick while anything is fresh. */
  #startPulls(): void {
    const { member, intake, rounds, options, isPaused } = this.#context
    const { pace } = member
    const hasten = rounds.every(
      'pull',
      () => pace.delayMs(),
      () => this.#pull(),
    )
    let isPullingBack = false
    pace.onCall = () => {
      if (hasten() || isPullingBack) return
      // A silent peer may hold the pull that is under way for seconds, and would hold this one as well.
      isPullingBack = true
      rounds.run(
        'pull-back',
        () => this.#pull(),
        () => (isPullingBack = false),
      )
    }
    intake.onNews = (quietMs) => {
      if (pace.delayMs() < options.settings.pullIntervalMs) hasten()
      if (isPaused('anti-entropy')) return
      for (const peer of pace.peersToWake(quietMs)) rounds.run('wake', () => this.#wake(peer))
    }
  }

  /** Shows one peer what we have seen; whether that is more than it has seen is for itself to find out. */
  async #wake(peer: ReplicaId): Promise<void> {
    const { pulling, member } = this.#context
    member.pace.asks(peer)
    await compareVectors(peer, pulling)
  }

  async #pull(): Promise<void> {
    const { options, member, committer, pulling, isPaused, exchange } = this.#context
    const peer = this.#nextToMeet() ?? member.pace.nextPeer()
    if (peer === undefined || isPaused('anti-entropy') || committer.isReadOnly) return
    const { measures, log } = options
    member.pace.asks(peer)
    const { entries, rootsDiffer, isComplete } = await pullRound(peer, pulling)
    member.pace.answered(peer)
    if (isComplete) member.acquaintance.heard(peer)
    measures.add('pull_entries', entries)
    const isKnown = this.#faulty.has(peer)
    if (rootsDiffer === false) this.#faulty.delete(peer)
    // What the first exchange did not mend the next ones may, in their time.
    if (rootsDiffer !== true || isKnown) return
    this.#faulty.add(peer)
    measures.add('integrity_faults')
    log.error('integrity-fault', { peer, explanation: 'equal vectors, unequal roots: rows were lost on one side' })
    await exchange(peer)
  }

  /** Every other pull after a start goes to somebody with whom this run has not compared itself yet. */
  #nextToMeet(): ReplicaId | undefined {
    const { member, options } = this.#context
    const { detector, acquaintance } = member
    this.#isMeeting = !this.#isMeeting
    if (!this.#isMeeting) return undefined
    const missing = detector.livePeers().filter(({ replica }) => acquaintance.isMissing(replica))
    return missing.length === 0 ? undefined : missing[Math.floor(options.random.next() * missing.length)]?.replica
  }

  async #antiEntropy(): Promise<void> {
    const { member, committer, isPaused, exchange } = this.#context
    const peer = this.randomPeer()
    // What it would bring has no room here; the others ask by themselves for what they lack.
    if (isPaused('anti-entropy') || committer.isReadOnly) return
    await this.#context.mender.round()
    if (peer === undefined) return
    // Rosters spread with the pulls; where these are off they must not stay behind.
    await member.publishTo(peer)
    await exchange(peer)
  }

  async #forgetReceipts(): Promise<void> {
    const { options, committer } = this.#context
    // A deletion needs room too, and what is in the way now is looked at again.
    if (!committer.isReadOnly) await forgetReceipts({ ...options, committer })
  }

  /** One silent member must not keep the others from being asked. */
  async #askTimes(): Promise<void> {
    const { member, options } = this.#context
    const peers = sample(member.detector.livePeers(), CLOCKS_PER_ROUND, options.random)
    await Promise.all(peers.map(({ replica }) => member.clocks.askTime(replica).catch(ignoreAbsence)))
    member.clocks.report()
  }

  async #notePeers(): Promise<void> {
    const { member, committer, changeMembership } = this.#context
    const { peers: known } = committer.state
    const others = member.detector.members().filter(({ isSelf }) => !isSelf)
    // Members of whom the detector has not heard in this run are remembered all the same: names must stay taken.
    const heardOf = new Set(others.map(({ replica }) => replica))
    const members = new Set(committer.state.members())
    const silent = known.filter(({ replica }) => members.has(replica) && !heardOf.has(replica))
    const peers = [...others.map(knownPeerOf), ...silent].toSorted((a, b) => (a.replica < b.replica ? -1 : 1))
    if (JSON.stringify(peers) === JSON.stringify(known)) return
    await changeMembership(() => ({ peers }))
  }

  /**
   * Looks at the frontier now, whoever's turn it is, and says who holds it back.
   * @param timeoutMs how long to wait for a member; it counts with what it said before when it is silent.
   * @param atLeast what all are asked to promise in any case.
   */
  async raiseFrontier({
    timeoutMs,
    atLeast = HLC_ZERO,
  }: { readonly timeoutMs?: number; readonly atLeast?: Hlc } = {}): Promise<readonly Hold[]> {
    const { options, committer, member, changeMembership } = this.#context
    const context: FrontierContext = {
      ...member,
      state: () => committer.state,
      changeMembership,
      clock: options.clock,
      hash: options.hash,
      log: options.log,
      ask: (replica, name, question) => member.ask(replica, name, question, timeoutMs),
    }
    if (!member.isAcquainted()) {
      // Without the own promise nothing comes of it. For whom else it waits is of interest all the same.
      await collectPublications(HLC_ZERO, context)
      const replica = committer.state.identity?.replica ?? ''
      member.publications.noteUnacquainted(replica)
      await member.tombstones.noteWaits()
      return [{ replica, reason: 'silent' }]
    }
    const wall = hlcAt(options.clock.wallMs())
    // What is late for nothing but the time: all are asked to promise that it has passed. What this replica has promised already
    // others may not have yet: one that was away then was not asked.
    const { promise } = committer.state
    const waiting = await this.#firstPurgeable(wall, promise)
    const holds = await frontierRound(laterHlc(atLeast, waiting === undefined ? promise : wall), context)
    await member.purger.sweep()
    await member.tombstones.noteWaits()
    return holds
  }

  async #purge(): Promise<void> {
    const { member } = this.#context
    // Of two that go by one id neither knows what the other has said in its name (frontier.md R16).
    if (member.twins.twin !== undefined) return
    await member.purger.sweep()
    await this.#raiseFrontierWhereDue()
    await member.purger.reclaim()
  }

  async #raiseFrontierWhereDue(): Promise<void> {
    const { member, options } = this.#context
    const { pullIntervalMs } = options.settings
    for (let looks = 0; looks < LOOKS_PER_ROUND; looks++) {
      const oldest = await member.tombstones.lookAtOldest()
      if (!this.mayLookAtFrontier || !this.#isWorthALook(oldest) || !this.#isMyTurn()) return
      const holds = await this.raiseFrontier()
      // A member that is away is waited for until the next round; one that is behind pulls within a moment.
      if (!holds.every(({ reason }) => reason === 'lacks-entries')) return
      await sleep(options.timers, pullIntervalMs)
    }
  }

  /** A pause is for what repairs, and publications are part of that. A joiner takes the frontier from its sponsor. */
  get mayLookAtFrontier(): boolean {
    const { member, committer, isPaused } = this.#context
    if (committer.state.identity?.stage !== 'member') return false
    return member.twins.twin === undefined && !isPaused('anti-entropy')
  }

  #isWorthALook(oldest: Purgeable | undefined): boolean {
    const { state } = this.#context.committer
    return oldest !== undefined || state.closed.length > 0
  }

  #isMyTurn(): boolean {
    const { committer, member, options } = this.#context
    const { frontier, identity } = committer.state
    return this.#turn.isMine({
      frontier,
      isFirst: member.detector.livePeers().every(({ replica }) => replica > (identity?.replica ?? '')),
      nowMs: options.clock.monotonicMs(),
      intervalMs: options.settings.purgeIntervalMs,
    })
  }

  /** What may be purged first of what could go if the frontier were `below`, beyond what is at or below `above`. */
  async #firstPurgeable(below: Hlc, above: Hlc = HLC_ZERO): Promise<Purgeable | undefined> {
    const { store } = this.#context.options
    const [first] = await firstPurgeable(store, below, 1, { at: above, address: LAST_ADDRESS })
    return first
  }
}
