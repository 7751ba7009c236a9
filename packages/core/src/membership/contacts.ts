import type { ReplicaId } from '../version/version.ts'
import type { MemberUpdate } from './member.ts'
import { PhiAccrual } from './phi-accrual.ts'

/** The weight of a new round trip in the smoothed one (Jacobson 1988). */
const RTT_GAIN = 1 / 8
/** From here on a silence is unlikely enough (1 in 1,000) to prefer somebody else. */
const PHI_QUIET = 3

interface Contact {
  readonly accrual: PhiAccrual
  rttMs: number | undefined
  failed: boolean
}

/** How our contacts with each peer went: what peers are ranked by, and nothing else. */
export class Contacts {
  readonly #contacts = new Map<ReplicaId, Contact>()

  /** The peer spoke to us. Whether we reach it is another question. */
  heard(replica: ReplicaId, nowMs: number): void {
    this.#of(replica).accrual.contact(nowMs)
  }

  succeeded(replica: ReplicaId, nowMs: number, rttMs: number): void {
    const contact = this.#of(replica)
    contact.accrual.contact(nowMs)
    contact.failed = false
    contact.rttMs = contact.rttMs === undefined ? rttMs : contact.rttMs + (rttMs - contact.rttMs) * RTT_GAIN
  }

  /** Ranked last from now on, until a contact succeeds: a dead peer costs one failed contact (F20). */
  failed(replica: ReplicaId): void {
    this.#of(replica).failed = true
  }

  rttMs(replica: ReplicaId): number | undefined {
    return this.#contacts.get(replica)?.rttMs
  }

  phi(replica: ReplicaId, nowMs: number): number {
    return this.#contacts.get(replica)?.accrual.phi(nowMs) ?? 0
  }

  forget(replica: ReplicaId): void {
    this.#contacts.delete(replica)
  }

  /**
   * Best first. Last come those where our own last contact failed, which is what we know best; before them the
   * suspects, before them the unusually quiet; the rest by distance.
   */
  rank(members: readonly MemberUpdate[], nowMs: number): MemberUpdate[] {
    return members
      .map((member) => ({ member, badness: this.#badness(member, nowMs) }))
      .toSorted((a, b) => compareLexically(a.badness, b.badness) || compareIds(a.member, b.member))
      .map(({ member }) => member)
  }

  #badness({ replica, state }: MemberUpdate, nowMs: number): readonly number[] {
    const contact = this.#contacts.get(replica)
    return [
      contact?.failed === true ? 1 : 0,
      state === 'alive' ? 0 : 1,
      this.phi(replica, nowMs) < PHI_QUIET ? 0 : 1,
      contact?.rttMs ?? Number.MAX_VALUE,
    ]
  }

  #of(replica: ReplicaId): Contact {
    let contact = this.#contacts.get(replica)
    if (contact === undefined) {
      contact = { accrual: new PhiAccrual(), rttMs: undefined, failed: false }
      this.#contacts.set(replica, contact)
    }
    return contact
  }
}

function compareLexically(a: readonly number[], b: readonly number[]): number {
  const index = a.findIndex((number, place) => number !== b[place])
  return index < 0 ? 0 : (a[index] ?? 0) - (b[index] ?? 0)
}

function compareIds(a: MemberUpdate, b: MemberUpdate): number {
  return a.replica < b.replica ? -1 : 1
}
