import {
  RefusalError,
  UnreachableError,
  type Clock,
  type Log,
  type Question,
  type ReplicaId,
  type RunId,
  type Transport,
} from '@grapevine/core'

/** A twin is asked in passing; nobody waits for it. */
const TIMEOUT_MS = 1_000
/** Between two questions to one address: gossip of ourselves comes in bursts. */
const PAUSE_MS = 1_000
/** Addresses in mind; news of ourselves at more of them than that is no news but noise. */
const ADDRESSES_MAX = 16

export interface TwinWatchContext {
  readonly transport: Transport
  readonly clock: Clock
  readonly log: Log
  readonly replica: ReplicaId
  /** This process. */
  readonly run: RunId
  /** Where this replica lives. */
  readonly address: string
}

export interface Twin {
  readonly address: string
  readonly run: RunId
}

/**
 * Finds out whether another process goes by our replica id, as it does when a data directory was copied and both are started.
 * Then two histories bear one name, and neither may take writes.
 *
 * Whoever hears of itself at another address asks there. News alone proves nothing: it may be of an earlier run of our own,
 * at any age. An answer that was asked for just now, by our own id and from another run, comes from a living process; and an
 * earlier run of ours is none, since only one process at a time can have a data directory open.
 */
export class TwinWatch {
  readonly #context: TwinWatchContext
  readonly #askedMs = new Map<string, number>()
  #twin: Twin | undefined

  constructor(context: TwinWatchContext) {
    this.#context = context
  }

  /** Stays for as long as this process lives: what the two have told the others can no longer be told apart. */
  get twin(): Twin | undefined {
    return this.#twin
  }

  /** Somebody says that we live there. */
  async heardOfSelfAt(address: string): Promise<void> {
    const { transport, clock, log, replica, run, address: own } = this.#context
    const nowMs = clock.monotonicMs()
    const lastMs = this.#askedMs.get(address) ?? Number.NEGATIVE_INFINITY
    if (this.#twin !== undefined || address === own || nowMs - lastMs < PAUSE_MS) return
    this.#askedMs.delete(address)
    this.#askedMs.set(address, nowMs)
    const [oldest] = this.#askedMs.keys()
    if (this.#askedMs.size > ADDRESSES_MAX && oldest !== undefined) this.#askedMs.delete(oldest)
    try {
      const answer = await transport.ask({ replica, address }, 'time', { run, address: own }, TIMEOUT_MS)
      if (answer.run === run) return
      this.#twin = { address, run: answer.run }
      log.error('cloned', { address, run: answer.run, advice: twinAdvice(this.#twin) })
    } catch (error) {
      // Nobody lives there any more, or somebody else: we have moved, that is all.
      if (!(error instanceof RefusalError || error instanceof UnreachableError)) throw error
    }
  }

  /**
   * Somebody who goes by our own id asks us. It may be an old question of an earlier run of ours, so it is only a reason to
   * ask back.
   */
  async askedBySelf({ run, address }: Question<'time'>): Promise<void> {
    if (run !== this.#context.run) await this.heardOfSelfAt(address)
  }
}

export function twinAdvice({ address }: Twin): string {
  return (
    `another process goes by the id of this node at ${address}: a copy of its data directory was started. Stop both. Start ` +
    'one of them again as it was, and the other with --rebuild and a --name and --data-dir of its own'
  )
}
