import { performance } from 'node:perf_hooks'
import { Buckets, counterText, histogramText, type Labels } from './meters.ts'

/** From what a read of one key takes to the longest that anybody waits. */
const BOUNDS = [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10]

/** The requests of one method and route. Whoever answers holds it, so that counting one looks nothing up by text. */
export class RouteMeter {
  readonly method: string
  readonly route: string
  readonly seconds: Buckets = new Buckets(BOUNDS)
  readonly statuses: Map<number, number> = new Map<number, number>()

  constructor(method: string, route: string) {
    this.method = method
    this.route = route
  }

  /** @param startedMs of `performance.now()`. */
  answered(status: number, startedMs: number): void {
    this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1)
    this.seconds.observe((performance.now() - startedMs) / 1_000)
  }
}

/** Requests on the client port. Routes are patterns, never what a client sent, so their number is bounded. */
export class HttpMeters {
  readonly #meters = new Map<string, RouteMeter>()

  of(method: string, route: string): RouteMeter {
    const name = `${method} ${route}`
    let meter = this.#meters.get(name)
    if (meter === undefined) this.#meters.set(name, (meter = new RouteMeter(method, route)))
    return meter
  }

  expose(): string {
    const requests: [Labels, number][] = []
    const seconds: [Labels, Buckets][] = []
    for (const { method, route, statuses, seconds: buckets } of this.#meters.values()) {
      if (statuses.size === 0) continue
      for (const [status, total] of statuses) requests.push([{ method, route, status: String(status) }, total])
      seconds.push([{ method, route }, buckets])
    }
    return (
      counterText('grapevine_http_requests_total', 'Requests answered on the client port', requests) +
      histogramText('grapevine_http_request_seconds', 'From the request line to the last byte handed over', seconds)
    )
  }
}
