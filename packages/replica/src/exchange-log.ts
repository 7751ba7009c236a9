import type { Clock, Measures } from '@grapevine/core'
import { NO_EXCHANGE, type Exchange } from './anti-entropy-round.ts'
import type { ExchangeReport } from './replica.ts'

/** Enough for an operator to see a pattern, and for the dashboard's page. */
const EXCHANGES_KEPT = 100

/** What the latest exchanges did, for reports and metrics. */
export class ExchangeLog {
  readonly #clock: Clock
  readonly #measures: Measures
  readonly #latest: ExchangeReport[] = []
  readonly #divergent = new Map<string, number>()
  #lastAtMs: number | undefined

  constructor({ clock, measures }: { clock: Clock; measures: Measures }) {
    this.#clock = clock
    this.#measures = measures
  }

  /** Newest first. */
  get latest(): readonly ExchangeReport[] {
    return this.#latest
  }

  /** Milliseconds since the last exchange that ended well, or −1. */
  get sinceLastMs(): number {
    return this.#lastAtMs === undefined ? -1 : Math.round(this.#clock.monotonicMs() - this.#lastAtMs)
  }

  get divergentPartitions(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#divergent)
  }

  async record(peer: string, run: () => Promise<Exchange>): Promise<ExchangeReport> {
    const atMs = this.#clock.wallMs()
    const startedMs = this.#clock.monotonicMs()
    const about = (): { with: string; atMs: number; durationMs: number } => ({
      with: peer,
      atMs,
      durationMs: Math.round(this.#clock.monotonicMs() - startedMs),
    })
    try {
      const exchange = await run()
      const report: ExchangeReport = { ...about(), ...exchange, result: exchange.leaves === 0 ? 'equal' : 'repaired' }
      this.#lastAtMs = this.#clock.monotonicMs()
      this.#divergent.set(peer, exchange.partitions)
      this.#keep(report)
      return report
    } catch (error) {
      this.#keep({
        ...about(),
        ...NO_EXCHANGE,
        result: 'failed',
        error: error instanceof Error ? error.message : 'unknown',
      })
      throw error
    }
  }

  #keep(report: ExchangeReport): void {
    const measures = this.#measures
    this.#latest.unshift(report)
    this.#latest.length = Math.min(this.#latest.length, EXCHANGES_KEPT)
    measures.add('antientropy_exchanges', 1, report.result)
    measures.add('antientropy_questions', report.questions)
    measures.add('antientropy_keys_repaired', report.keysIn, 'in')
    measures.add('antientropy_keys_repaired', report.keysOut, 'out')
    measures.add('antientropy_exchange_bytes', report.bytesIn, 'in')
    measures.add('antientropy_exchange_bytes', report.bytesOut, 'out')
    measures.observe('antientropy_exchange_seconds', report.durationMs / 1_000)
  }
}
