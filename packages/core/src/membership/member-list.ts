import type { ReplicaId } from '../version/version.ts'
import { isLive, type MemberState, type MemberUpdate } from './member.ts'

/**
 * How far the number of a known member may rise by hearsay in one step. An owner raises its number by one at
 * each start and each refutation, so a million between two messages is no history but a bug.
 */
export const INCARNATION_STEP_MAX: number = 2 ** 20
/** No number above this is taken in: a refutation every millisecond reaches it after 8,900 years. */
export const INCARNATION_MAX: number = 2 ** 48

export type MemberChange =
  /** Heard of for the first time, in whatever state. */
  | 'join'
  | MemberState
  /** Lives elsewhere, or runs another version, than we knew. */
  | 'change'
  /** Only the incarnation rose. */
  | 'refresh'
  /** This replica denied what was said of it. */
  | 'refute'

/** Something changed, so the others must hear of it. */
export interface MemberEvent {
  readonly kind: MemberChange
  readonly member: MemberUpdate
  readonly before: MemberUpdate | undefined
}

/**
 * What one replica thinks of all members, itself included: the state of SWIM (Das et al. 2002, §4.2).
 *
 * The later incarnation wins; of two statements about one incarnation the worse wins. So whoever heard the same
 * statements thinks the same, in whatever order they came. Only the owner raises its number, and it can outbid
 * any statement about it: none is terminal. Two bounds keep that true when a number comes from a bug (F27):
 *
 * - By hearsay a known member's number rises by no more than {@link INCARNATION_STEP_MAX}.
 * - What its owner says in person, over a connection that proves who it is, replaces a number that is further
 *   than that from the owner's, in either direction: such a distance is no history of that owner.
 */
export class MemberList {
  #self: MemberUpdate
  readonly #others = new Map<ReplicaId, MemberUpdate>()

  constructor(self: MemberUpdate) {
    const incarnation = self.incarnation > INCARNATION_MAX ? 1 : self.incarnation
    this.#self = { ...self, state: 'alive', incarnation }
  }

  get self(): MemberUpdate {
    return this.#self
  }

  get(replica: ReplicaId): MemberUpdate | undefined {
    return replica === this.#self.replica ? this.#self : this.#others.get(replica)
  }

  /** This replica first. */
  all(): readonly MemberUpdate[] {
    return [this.#self, ...this.#others.values()]
  }

  /** All others that may answer: a suspect still counts until it is declared dead. */
  live(): readonly MemberUpdate[] {
    return [...this.#others.values()].filter(({ state }) => isLive(state))
  }

  /**
   * Takes in one statement. `undefined` when it is no news.
   * @param from the replica that told us, proven by its connection.
   */
  apply(update: MemberUpdate, from: ReplicaId): MemberEvent | undefined {
    if (update.incarnation > INCARNATION_MAX) return undefined
    if (update.replica === this.#self.replica) return this.#applyToSelf(update)

    const before = this.#others.get(update.replica)
    if (before !== undefined && !supersedes(update, before, from === update.replica)) return undefined
    this.#others.set(update.replica, update)
    return { kind: changeBetween(before, update), member: update, before }
  }

  /** Says that this replica stops on purpose. From now on it denies nothing. */
  leave(): MemberEvent {
    const before = this.#self
    this.#self = { ...before, state: 'left' }
    return { kind: 'left', member: this.#self, before }
  }

  /** For those that were evicted. */
  forget(replica: ReplicaId): void {
    this.#others.delete(replica)
  }

  /**
   * Anything about ourselves that outbids our own word is either an accusation, or a memory of a former life of
   * ours whose number was lost (F26). Both are denied by rising above it.
   */
  #applyToSelf(update: MemberUpdate): MemberEvent | undefined {
    const before = this.#self
    if (before.state === 'left') return undefined
    const ahead = update.incarnation - before.incarnation
    const agrees = ahead === 0 && update.state === 'alive' && haveSameDetails(update, before)
    if (ahead < 0 || agrees) return undefined
    // Whoever believes a number so far away takes ours in person, so it is enough to say it again.
    if (ahead <= INCARNATION_STEP_MAX) {
      this.#self = { ...before, incarnation: incarnationAfter(update.incarnation) }
    }
    return { kind: 'refute', member: this.#self, before }
  }
}

/** After the last number comes the first: in person it is believed, since it is further away than one step. */
function incarnationAfter(incarnation: number): number {
  return incarnation >= INCARNATION_MAX ? 1 : incarnation + 1
}

// `left` is the owner's word, so it stands above what others conclude from the silence that follows.
const GRAVITY: Readonly<Record<MemberState, number>> = { alive: 0, suspect: 1, dead: 2, left: 3 }

function supersedes(update: MemberUpdate, held: MemberUpdate, isInPerson: boolean): boolean {
  const step = update.incarnation - held.incarnation
  if (Math.abs(step) > INCARNATION_STEP_MAX) return isInPerson
  return step > 0 || (step === 0 && GRAVITY[update.state] > GRAVITY[held.state])
}

function changeBetween(before: MemberUpdate | undefined, after: MemberUpdate): MemberChange {
  if (before === undefined) return 'join'
  if (before.state !== after.state) return after.state
  return haveSameDetails(before, after) ? 'refresh' : 'change'
}

function haveSameDetails(a: MemberUpdate, b: MemberUpdate): boolean {
  return (
    a.name === b.name &&
    a.address === b.address &&
    a.clientUrl === b.clientUrl &&
    a.zone === b.zone &&
    a.version === b.version
  )
}
