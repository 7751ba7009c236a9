import type { ReplicaId } from '@grapevine/core'
import type { Committer } from './committer.ts'
import type { Intake } from './intake.ts'
import { hello, knownPeerOf } from './join.ts'
import { ignoreAbsence, type MemberParts } from './member-parts.ts'
import type { ChangeMembership } from './membership-change.ts'
import { compareVectors, pullRound, type PullContext } from './pull-round.ts'
import type { Pausable } from './replica.ts'
import type { ReplicaOptions } from './replica-options.ts'
import type { Rounds } from './rounds.ts'

/** Between two looks at the seeds while some member is not alive. */
const SEED_INTERVAL_MS = 5_000
/** Between two notes of who the members are and where, for the next start. */
const PEERS_INTERVAL_MS = 2_000

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
}

/** What a replica does by itself, again and again: pulls, exchanges, and keeping in touch. */
export class Upkeep {
  readonly #context: UpkeepContext
  #oldestTombstoneMs: number | undefined

  constructor(context: UpkeepContext) {
    this.#context = context
  }

  /** By the wall clock of its deletion, as of the last anti-entropy round. */
  get oldestTombstoneMs(): number | undefined {
    return this.#oldestTombstoneMs
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
    const { antiEntropyIntervalMs, pullIntervalMs } = options.settings
    member.rumors.start()
    if (pullIntervalMs > 0) this.#startPulls()
    rounds.every(
      'anti-entropy',
      () => antiEntropyIntervalMs,
      () => this.#antiEntropy(),
    )
    rounds.every(
      'peers',
      () => PEERS_INTERVAL_MS,
      () => this.#notePeers(),
    )
  }

  /** Seeds are tried always while somebody is missing: all others may have moved. */
  async askSeeds(): Promise<void> {
    const { member, options, committer } = this.#context
    const { detector, hasContact } = member
    const { seeds, transport, log, settings } = options
    const { identity } = committer.state
    if (hasContact() && detector.members().every(({ state }) => state === 'alive')) return
    for (const seed of seeds) {
      const answer = await hello(seed, { transport, peerTimeoutMs: settings.peerTimeoutMs })
      if (answer === 'stranger') {
        log.warn('seed-of-another-cluster', { seed })
        continue
      }
      if (answer === undefined || answer.cluster === '' || answer.replica === identity?.replica) continue
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
    const { options, member, pulling, isPaused, exchange } = this.#context
    const peer = member.pace.nextPeer()
    if (peer === undefined || isPaused('anti-entropy')) return
    const { measures, log } = options
    member.pace.asks(peer)
    const { entries, rootsDiffer } = await pullRound(peer, pulling)
    member.pace.answered(peer)
    measures.add('pull_entries', entries)
    if (!rootsDiffer) return
    measures.add('integrity_faults')
    log.error('integrity-fault', { peer, explanation: 'equal vectors, unequal roots: rows were lost on one side' })
    await exchange(peer)
  }

  async #antiEntropy(): Promise<void> {
    const { member, isPaused, exchange } = this.#context
    await this.#noteOldestTombstone()
    const peer = this.randomPeer()
    if (isPaused('anti-entropy') || peer === undefined) return
    // Rosters spread with the pulls; where these are off they must not stay behind.
    await member.publishTo(peer)
    await exchange(peer)
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

  async #noteOldestTombstone(): Promise<void> {
    const view = this.#context.options.store.view()
    try {
      this.#oldestTombstoneMs = (await view.firstPurgeable())?.wallMs
    } finally {
      await view.close()
    }
  }
}
