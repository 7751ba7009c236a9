import type { NodeState, RoutingBody } from '@grapevine/contract'

/** After the first failed contact; doubled with each further one. */
const COOL_MS_MIN = 1_000
/** A node that came back is found again within this time even when nobody tells of it. */
const COOL_MS_MAX = 30_000

interface Endpoint {
  readonly url: string
  /** Named by the user: kept whatever the routing table says. */
  readonly given: boolean
  state: NodeState | undefined
  rank: number
  failures: number
  coolUntilMs: number
}

/**
 * Where to send a request: what the user named and what the routing table told, best first. It makes no contact
 * and knows no clock: the time comes in as an argument.
 *
 * One node is kept as long as it answers, since it has all that was written through it. A failed contact sets a
 * node aside for a while, so that a dead one costs no more than that one contact.
 */
export class EndpointPool {
  readonly #endpoints = new Map<string, Endpoint>()
  #favourite: string | undefined

  constructor(urls: readonly string[]) {
    for (const [rank, url] of urls.entries()) this.#endpoints.set(url, newEndpoint(url, true, rank))
  }

  /** The best one that was not tried yet. Those set aside come into question only when there are no others at all. */
  next(nowMs: number, tried: ReadonlySet<string>): string | undefined {
    const all = [...this.#endpoints.values()]
    const warm = all.filter((endpoint) => endpoint.coolUntilMs <= nowMs)
    const ranked =
      warm.length > 0
        ? warm.toSorted((a, b) => this.#compare(a, b))
        : all.toSorted((a, b) => a.coolUntilMs - b.coolUntilMs)
    return ranked.find((endpoint) => !tried.has(endpoint.url))?.url
  }

  succeeded(url: string): void {
    const endpoint = this.#endpoints.get(url)
    if (endpoint === undefined) return
    endpoint.failures = 0
    endpoint.coolUntilMs = 0
    this.#favourite = url
  }

  /** `jitter`: 0 ≤ x < 1, so that clients that lost a node together do not all return to it together. */
  failed(url: string, nowMs: number, jitter: number): void {
    const endpoint = this.#endpoints.get(url)
    // What ends many requests at once is one failure.
    if (endpoint === undefined || endpoint.coolUntilMs > nowMs) return
    const coolMs = Math.min(COOL_MS_MAX, COOL_MS_MIN * 2 ** endpoint.failures)
    endpoint.failures += 1
    endpoint.coolUntilMs = nowMs + coolMs * (0.5 + jitter / 2)
    if (this.#favourite === url) this.#favourite = undefined
  }

  learn(routing: RoutingBody): void {
    const listed = new Set(routing.nodes.map((node) => node.url))
    for (const { url, given } of this.#endpoints.values()) if (!given && !listed.has(url)) this.#endpoints.delete(url)
    for (const { url, state, rank } of routing.nodes) {
      const endpoint = this.#endpoints.get(url) ?? newEndpoint(url, false, rank)
      Object.assign(endpoint, { state, rank })
      this.#endpoints.set(url, endpoint)
    }
  }

  #compare(a: Endpoint, b: Endpoint): number {
    return (
      Number(b.url === this.#favourite) - Number(a.url === this.#favourite) ||
      hope(a) - hope(b) ||
      Number(b.given) - Number(a.given) ||
      a.rank - b.rank
    )
  }
}

function newEndpoint(url: string, given: boolean, rank: number): Endpoint {
  return { url, given, state: undefined, rank, failures: 0, coolUntilMs: 0 }
}

/** How likely an answer is, by what the others say: least is best. Of whom nothing is said we think well. */
function hope({ state }: Endpoint): number {
  return state === undefined ? 0 : HOPE[state]
}

const HOPE: Readonly<Record<NodeState, number>> = { alive: 0, suspect: 1, left: 2, dead: 2, evicted: 3 }
