import { RefusalError, type Clock, type Log, type Refusal, type ReplicaId } from '@grapevine/core'
import { FatalError } from './fatal-error.ts'

export interface StrangerWatchContext {
  readonly self: ReplicaId
  /** Who let us in; empty when we founded the cluster. */
  readonly sponsor: ReplicaId | ''
  readonly clock: Clock
  readonly log: Log
  /** Members by our roster, us among them. */
  readonly members: () => readonly ReplicaId[]
  readonly antiEntropyIntervalMs: number
  /** Whether we were let in in this run: of a former run it is known that we were introduced. */
  readonly isNew: boolean
}

/** Between two questions to a member that does not know us. */
export const STRANGER_INTERVAL_MS = 5_000
/** A refusal that was not repeated for so long says nothing of now. */
const REFUSAL_FRESH_MS = 3 * STRANGER_INTERVAL_MS
/** A member that was away while we joined hears of us from whomever it meets first; that takes an anti-entropy round. */
const INTRODUCTION_MS_MIN = 30_000
const INTRODUCTION_INTERVALS = 3

/** What only those are answered who are known. */
const REFUSALS_TO_MEMBERS: ReadonlySet<Refusal> = new Set<Refusal>(['not-bootstrapped', 'paused', 'cloned'])

interface Refused {
  readonly sinceMs: number
  readonly lastMs: number
}

/**
 * Which members do not know us. It passes by itself when anybody whom they know knows us, and never when all who did were
 * evicted before they could tell: then we are no member, whatever our own roster says, and have to return as an empty node
 * (frontier.md R14).
 *
 * Only more than half of the others are proof of that, without those that were replaced meanwhile. A single one may be cut off from
 * those that know us, or have no room to store a roster, and whoever let us in may only be away; to give up a membership for that,
 * with what is on this disk alone, would be the greater loss.
 */
export class StrangerWatch {
  readonly #context: StrangerWatchContext
  readonly #refused = new Map<ReplicaId, Refused>()
  /** Those that have known us, as their answers in this run tell, or that they let us in. */
  readonly #introduced: Set<ReplicaId>
  /** Those whose name another member bears by now. */
  readonly #replaced = new Set<ReplicaId>()

  constructor(context: StrangerWatchContext) {
    this.#context = context
    this.#introduced = new Set(context.sponsor === '' ? [] : [context.sponsor])
  }

  /** Takes note of how a member answered: with an answer, or with an error. */
  note(replica: ReplicaId, error?: unknown): void {
    if (error === undefined || (error instanceof RefusalError && REFUSALS_TO_MEMBERS.has(error.code))) {
      this.#refused.delete(replica)
      this.#introduced.add(replica)
      return
    }
    if (!(error instanceof RefusalError) || error.code !== 'not-introduced') return
    const nowMs = this.#context.clock.monotonicMs()
    const before = this.#refused.get(replica)
    const isNew = before === undefined || !this.#isFresh(before)
    if (isNew) this.#context.log.warn('not-introduced', { peer: replica })
    this.#refused.set(replica, { sinceMs: isNew ? nowMs : before.sinceMs, lastMs: nowMs })
  }

  /**
   * Whether we may let others in. Whoever does not know us would not know them either; and a sponsor may be all that knows us
   * while it is evicted elsewhere, so in the run in which we joined more than half of the others have to know us first.
   */
  get mayIntroduce(): boolean {
    const others = this.#others()
    const introduced = others.filter((replica) => this.#introduced.has(replica)).length
    return this.refusing().length === 0 && (!this.#context.isNew || introduced * 2 > others.length)
  }

  /** Members of which it is worth asking whether they know us. */
  get inDoubt(): readonly ReplicaId[] {
    if (!this.#context.isNew) return this.refusing()
    const refusing = new Set(this.refusing())
    return this.#others().filter((replica) => refusing.has(replica) || !this.#introduced.has(replica))
  }

  /**
   * Members that have known us and do not any more. Nobody forgets a member whose directory is not an older one, and who forgot us
   * may hear of it from nobody else: those that it knows still may all be gone (frontier.md R16).
   */
  get forgetful(): readonly ReplicaId[] {
    return this.refusing().filter((replica) => this.#introduced.has(replica))
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

  /** Another replica of this cluster bears the name of this member, which was evicted for that. Nobody will hear of it again. */
  noteReplaced(replica: ReplicaId): void {
    this.#replaced.add(replica)
  }

  /** Members that may be gone for good: worth a look while others refuse us, since they tell of nobody. */
  get unheard(): readonly ReplicaId[] {
    const refusing = new Set(this.refusing())
    return refusing.size === 0 ? [] : this.#others().filter((replica) => !refusing.has(replica))
  }

  #others(): readonly ReplicaId[] {
    const { members, self } = this.#context
    return members().filter((replica) => replica !== self && !this.#replaced.has(replica))
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
