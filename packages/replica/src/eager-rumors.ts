import {
  compareEntries,
  RefusalError,
  rumorTargets,
  RUMOR_QUEUE_BYTES_MAX,
  RUMOR_QUEUE_ENTRIES_MAX,
  RUMORS_PER_QUESTION_MAX,
  UnreachableError,
  type Address,
  type Entry,
  type Measures,
  type Peer,
  type Random,
  type ReplicaId,
} from '@grapevine/core'
import type { AskMember } from './ask-member.ts'
import type { Owners } from './owners.ts'
import type { RumorMonger, Tell } from './rumor-monger.ts'

export interface RumorContext {
  readonly ask: AskMember
  readonly livePeers: () => readonly Peer[]
  readonly owners: Pick<Owners, 'ofEntry'>
  readonly random: Random
  readonly measures: Measures
  /** Bytes of entries that one question may carry. */
  readonly questionBytesMax: number
}

interface Rumor {
  readonly entry: Entry
  readonly hops: number
  /** Writers that wait for this entry, or an older one of the same key, to be durable there. */
  readonly tallies: readonly Tell[]
}

interface Outbox {
  readonly rumors: Map<Address, Rumor>
  bytes: number
  sending: boolean
}

/**
 * Eager rumor mongering: a fresh entry goes to every peer that the fanout names, at once. Each peer has an outbox
 * with the newest entry per key and one question in flight, so that a busy peer gets larger batches instead of more
 * messages. What is lost here, the pull brings.
 */
export class EagerRumors implements RumorMonger {
  readonly #context: RumorContext
  readonly #outboxes = new Map<ReplicaId, Outbox>()
  readonly #notListening = new Set<ReplicaId>()
  #paused = false

  constructor(context: RumorContext) {
    this.#context = context
  }

  get hot(): number {
    let most = 0
    for (const { rumors } of this.#outboxes.values()) most = Math.max(most, rumors.size)
    return most
  }

  get isPaused(): boolean {
    return this.#paused
  }

  pause(): void {
    this.#paused = true
    for (const [replica, outbox] of this.#outboxes) this.#giveUp(replica, outbox)
  }

  resume(): void {
    this.#paused = false
  }

  notice(replica: ReplicaId, takesRumors: boolean): void {
    if (takesRumors) this.#notListening.delete(replica)
    else this.#notListening.add(replica)
  }

  listeners(of: Pick<Entry, 'keyHash'>): readonly Peer[] {
    if (this.#paused) return []
    return this.#liveOwners(of).filter(({ replica }) => !this.#notListening.has(replica))
  }

  ignite(entry: Entry, tell?: Tell): void {
    if (this.#paused) return
    this.#context.measures.add('rumor_updates')
    if (tell === undefined) this.#spread(entry, undefined)
    else for (const { replica } of this.listeners(entry)) this.#enqueue(replica, entry, 0, tell)
  }

  relay(entry: Entry, hops: number): void {
    if (!this.#paused && hops > 0) this.#spread(entry, hops)
  }

  hotEntries(): readonly Entry[] {
    return []
  }

  start(): void {}

  stop(): void {
    this.pause()
  }

  #spread(entry: Entry, hops: number | undefined): void {
    const live = this.#liveOwners(entry).map(({ replica }) => replica)
    const plan = rumorTargets({ live, hops, random: this.#context.random })
    for (const replica of plan.targets) this.#enqueue(replica, entry, plan.hops, undefined)
  }

  #liveOwners(of: Pick<Entry, 'keyHash'>): Peer[] {
    const owners = this.#context.owners.ofEntry(of)
    return this.#context.livePeers().filter(({ replica }) => owners.includes(replica))
  }

  #enqueue(replica: ReplicaId, entry: Entry, hops: number, tell: Tell | undefined): void {
    const outbox = this.#outboxOf(replica)
    const older = outbox.rumors.get(entry.address)
    const tallies = tell === undefined ? [] : [tell]
    if (older !== undefined) {
      outbox.bytes -= older.entry.envelope.length
      outbox.rumors.delete(entry.address)
    }
    // What waits may be newer than what comes, and then serves whoever waits for either.
    const newest = older !== undefined && compareEntries(older.entry, entry) > 0 ? older : { entry, hops }
    outbox.rumors.set(entry.address, { ...newest, tallies: [...(older?.tallies ?? []), ...tallies] })
    outbox.bytes += newest.entry.envelope.length
    this.#shed(replica, outbox)
    if (outbox.sending) return
    outbox.sending = true
    // Behind the current turn: a group that was committed together goes out together.
    void Promise.resolve().then(() => this.#send(replica, outbox))
  }

  async #send(replica: ReplicaId, outbox: Outbox): Promise<void> {
    try {
      while (outbox.rumors.size > 0 && !this.#paused) {
        const { batch, hops } = this.#take(outbox)
        const lacking = await this.#push(replica, batch, hops)
        for (const [index, { tallies }] of batch.entries())
          for (const tell of tallies) tell(replica, lacking !== undefined && !lacking.has(index))
        // Unheard: do not let the next batches wait for the same time-out one by one.
        if (lacking === undefined) this.#giveUp(replica, outbox)
      }
      if (this.#paused) this.#giveUp(replica, outbox)
    } finally {
      // In the turn that found nothing more to send: whoever comes later starts anew.
      outbox.sending = false
    }
  }

  /** The indexes that the peer does not hold now, or undefined when it did not answer. */
  async #push(replica: ReplicaId, batch: readonly Rumor[], hops: number): Promise<ReadonlySet<number> | undefined> {
    const { ask, measures } = this.#context
    measures.add('rumor_entries_sent', batch.length)
    try {
      const { known, lacking } = await ask(replica, 'rumors', { entries: batch.map(({ entry }) => entry), hops })
      measures.add('rumor_feedback', known.length, 'known')
      measures.add('rumor_feedback', batch.length - known.length - lacking.length, 'news')
      this.#notListening.delete(replica)
      return new Set(lacking)
    } catch (error) {
      if (error instanceof RefusalError && error.code === 'paused') this.#notListening.add(replica)
      else if (!(error instanceof RefusalError || error instanceof UnreachableError)) throw error
      return undefined
    }
  }

  /** The oldest rumors that go with the same number of hops, within one question. */
  #take(outbox: Outbox): { batch: Rumor[]; hops: number } {
    const batch: Rumor[] = []
    let bytes = 0
    for (const [address, rumor] of outbox.rumors) {
      bytes += rumor.entry.envelope.length
      const isFull = batch.length >= RUMORS_PER_QUESTION_MAX || bytes > this.#context.questionBytesMax
      if (batch.length > 0 && (isFull || rumor.hops !== batch[0]?.hops)) break
      outbox.rumors.delete(address)
      outbox.bytes -= rumor.entry.envelope.length
      batch.push(rumor)
    }
    return { batch, hops: batch[0]?.hops ?? 0 }
  }

  #shed(replica: ReplicaId, outbox: Outbox): void {
    for (const [address, { entry, tallies }] of outbox.rumors) {
      if (outbox.rumors.size <= RUMOR_QUEUE_ENTRIES_MAX && outbox.bytes <= RUMOR_QUEUE_BYTES_MAX) return
      outbox.rumors.delete(address)
      outbox.bytes -= entry.envelope.length
      this.#context.measures.add('rumor_dropped')
      for (const tell of tallies) tell(replica, false)
    }
  }

  #giveUp(replica: ReplicaId, outbox: Outbox): void {
    for (const { tallies } of outbox.rumors.values()) for (const tell of tallies) tell(replica, false)
    outbox.rumors.clear()
    outbox.bytes = 0
  }

  #outboxOf(replica: ReplicaId): Outbox {
    let outbox = this.#outboxes.get(replica)
    if (outbox === undefined) {
      outbox = { rumors: new Map(), bytes: 0, sending: false }
      this.#outboxes.set(replica, outbox)
    }
    return outbox
  }
}
