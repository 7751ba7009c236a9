import type { Clock, JoinTicket, Random } from '@grapevine/core'

/** A joiner asks as soon as it has heard who lives here. */
const GOOD_FOR_MS = 60_000
/** The oldest give way: whoever says hello need not want to join. */
const TICKETS_MAX = 1_024

/**
 * Binds a request to join to the process that is asked, and to one moment of it. Other questions are bound by the id of the replica
 * that they are meant for; a joiner does not know it yet. Without that a request that comes again, minutes or months later, would
 * be granted: whoever bears the joiner's name by then, and is away, would be evicted for a joiner that there is no more.
 */
export class JoinTickets {
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #random: Pick<Random, 'hex'>
  /** Until when each is good, the oldest first. */
  readonly #issued = new Map<JoinTicket, number>()

  constructor({ clock, random }: { readonly clock: Pick<Clock, 'monotonicMs'>; readonly random: Pick<Random, 'hex'> }) {
    this.#clock = clock
    this.#random = random
  }

  issue(): JoinTicket {
    const ticket = this.#random.hex(8)
    this.#issued.set(ticket, this.#clock.monotonicMs() + GOOD_FOR_MS)
    const [oldest] = this.#issued.keys()
    if (this.#issued.size > TICKETS_MAX && oldest !== undefined) this.#issued.delete(oldest)
    return ticket
  }

  /** Whether it was good; it is not any more. */
  redeem(ticket: JoinTicket): boolean {
    const untilMs = this.#issued.get(ticket)
    this.#issued.delete(ticket)
    return untilMs !== undefined && this.#clock.monotonicMs() <= untilMs
  }
}
