import {
  HOT_MS,
  peersToWake,
  pullDelayMs,
  pullsBack,
  sample,
  type Clock,
  type Peer,
  type Random,
  type ReplicaId,
} from '@grapevine/core'
import type { Intake } from './intake.ts'

export interface PullPaceContext {
  readonly livePeers: () => readonly Peer[]
  readonly intake: Pick<Intake, 'sinceNewsMs'>
  readonly clock: Clock
  readonly random: Random
  /** Between two pulls while nothing is hot. */
  readonly idleMs: number
}

/** When to pull, and from whom: at random, or from the one whose question showed that something may be missing here. */
export class PullPace {
  /** Called when there is somebody to pull from, sooner than was planned. */
  onCall: () => void = () => {}
  readonly #context: PullPaceContext
  #caller: { readonly replica: ReplicaId; readonly untilMs: number } | undefined
  /** When we last asked whom; older than {@link HOT_MS} is as good as never. */
  readonly #askedMs = new Map<ReplicaId, number>()

  constructor(context: PullPaceContext) {
    this.#context = context
  }

  delayMs(): number {
    const { livePeers, intake, idleMs } = this.#context
    return pullDelayMs({
      liveReplicas: livePeers().length,
      sinceNewsMs: intake.sinceNewsMs,
      idleMs,
      hasCaller: this.#callerNow() !== undefined,
    })
  }

  /** Somebody asked with a vector unlike ours. */
  calledBy(replica: ReplicaId): void {
    const { livePeers, intake, clock } = this.#context
    const nowMs = clock.monotonicMs()
    const sinceAskedMs = nowMs - (this.#askedMs.get(replica) ?? Number.NEGATIVE_INFINITY)
    if (!pullsBack({ liveReplicas: livePeers().length, sinceNewsMs: intake.sinceNewsMs, sinceAskedMs })) return
    this.#caller = { replica, untilMs: nowMs + HOT_MS }
    this.onCall()
  }

  /** Whom to pull from now; `undefined` when nobody is there. */
  nextPeer(): ReplicaId | undefined {
    const { livePeers, random } = this.#context
    const live = livePeers()
    return this.#callerNow() ?? live[Math.floor(random.next() * live.length)]?.replica
  }

  /**
   * Whom to show our vector at once, since something came.
   * @param quietMs for how long nothing had come.
   */
  peersToWake(quietMs: number): readonly ReplicaId[] {
    const { livePeers, random } = this.#context
    const live = livePeers()
    const count = peersToWake({ liveReplicas: live.length, sinceNewsMs: quietMs })
    return count === 0 ? [] : sample(live, count, random).map(({ replica }) => replica)
  }

  asks(replica: ReplicaId): void {
    const nowMs = this.#context.clock.monotonicMs()
    // In order of their times, since whoever is asked again goes to the end.
    this.#askedMs.delete(replica)
    for (const [earlier, askedMs] of this.#askedMs) {
      if (nowMs - askedMs <= HOT_MS) break
      this.#askedMs.delete(earlier)
    }
    this.#askedMs.set(replica, nowMs)
  }

  answered(replica: ReplicaId): void {
    if (this.#caller?.replica === replica) this.#caller = undefined
  }

  #callerNow(): ReplicaId | undefined {
    if (this.#caller === undefined || this.#context.clock.monotonicMs() > this.#caller.untilMs) return undefined
    return this.#caller.replica
  }
}
