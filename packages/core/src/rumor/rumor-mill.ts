import { RUMOR_QUEUE_BYTES_MAX, RUMOR_QUEUE_ENTRIES_MAX } from '../limits.ts'
import type { Random } from '../ports.ts'
import type { Address } from '../record/address.ts'
import type { Entry } from '../record/entry.ts'
import { compareEntries } from '../version/merge.ts'
import { afterContact, ignited, type DemersOptions, type RumorHeat } from './demers.ts'

interface HotRumor {
  readonly entry: Entry
  readonly heat: RumorHeat
}

/** What is hot in this replica, in the classic variants. Only the newest entry of a key is worth spreading. */
export class RumorMill {
  readonly #options: DemersOptions
  readonly #random: Random
  /** In the order of their ignition. */
  readonly #rumors = new Map<Address, HotRumor>()
  #bytes = 0

  constructor(options: DemersOptions, random: Random) {
    this.#options = options
    this.#random = random
  }

  get size(): number {
    return this.#rumors.size
  }

  /**
   * Makes an entry hot, unless this or a newer one of its key is already. Returns how many rumors had to go for it:
   * those next in turn.
   */
  ignite(entry: Entry): number {
    const older = this.#rumors.get(entry.address)
    if (older !== undefined && compareEntries(older.entry, entry) >= 0) return 0
    this.#cool(entry.address)
    this.#rumors.set(entry.address, { entry, heat: ignited() })
    this.#bytes += entry.envelope.length
    return this.#shed()
  }

  /** The rumors whose turn it is, as many as fit in one message, and one at least if there are any. */
  hot(limitEntries: number, limitBytes: number): Entry[] {
    const entries: Entry[] = []
    let bytes = 0
    for (const { entry } of this.#rumors.values()) {
      bytes += entry.envelope.length
      if (entries.length > 0 && (entries.length >= limitEntries || bytes > limitBytes)) break
      entries.push(entry)
    }
    return entries
  }

  /** Somebody was given this entry. Whether that was of use says nothing of a newer one that is hot by now. */
  feedback(entry: Entry, wasNews: boolean): void {
    const rumor = this.#rumors.get(entry.address)
    if (rumor?.entry.hash !== entry.hash) return
    const heat = afterContact(rumor.heat, wasNews, this.#options, this.#random)
    this.#cool(entry.address)
    if (heat === 'cold') return
    // Behind all others, so that each has its turn when there are more than one message takes.
    this.#rumors.set(entry.address, { entry, heat })
    this.#bytes += entry.envelope.length
  }

  clear(): void {
    this.#rumors.clear()
    this.#bytes = 0
  }

  #shed(): number {
    let dropped = 0
    for (const address of this.#rumors.keys()) {
      if (this.#rumors.size <= RUMOR_QUEUE_ENTRIES_MAX && this.#bytes <= RUMOR_QUEUE_BYTES_MAX) break
      this.#cool(address)
      dropped++
    }
    return dropped
  }

  #cool(address: Address): void {
    this.#bytes -= this.#rumors.get(address)?.entry.envelope.length ?? 0
    this.#rumors.delete(address)
  }
}
