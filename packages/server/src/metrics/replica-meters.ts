import type { Clock, CounterName, DistributionName, Measures } from '@grapevine/core'
import { Counter, gaugeText, Histogram, type Meter } from './meters.ts'

/** From half a millisecond, one fsync, to the longest that anybody waits. */
const SECONDS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10]

type CounterRow = readonly [metric: string, help: string, label?: string, values?: readonly string[]]

const COUNTERS: Readonly<Record<CounterName, CounterRow>> = {
  rumor_feedback: ['rumor_feedback_total', 'Answers to pushed rumors', 'outcome', ['news', 'known']],
  rumor_entries_sent: ['rumor_entries_sent_total', 'Entries sent as rumors'],
  rumor_updates: ['rumor_updates_total', 'Own writes that became rumors'],
  rumor_dropped: ['rumor_dropped_total', 'Entries dropped from a full rumor queue, left to the pull'],
  antientropy_exchanges: [
    'antientropy_exchanges_total',
    'Finished anti-entropy exchanges',
    'result',
    ['equal', 'repaired', 'failed'],
  ],
  antientropy_exchange_bytes: ['exchange_bytes_total', 'Bytes of repaired entries', 'direction', ['in', 'out']],
  antientropy_keys_repaired: ['keys_repaired_total', 'Keys repaired by exchanges', 'direction', ['in', 'out']],
  antientropy_questions: ['antientropy_questions_total', 'Questions asked by exchanges'],
  pull_entries: ['pull_entries_total', 'Entries brought by vector pulls'],
  integrity_faults: ['integrity_faults_total', 'Equal vectors with unequal roots: a bug or a lying disk'],
  corrupt_entries: ['corrupt_entries_total', 'Rows found that fail their checksum'],
  healed_entries: ['healed_entries_total', 'Rows that could not be read and came back from another node'],
  hidden_entries: ['hidden_entries_total', 'Rows found that an index names and that are not there'],
  scrub_leaves: ['scrub_leaves_total', 'Leaves that the scrub has read and summed up'],
  scrub_bytes: ['scrub_bytes_total', 'Bytes of entries that the scrub has read, leaf by leaf'],
  scrub_passes: ['scrub_passes_total', 'Passes of the scrub over all entries'],
  suspect_leaves: ['suspect_leaves_total', 'Leaves found whose rows do not add up: rows were lost'],
  mended_leaves: ['mended_leaves_total', 'Leaves with lost rows that were replaced by those of another node'],
  settled_rows: [
    'settled_rows_total',
    'Rows that only one of two sound nodes held: taken, or dropped as purged',
    'outcome',
    ['taken', 'dropped'],
  ],
  orphaned_index_rows: ['orphaned_index_rows_total', 'Rows of the dot index found that lead to another entry'],
  reindexed_entries: ['reindexed_entries_total', 'Entries found to which an index did not lead any more'],
  false_suspicions: ['false_suspicions_total', 'Members that were suspected and turned out to be alive'],
  refused_entries: ['refused_entries_total', 'Entries refused because they are older than a purge'],
  concurrent_overwrites: [
    'concurrent_overwrites_total',
    'Writes that lost against a concurrent one of this node: seen by it, and so the least that there were',
  ],
  store_reopens: ['store_reopens_total', 'Reopenings of the store after a failed write'],
  read_repairs: ['read_repairs_total', 'Entries taken in because a read by quorum found something newer elsewhere'],
  session_waits: ['session_waits_total', 'Requests that waited until this node had seen what their session had'],
  session_behind: ['session_behind_total', 'Requests whose time was over before this node had seen that'],
  watches: [
    'watches_total',
    'Watches that began, anew or from where another was, that read on from the store, and that missed something',
    'how',
    ['new', 'resumed', 'reread', 'resync'],
  ],
  watch_events: ['watch_events_total', 'Changes told to those who watch'],
}

const DISTRIBUTIONS: Readonly<
  Record<Exclude<DistributionName, 'rumor_delay_seconds'>, readonly [string, string, readonly number[]]>
> = {
  commit_seconds: ['commit_seconds', 'Time of one durable commit', SECONDS],
  commit_batch_size: ['commit_batch_size', 'Entries in one commit', [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]],
  probe_seconds: ['probe_seconds', 'Round trips of probes', SECONDS],
  antientropy_exchange_seconds: ['exchange_seconds', 'Time of one anti-entropy exchange', SECONDS],
}

/** What the replica counts, under the names that Prometheus knows. */
export class ReplicaMeters implements Measures {
  readonly #counters: ReadonlyMap<string, Counter>
  readonly #distributions: ReadonlyMap<string, Histogram>
  readonly #delay: RumorDelay

  constructor(clock: Clock) {
    this.#counters = new Map(
      Object.entries(COUNTERS).map(([name, [metric, ...rest]]) => [name, new Counter(`grapevine_${metric}`, ...rest)]),
    )
    this.#distributions = new Map(
      Object.entries(DISTRIBUTIONS).map(([name, [metric, help, bounds]]) => [
        name,
        new Histogram(`grapevine_${metric}`, help, bounds),
      ]),
    )
    this.#delay = new RumorDelay(clock)
  }

  add(name: CounterName, by = 1, label = ''): void {
    this.#counters.get(name)?.add(by, label)
  }

  observe(name: DistributionName, value: number): void {
    if (name === 'rumor_delay_seconds') this.#delay.observe(value)
    else this.#distributions.get(name)?.observe(value)
  }

  expose(): string {
    let text = ''
    for (const meter of [...this.#counters.values(), ...this.#distributions.values(), this.#delay])
      text += meter.expose()
    return text + this.#derived()
  }

  /** Demers' measures, from what this node sees of them. */
  #derived(): string {
    const get = (name: CounterName, label = ''): number => this.#counters.get(name)?.get(label) ?? 0
    const updates = get('rumor_updates')
    const missed = get('pull_entries') + get('antientropy_keys_repaired', 'in')
    const heard = this.#delay.count
    return (
      gaugeText(
        'grapevine_rumor_traffic_per_update',
        'Entries sent as rumors for each own write (m)',
        updates === 0 ? [] : [[{}, get('rumor_entries_sent') / updates]],
      ) +
      gaugeText(
        'grapevine_rumor_residue_ratio',
        'Share of arrived entries that no rumor brought here, but a pull or an exchange (s)',
        missed + heard === 0 ? [] : [[{}, missed / (missed + heard)]],
      )
    )
  }
}

/** How long "last" looks back: long enough for two scrapes a minute apart. */
const DELAY_WINDOW_MS = 120_000

/** t_avg since the start and t_last of the last minutes. Not a summary: "avg" and "last" are no quantiles. */
class RumorDelay implements Meter {
  readonly #clock: Clock
  count = 0
  #sum = 0
  /** The greatest of this half of the window and of the one before. */
  #greatest: readonly [number, number] = [0, 0]
  #since = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  observe(seconds: number): void {
    this.#turn()
    this.count++
    this.#sum += seconds
    if (seconds > this.#greatest[0]) this.#greatest = [seconds, this.#greatest[1]]
  }

  expose(): string {
    this.#turn()
    const samples = [
      [{ quantile: 'avg' }, this.#sum / this.count],
      [{ quantile: 'last' }, Math.max(...this.#greatest)],
    ] as const
    return gaugeText(
      'grapevine_rumor_delay_seconds',
      'From the commit of a write elsewhere to its commit here',
      this.count === 0 ? [] : samples,
    )
  }

  #turn(): void {
    const half = Math.floor(this.#clock.monotonicMs() / (DELAY_WINDOW_MS / 2))
    if (half === this.#since) return
    this.#greatest = [0, half === this.#since + 1 ? this.#greatest[0] : 0]
    this.#since = half
  }
}
