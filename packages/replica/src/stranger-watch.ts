import { RefusalError, type Clock, type Log, type ReplicaId } from '@grapevine/core'
import { FatalError } from './fatal-error.ts'

export interface StrangerWatchContext {
  readonly self: ReplicaId
  readonly clock: Clock
  readonly log: Log
  /** Members by our roster, us among them. */
  readonly members: () => readonly ReplicaId[]
  readonly antiEntropyIntervalMs: number
}

/** Between two questions to a member that does not know us. */
export const STRANGER_INTERVAL_MS = 5_000
/** A refusal that was not repeated for so long says nothing of now. */
const REFUSAL_FRESH_MS = 3 * STRANGER_INTERVAL_MS
/** A member that was away while we joined hears of us from whomever it meets first; that takes an anti-entropy round. */
const INTRODUCTION_MS_MIN = 30_000
const INTRODUCTION_INTERVALS = 3

interface Refused {
  readonly sinceMs: number
  readonly lastMs: number
}

/**
 * Which members do not know us. It passes by itself when anybody whom they know knows us, and never when all who did were
 * evicted before they could tell: then we are no member, whatever our own roster says, and have to return as an empty node
 * (frontier.md R14).
 *
 * Only more than half of the others are proof of that. A single one may be cut off from those that know us, or have no room
 * to store a roster; to give up a membership, with what is on this disk alone, for its sake would be the greater loss.
 */
export class StrangerWatch {
  readonly #context: StrangerWatchContext
  readonly #refused = new Map<ReplicaId, Refused>()

  constructor(context: StrangerWatchContext) {
    this.#context = context
  }

  /** Takes note of how a member answered: with an answer, or with an error. */
  note(replica: ReplicaId, error?: unknown): void {
    if (error !== undefined && !(error instanceof RefusalError)) return
    if (error?.code !== 'not-introduced') {
      this.#refused.delete(replica)
      return
    }
    const nowMs = this.#context.clock.monotonicMs()
    const before = this.#refused.get(replica)
    const isNew = before === undefined || !this.#isFresh(before)
    if (isNew) this.#context.log.warn('not-introduced', { peer: replica })
    this.#refused.set(replica, { sinceMs: isNew ? nowMs : before.sinceMs, lastMs: nowMs })
  }

  /** Members that do not know us, by their last answer. */
  refusing(): readonly ReplicaId[] {
    return this.#others().filter((replica) => {
      const refused = this.#refused.get(replica)
      return refused !== undefined && this.#isFresh(refused)
    })
  }

  /** Whether more than half of the other members have refused us for so long that nobody can be left to introduce us. */
  get isStranger(): boolean {
    const { antiEntropyIntervalMs } = this.#context
    const limitMs = Math.max(INTRODUCTION_MS_MIN, INTRODUCTION_INTERVALS * antiEntropyIntervalMs)
    const long = this.refusing().filter((replica) => {
      const refused = this.#refused.get(replica)
      return refused !== undefined && refused.lastMs - refused.sinceMs >= limitMs
    })
    return long.length * 2 > this.#others().length
  }

  #others(): readonly ReplicaId[] {
    return this.#context.members().filter((replica) => replica !== this.#context.self)
  }

  #isFresh({ lastMs }: Refused): boolean {
    return this.#context.clock.monotonicMs() - lastMs <= REFUSAL_FRESH_MS
  }
}

export function strangerError(): FatalError {
  return new FatalError(
    'not_introduced',
    'most members do not know this node: whoever let it in was evicted before telling them. Start it with --rebuild: its ' +
      'data is moved aside, and it joins anew.',
  )
}
