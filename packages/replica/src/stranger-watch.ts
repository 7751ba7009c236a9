import { RefusalError, type Clock, type Log, type Refusal, type ReplicaId } from '@grapevine/core'
import { FatalError } from './fatal-error.ts'

export interface StrangerWatchContext {
  /** Who let us in; empty when we founded the cluster. */
  readonly sponsor: ReplicaId | ''
  readonly clock: Clock
  readonly log: Log
  /** The members but us, by our roster. */
  readonly others: () => readonly ReplicaId[]
  /** Whether anybody has told of where this member is. Of an attempt to join that came to nothing nobody ever does. */
  readonly isHeardOf: (replica: ReplicaId) => boolean
  readonly antiEntropyIntervalMs: number
  /** Whether we were let in in this run: of a former run it is known that we were introduced. */
  readonly isNew: boolean
}

/** Between two questions to a member that does not know us. */
export const STRANGER_INTERVAL_MS = 5_000
/** What was not seen again for so long says nothing of now. */
const FRESH_MS = 3 * STRANGER_INTERVAL_MS
/** A member that was away while we joined hears of us from whomever it meets first; that takes an anti-entropy round. */
const INTRODUCTION_MS_MIN = 30_000
const INTRODUCTION_INTERVALS = 3

/** What only those are answered who are known. */
const REFUSALS_TO_MEMBERS: ReadonlySet<Refusal> = new Set<Refusal>(['not-bootstrapped', 'paused', 'cloned'])

/** Something that is seen again and again. */
interface Span {
  readonly sinceMs: number
  readonly lastMs: number
}

/**
 * Which members do not know us. It passes by itself when anybody whom they know knows us, and never when all who did were
 * evicted before they could tell: then we are no member, whatever our own roster says, and have to return as an empty node
 * (frontier.md R14). The same when all members that we know were replaced while we were away: whoever is there now is unknown to us.
 *
 * Only more than half of the others are proof of that, among them those that were replaced meanwhile. A single one may be cut off
 * from those that know us, or have no room to store a roster, and whoever let us in may only be away; to give up a membership for
 * that, with what is on this disk alone, would be the greater loss.
 */
export class StrangerWatch {
  readonly #context: StrangerWatchContext
  readonly #refused = new Map<ReplicaId, Span>()
  /** Those that have known us, as their answers in this run tell, or that they let us in. */
  readonly #introduced: Set<ReplicaId>
  /** Whether half of the others have known us at some moment: they have told of us, and may be evicted since. */
  #isEstablished: boolean
  /** Those whose name another member bears by now. */
  readonly #replaced = new Map<ReplicaId, Span>()

  constructor(context: StrangerWatchContext) {
    this.#context = context
    this.#introduced = new Set(context.sponsor === '' ? [] : [context.sponsor])
    this.#isEstablished = !context.isNew
  }

  /** Takes note of how a member answered: with an answer, or with an error. */
  note(replica: ReplicaId, error?: unknown): void {
    if (error === undefined || (error instanceof RefusalError && REFUSALS_TO_MEMBERS.has(error.code))) {
      this.#refused.delete(replica)
      this.#introduced.add(replica)
      this.#isEstablished ||= this.#isKnownToHalf
      return
    }
    if (!(error instanceof RefusalError) || error.code !== 'not-introduced') return
    if (!this.#isFresh(this.#refused.get(replica))) this.#context.log.warn('not-introduced', { peer: replica })
    this.#see(replica, this.#refused)
  }

  /**
   * Whether we may let others in. Whoever does not know us would not know them either; and a sponsor may be all that knows us
   * while it is evicted elsewhere, so in the run in which we joined half of the others have to know us first. Not more, or nobody
   * could be let in where one of three is away and the second was replaced. And only once: when all of those are replaced later, it
   * may be left to us to let their successors in.
   */
  get mayIntroduce(): boolean {
    this.#isEstablished ||= this.#isKnownToHalf
    return this.refusing().length === 0 && this.#isEstablished
  }

  get #isKnownToHalf(): boolean {
    const others = this.#context.others()
    return others.filter((replica) => this.#introduced.has(replica)).length * 2 >= others.length
  }

  /** Members of which it is worth asking whether they know us. */
  get inDoubt(): readonly ReplicaId[] {
    if (!this.#context.isNew) return this.refusing()
    const refusing = new Set(this.refusing())
    return this.#context.others().filter((replica) => refusing.has(replica) || !this.#introduced.has(replica))
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
    return this.#context.others().filter((replica) => this.#isFresh(this.#refused.get(replica)))
  }

  /** Another replica of this cluster bears the name of this member, which was evicted for that. */
  noteReplaced(replica: ReplicaId): void {
    this.#see(replica, this.#replaced)
  }

  /**
   * Members that may be gone for good: worth a look while others refuse us, since those tell of nobody.
   * @param isAlone whether nobody is there.
   */
  unheard(isAlone: boolean): readonly ReplicaId[] {
    const refusing = new Set(this.refusing())
    if (refusing.size === 0 && !isAlone) return []
    return this.#context.others().filter((replica) => !refusing.has(replica))
  }

  /** Whether we are no member, whatever our roster says. */
  get isStranger(): boolean {
    return this.#isRefused || this.#isLeftBehind
  }

  /** Some have refused us for so long that nobody can be left to introduce us; with those that were replaced they are most. */
  get #isRefused(): boolean {
    const long = this.refusing().filter((replica) => spanMs(this.#refused.get(replica)) >= this.#limitMs)
    const others = this.#context.others()
    const gone = others.filter((replica) => !long.includes(replica) && this.#isFresh(this.#replaced.get(replica)))
    return long.length > 0 && (long.length + gone.length) * 2 > others.length
  }

  /**
   * All other members were replaced while we were away, and nobody is left whose word we would take. Those who are there may be
   * the strangers: then they find that out in half the time. Whoever has just joined has less to lose.
   */
  get #isLeftBehind(): boolean {
    const others = this.#context.others()
    const limitMs = this.#context.isNew ? this.#limitMs : 2 * this.#limitMs
    const isGone = (replica: ReplicaId): boolean => {
      const replaced = this.#replaced.get(replica)
      return this.#isFresh(replaced) && spanMs(replaced) >= limitMs
    }
    const { isHeardOf } = this.#context
    return others.some(isGone) && others.every((replica) => isGone(replica) || !isHeardOf(replica))
  }

  get #limitMs(): number {
    return Math.max(INTRODUCTION_MS_MIN, INTRODUCTION_INTERVALS * this.#context.antiEntropyIntervalMs)
  }

  #see(replica: ReplicaId, spans: Map<ReplicaId, Span>): void {
    const nowMs = this.#context.clock.monotonicMs()
    const before = spans.get(replica)
    const sinceMs = before !== undefined && this.#isFresh(before) ? before.sinceMs : nowMs
    spans.set(replica, { sinceMs, lastMs: nowMs })
  }

  #isFresh(span: Span | undefined): boolean {
    return span !== undefined && this.#context.clock.monotonicMs() - span.lastMs <= FRESH_MS
  }
}

function spanMs(span: Span | undefined): number {
  return span === undefined ? 0 : span.lastMs - span.sinceMs
}

export function strangerError(): FatalError {
  return new FatalError(
    'not_introduced',
    'the members that there are do not know this node, or it knows none of them: whoever could have introduced them to each other is ' +
      'gone. Start it with --rebuild: its data is moved aside, and it joins anew.',
  )
}
