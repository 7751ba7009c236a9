import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Clock, Measures } from '@grapevine/core'
import type { Replica } from '@grapevine/replica'
import { collectDefaultMetrics, Registry } from 'prom-client'
import { HttpMeters } from './http-meters.ts'
import { gaugeText } from './meters.ts'
import { replicaGauges } from './replica-gauges.ts'
import { ReplicaMeters } from './replica-meters.ts'

/** The histogram measures from one tick to the next, so an idle loop shows this much; it is taken off. */
const LOOP_RESOLUTION_MS = 10

/** Everything at `/metrics`. Made before the replica, which counts into {@link ServerMetrics.measures}. */
export class ServerMetrics {
  readonly http: HttpMeters = new HttpMeters()
  readonly #clock: Clock
  readonly #meters: ReplicaMeters
  readonly #process = new Registry()
  readonly #loopDelay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS })

  constructor(clock: Clock) {
    this.#clock = clock
    this.#meters = new ReplicaMeters(clock)
    collectDefaultMetrics({ register: this.#process, prefix: 'grapevine_' })
    this.#loopDelay.enable()
  }

  get measures(): Measures {
    return this.#meters
  }

  get contentType(): string {
    return this.#process.contentType
  }

  async expose(replica: Replica): Promise<string> {
    const own = this.#meters.expose() + replicaGauges(replica.status(), this.#clock.wallMs()) + this.http.expose()
    return own + this.#eventLoopDelay() + (await this.#process.metrics())
  }

  close(): void {
    this.#loopDelay.disable()
    this.#process.clear()
  }

  /** Since the last scrape: with one scraper, the worst that happened between two points of its chart. */
  #eventLoopDelay(): string {
    const delay = this.#loopDelay
    const text = gaugeText('grapevine_event_loop_delay_seconds', 'Delay of the event loop since the last scrape', [
      [{ quantile: '0.5' }, delaySeconds(delay.percentile(50))],
      [{ quantile: '0.99' }, delaySeconds(delay.percentile(99))],
      [{ quantile: '1' }, delaySeconds(delay.max)],
    ])
    delay.reset()
    return text
  }
}

function delaySeconds(ns: number): number {
  return Math.max(0, ns / 1e9 - LOOP_RESOLUTION_MS / 1_000)
}
