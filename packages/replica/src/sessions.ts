import {
  type Hlc,
  type Identity,
  type Log,
  type Measures,
  type Partition,
  type Peer,
  type ReplicaId,
  type SessionStanding,
  type SessionToken,
  type SessionView,
  type Timers,
  type VersionVector,
  type WriterId,
} from '@grapevine/core'
import { LostDots } from './lost-dots.ts'
import { compareVectors, type PullContext } from './pull-round.ts'
import type { ReplicaState } from './replica-state.ts'
import { SharedPulls } from './shared-pulls.ts'
import { sleep } from './sleep.ts'

export interface SessionsContext {
  /** Always asked anew: a store that was reopened has another state. */
  readonly state: () => ReplicaState
  /** How to pull; `undefined` while that makes no sense: not a member yet, paused, no space. */
  readonly pulling: () => PullContext | undefined
  /** Best first. */
  readonly livePeers: () => readonly Peer[]
  /** Asks all members to promise at least this, and raises the frontier as far as they allow. */
  readonly raiseFrontier: (atLeast: Hlc) => Promise<unknown>
  readonly timers: Timers
  readonly measures: Measures
  readonly log: Log
}

/** A member that has not answered by now is most likely away or busy: another one is asked beside it. */
const HEDGE_MS = 30
/** Between two times that all are asked: first what a write takes to spread, then what does not burden anybody. */
const PAUSE_MS_MIN = 25
const PAUSE_MS_MAX = 800

interface Waiter {
  readonly token: SessionToken
  readonly partition: Partition | undefined
  readonly ended: Promise<void>
  hasEnded: boolean
  readonly end: (standing: SessionStanding) => void
}

/**
 * Makes a read wait until this replica has seen what its session has seen (P7). Most of the time a rumor is under way and
 * arrives within the moment; what does not come by itself is pulled, from whoever wrote it first.
 */
export class Sessions {
  readonly seen: SessionView
  readonly #context: SessionsContext
  readonly #lost = new LostDots()
  readonly #pulls: SharedPulls
  readonly #waiters = new Set<Waiter>()

  constructor(context: SessionsContext) {
    this.#context = context
    this.#pulls = new SharedPulls(context.log)
    this.seen = new SeenHere(context.state, this.#lost)
  }

  untilSeen(token: SessionToken, partition: Partition | undefined, timeoutMs: number): Promise<SessionStanding> {
    const standing = token.standing(this.seen, partition)
    if (standing !== 'lacking') return Promise.resolve(standing)
    const { timers, measures, log } = this.#context
    measures.add('session_waits')
    return new Promise((resolve) => {
      const { promise: ended, resolve: tellEnd } = Promise.withResolvers<void>()
      const deadline = timers.after(timeoutMs, () => waiter.end('lacking'))
      const waiter: Waiter = {
        token,
        partition,
        ended,
        hasEnded: false,
        end: (how) => {
          waiter.hasEnded = true
          this.#waiters.delete(waiter)
          deadline.cancel()
          if (how === 'lacking') measures.add('session_behind')
          tellEnd()
          resolve(how)
        },
      }
      this.#waiters.add(waiter)
      this.#fetch(waiter).catch((error: unknown) => log.error('session-fetch-failed', { error: String(error) }))
    })
  }

  /** To be called whenever something has been seen. */
  look(): void {
    for (const waiter of this.#waiters) {
      const standing = waiter.token.standing(this.seen, waiter.partition)
      if (standing !== 'lacking') waiter.end(standing)
    }
  }

  async #fetch(waiter: Waiter): Promise<void> {
    const { pulling, timers } = this.#context
    for (let pauseMs = PAUSE_MS_MIN; !waiter.hasEnded; pauseMs = Math.min(PAUSE_MS_MAX, pauseMs * 2)) {
      const context = pulling()
      if (context?.isStopping() === true) return
      if (context !== undefined) await this.#askAround(waiter, context)
      if (!waiter.hasEnded) await Promise.race([waiter.ended, sleep(timers, pauseMs)])
    }
  }

  /** Asks every live member once, each beside those that are slow. */
  async #askAround(waiter: Waiter, context: PullContext): Promise<void> {
    const { token, partition } = waiter
    const { timers, raiseFrontier } = this.#context
    const complete = new Set<ReplicaId>()
    const pulls: Promise<void>[] = []
    for (const { replica } of this.#candidates(waiter)) {
      const lacking = token.lacking(this.seen, partition)
      if (lacking.length === 0 || waiter.hasEnded) break
      const pull = this.#pulls.from(replica, lacking, context).then((isComplete) => {
        if (isComplete) complete.add(replica)
      })
      pulls.push(pull)
      await Promise.race([pull, waiter.ended, sleep(timers, HEDGE_MS)])
    }
    await Promise.race([Promise.all(pulls), waiter.ended])
    if (waiter.hasEnded) return
    if (token.isFloorReached(this.seen)) await this.#judgeLost(waiter, complete, context)
    else {
      // Whatever it fails of, as while a directory is opened anew: the next round asks again.
      const raised = raiseFrontier(token.hlc).catch(() => undefined)
      await Promise.race([raised, waiter.ended])
    }
    this.look()
  }

  /**
   * What is lacking after all that every member has was taken over, nobody has: a member covers what it wrote. Only those
   * whom every one of them knows are members, so the rosters must be equal; and whoever takes part in no roster of
   * ours yet has written nothing (frontier.md R13).
   */
  async #judgeLost(waiter: Waiter, complete: ReadonlySet<ReplicaId>, context: PullContext): Promise<void> {
    const { token, partition } = waiter
    const areAllComplete = (): boolean => {
      const others = this.#context.state().others()
      return others.every((replica) => complete.has(replica))
    }
    if (!areAllComplete()) return
    for (const replica of complete) {
      const { answer } = await compareVectors(replica, context).catch(() => ({ answer: undefined }))
      if (answer === undefined) return
      if (!answer.sameRoster) {
        await context.publishTo(replica).catch(() => {})
        return
      }
    }
    // Somebody may have been introduced meanwhile.
    if (!areAllComplete()) return
    for (const each of token.lacking(this.seen, partition)) {
      this.#lost.note(each, token.rows(each))
      this.#context.log.warn('session-dots-lost', { partition: each })
    }
  }

  #candidates({ token, partition }: Waiter): readonly Peer[] {
    const owners = token.ownersOfLacking(this.seen, token.lacking(this.seen, partition))
    const live = this.#context.livePeers()
    const isOwner = ({ replica }: Peer): boolean => owners.has(replica)
    return [...live.filter(isOwner), ...live.filter((peer) => !isOwner(peer))]
  }
}

/** The state of this replica, always the present one, as sessions look at it. */
class SeenHere implements SessionView {
  readonly #state: () => ReplicaState
  readonly #lost: LostDots

  constructor(state: () => ReplicaState, lost: LostDots) {
    this.#state = state
    this.#lost = lost
  }

  get #identity(): Identity | undefined {
    return this.#state().identity
  }

  get cluster(): string {
    return this.#identity?.cluster ?? ''
  }

  get replica(): ReplicaId {
    return this.#identity?.replica ?? ''
  }

  get clock(): Hlc {
    return this.#state().clock.now
  }

  get frontier(): Hlc {
    return this.#state().frontier
  }

  get folded(): ReadonlySet<WriterId> {
    return this.#state().folded
  }

  vector(partition: Partition): VersionVector {
    return this.#state().vector(partition)
  }

  lost(partition: Partition): VersionVector | undefined {
    return this.#lost.of(partition)
  }
}
