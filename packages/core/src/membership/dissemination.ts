import type { ReplicaId } from '../version/version.ts'
import type { MemberUpdate } from './member.ts'

/** λ of SWIM §4.1: with 3, news misses a member about once in n² times, and push-pull brings it then. */
const RETRANSMIT_FACTOR = 3

export function transmissionsMax(members: number): number {
  return RETRANSMIT_FACTOR * Math.ceil(Math.log2(members + 1))
}

/**
 * Membership news that is still being told, piggybacked on probes and their answers (SWIM §4.1).
 *
 * Invariant: at most one update a member, the newest, so the queue is no longer than the membership.
 */
export class Dissemination {
  readonly #queue = new Map<ReplicaId, { readonly update: MemberUpdate; sent: number }>()

  get isEmpty(): boolean {
    return this.#queue.size === 0
  }

  /** The caller's member list has decided that this is newer than what is queued. */
  offer(update: MemberUpdate): void {
    this.#queue.set(update.replica, { update, sent: 0 })
  }

  drop(replica: ReplicaId): void {
    this.#queue.delete(replica)
  }

  /**
   * The updates for one message, least told first, and counts them as told.
   * @param must what the receiver has to hear in any case, as that it is suspected (Lifeguard's buddy system,
   * §IV-C). It comes first and is never left out.
   */
  take(updatesMax: number, members: number, must: readonly MemberUpdate[] = []): MemberUpdate[] {
    const told = new Set(must.map(({ replica }) => replica))
    const queued = [...this.#queue.values()]
      .filter(({ update }) => !told.has(update.replica))
      .toSorted((a, b) => a.sent - b.sent)
      .slice(0, Math.max(updatesMax - must.length, 0))
    const updates = [...must, ...queued.map(({ update }) => update)]
    for (const { replica } of updates) this.#countTold(replica, transmissionsMax(members))
    return updates
  }

  #countTold(replica: ReplicaId, sentMax: number): void {
    const queued = this.#queue.get(replica)
    if (queued === undefined) return
    queued.sent += 1
    if (queued.sent >= sentMax) this.#queue.delete(replica)
  }
}
