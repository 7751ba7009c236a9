import { noScrubCounts, scrubPartition, SCRUB_PARTITIONS, type ScrubContext, type ScrubCounts } from './scrub-round.ts'

/** Where the scrub in the background is, kept over restarts: a pass takes days, and a node is not up for ever. */
export interface ScrubProgress {
  /** The partition to go on with. */
  load(): Promise<number>
  save(partition: number): Promise<void>
}

export interface ScrubReport extends Readonly<ScrubCounts> {
  readonly running: boolean
  /** Milliseconds since 1970. */
  readonly startedMs: number
  readonly finishedMs: number | undefined
  /** Of 256. */
  readonly partitions: number
  /** Why it ended early. */
  readonly error?: string
}

export interface ScrubberContext extends ScrubContext {
  readonly progress: ScrubProgress | undefined
  readonly bytesPerSecond: number
}

/** One by hand is waited for by somebody: as fast as it can, with a turn for everybody else after each leaf. */
const UNLIMITED = Number.POSITIVE_INFINITY

/** The scrub: partition by partition in the background, over days; and all of them at once when it is asked for. */
export class Scrubber {
  readonly #context: ScrubberContext
  #next: number | undefined
  #report: ScrubReport | undefined

  constructor(context: ScrubberContext) {
    this.#context = context
  }

  /** The last one by hand, or the one that is running. */
  get report(): ScrubReport | undefined {
    return this.#report
  }

  /** One partition of the pass in the background. */
  async round(): Promise<void> {
    const { progress, bytesPerSecond, measures, log, isStopping } = this.#context
    // Two at once would only meet the same rows.
    if (this.#report?.running === true) return
    const partition = (this.#next ??= (await progress?.load()) ?? 0) % SCRUB_PARTITIONS
    const counts = noScrubCounts()
    await scrubPartition(partition, bytesPerSecond, counts, this.#context)
    if (isStopping()) return
    if (counts.corrupt + counts.hidden + counts.mendedLeaves + counts.suspectLeaves > 0)
      log.warn('scrub-found-damage', { partition, ...counts })
    this.#next = (partition + 1) % SCRUB_PARTITIONS
    if (this.#next === 0) measures.add('scrub_passes')
    // Where it stopped is no data: a disk that is full loses it, and then some partitions are read twice.
    await progress?.save(this.#next).catch(() => {})
  }

  /** Begins a pass over everything, or returns what the running one has found so far. */
  start(): ScrubReport {
    if (this.#report?.running === true) return this.#report
    const { clock, log, measures } = this.#context
    const counts = noScrubCounts()
    const startedMs = clock.wallMs()
    let partitions = 0
    const tell = (running: boolean, error?: unknown): ScrubReport =>
      (this.#report = {
        ...counts,
        running,
        startedMs,
        finishedMs: running ? undefined : clock.wallMs(),
        partitions,
        ...(error === undefined ? {} : { error: error instanceof Error ? error.message : 'a bug' }),
      })
    const run = async (): Promise<void> => {
      for (; partitions < SCRUB_PARTITIONS && !this.#context.isStopping(); partitions++) {
        await scrubPartition(partitions, UNLIMITED, counts, this.#context)
        tell(true)
      }
    }
    const first = tell(true)
    run().then(
      () => {
        measures.add('scrub_passes')
        log.info('scrub-finished', { ...tell(false) })
      },
      (error: unknown) => {
        log.error('scrub-failed', { ...tell(false, error) })
      },
    )
    return first
  }
}
