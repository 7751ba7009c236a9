import {
  RefusalError,
  RumorMill,
  RUMORS_PER_QUESTION_MAX,
  sample,
  type Entry,
  type Log,
  type Peer,
  type ReplicaId,
  type Timers,
} from '@grapevine/core'
import { EagerRumors, type RumorContext } from './eager-rumors.ts'
import type { Fate } from './intake.ts'
import { Rounds } from './rounds.ts'
import type { RumorMonger, Tell } from './rumor-monger.ts'
import type { ReplicaSettings } from './settings.ts'

export interface ClassicRumorContext extends RumorContext {
  readonly options: Exclude<ReplicaSettings['rumor'], 'eager'>
  readonly timers: Timers
  readonly log: Log
  readonly takeIn: (entries: readonly Entry[], from: ReplicaId) => Promise<readonly Fate[]>
}

/**
 * The classic variants of Demers et al. 1987: in rounds, each with some random peers, until a rumor has gone cold.
 * A write that waits for acknowledgements goes to its listeners at once beside that.
 */
export class ClassicRumors implements RumorMonger {
  readonly #context: ClassicRumorContext
  readonly #eager: EagerRumors
  readonly #mill: RumorMill
  readonly #rounds: Rounds
  /** Peers with a conversation under way: a slow one is left out, and holds up nobody else. */
  readonly #talking = new Set<ReplicaId>()
  /** What was pulled from here since the last round. */
  readonly #given = new Set<Entry>()

  constructor(context: ClassicRumorContext) {
    const { options, random } = context
    this.#context = context
    this.#eager = new EagerRumors(context)
    this.#mill = new RumorMill(options, random)
    this.#rounds = new Rounds(context)
  }

  start(): void {
    const { intervalMs } = this.#context.options
    this.#rounds.every(
      'rumor',
      () => intervalMs,
      async () => this.#round(),
    )
  }

  get hot(): number {
    return Math.max(this.#mill.size, this.#eager.hot)
  }

  get isPaused(): boolean {
    return this.#eager.isPaused
  }

  pause(): void {
    this.#eager.pause()
    this.#mill.clear()
    this.#given.clear()
  }

  resume(): void {
    this.#eager.resume()
  }

  notice(replica: ReplicaId, takesRumors: boolean): void {
    this.#eager.notice(replica, takesRumors)
  }

  listeners(of: Pick<Entry, 'keyHash'>): readonly Peer[] {
    return this.#eager.listeners(of)
  }

  ignite(entry: Entry, tell?: Tell): void {
    if (this.isPaused) return
    if (tell === undefined) this.#context.measures.add('rumor_updates')
    else this.#eager.ignite(entry, tell)
    this.#heat(entry)
  }

  /** How far a rumor goes is decided by its heat here, and not by hops. */
  relay(entry: Entry, _hops: number): void {
    if (!this.isPaused) this.#heat(entry)
  }

  hotEntries(): readonly Entry[] {
    const { measures, options } = this.#context
    const entries = this.#hot()
    measures.add('rumor_entries_sent', entries.length)
    if (options.exchange === 'pull') for (const entry of entries) this.#given.add(entry)
    return entries
  }

  stop(): void {
    this.pause()
    void this.#rounds.stop()
  }

  #round(): void {
    if (this.isPaused) return
    const { livePeers, options, random } = this.#context
    this.#coolGiven()
    const idle = livePeers().filter(({ replica }) => !this.#talking.has(replica))
    for (const { replica } of sample(idle, options.fanout, random))
      this.#rounds.run('rumor-contact', () => this.#talk(replica))
  }

  /**
   * Whoever pulls does not say what was news, so what was pulled in one round counts as one contact that was no use:
   * a rumor that were taken as news each time would never go cold. Where we push as well, that feedback decides alone.
   */
  #coolGiven(): void {
    for (const entry of this.#given) this.#mill.feedback(entry, false)
    this.#given.clear()
  }

  async #talk(replica: ReplicaId): Promise<void> {
    const { exchange } = this.#context.options
    this.#talking.add(replica)
    try {
      // By the state at the start: what the pull brings is not offered to the one who gave it.
      const hot = this.#hot()
      const theirs = exchange === 'push' ? [] : await this.#pull(replica)
      if (exchange !== 'pull' && !this.isPaused) await this.#push(replica, hot, theirs)
    } catch (error) {
      if (error instanceof RefusalError && error.code === 'paused') this.notice(replica, false)
      throw error
    } finally {
      this.#talking.delete(replica)
    }
  }

  async #pull(replica: ReplicaId): Promise<readonly Entry[]> {
    const { ask, takeIn } = this.#context
    const { entries } = await ask(replica, 'hot-rumors', {})
    this.notice(replica, true)
    if (entries.length === 0 || this.isPaused) return entries
    const fates = await takeIn(entries, replica)
    for (const [index, entry] of entries.entries()) if (fates[index] === 'news') this.relay(entry, 0)
    return entries
  }

  async #push(replica: ReplicaId, hot: readonly Entry[], theirs: readonly Entry[]): Promise<void> {
    const { ask, measures } = this.#context
    const hashes = new Set(theirs.map(({ hash }) => hash))
    const entries = hot.filter(({ hash }) => !hashes.has(hash))
    for (const entry of hot) if (hashes.has(entry.hash)) this.#mill.feedback(entry, false)
    if (entries.length === 0) return
    measures.add('rumor_entries_sent', entries.length)
    const { known, lacking } = await ask(replica, 'rumors', { entries, hops: 0 })
    this.notice(replica, true)
    measures.add('rumor_feedback', known.length, 'known')
    measures.add('rumor_feedback', entries.length - known.length - lacking.length, 'news')
    // What was not taken in would not be the next time either.
    const useless = new Set([...known, ...lacking])
    for (const [index, entry] of entries.entries()) this.#mill.feedback(entry, !useless.has(index))
  }

  #hot(): Entry[] {
    return this.#mill.hot(RUMORS_PER_QUESTION_MAX, this.#context.questionBytesMax)
  }

  #heat(entry: Entry): void {
    const dropped = this.#mill.ignite(entry)
    if (dropped > 0) this.#context.measures.add('rumor_dropped', dropped)
  }
}
