import { HEADERS, MEDIA_TYPES, REQUEST_TIMEOUT_MS, type RoutingBody } from '@grapevine/contract'
import { contact, type Answer, type OutgoingRequest } from './contact.ts'
import { EndpointPool } from './endpoint-pool.ts'
import { GrapevineError } from './grapevine-error.ts'
import { RetryBudget } from './retry-budget.ts'
import { send } from './send.ts'

/** How old the routing table may grow while requests are made. Sooner after a failed contact. */
const ROUTING_AGE_MS_MAX = 30_000
const ROUTING_TIMEOUT_MS = 2_000

export interface ConnectOptions {
  /** Sent as `Authorization: Bearer`. */
  readonly token?: string | undefined
  /** For one call with all its retries. Default 10 s. */
  readonly timeoutMs?: number | undefined
  /**
   * Whether to learn of the other nodes, and to go to them when those named here fail. Default yes. Turn it off to
   * speak to one certain node, or through a gateway.
   */
  readonly discover?: boolean | undefined
  /** Instead of the platform's. */
  readonly fetch?: typeof fetch | undefined
}

export interface CallOptions {
  /** Instead of the client's. */
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

export interface RequestOptions extends CallOptions {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array | undefined
  /** Whether it changes nothing. Default: whether the method is GET or HEAD. */
  readonly safe?: boolean
  /** Whether the node asks all others before it answers: then it gets more time before another node is tried. */
  readonly asksOthers?: boolean
  /** Leaves the body as a stream. */
  readonly stream?: boolean
}

/** What all calls of one client share: endpoints, budget, time, and the end of it all. */
export class Connection {
  readonly timeoutMs: number
  readonly #pool: EndpointPool
  readonly #budget = new RetryBudget()
  readonly #fetch: typeof fetch
  readonly #token: string | undefined
  readonly #discover: boolean
  readonly #closing = new AbortController()
  #routing: { etag: string | undefined; atMs: number } | undefined
  #refresh: Promise<void> | undefined

  constructor(urls: readonly string[], options: ConnectOptions) {
    this.timeoutMs = options.timeoutMs ?? REQUEST_TIMEOUT_MS
    this.#pool = new EndpointPool(urls)
    // Called as a method of this object, the browser's own fetch would refuse.
    const platformFetch = options.fetch ?? globalThis.fetch
    this.#fetch = (input, init) => platformFetch(input, init)
    this.#token = options.token
    this.#discover = options.discover ?? true
  }

  /** @throws {GrapevineError} for every answer of 400 and above, and for none. */
  async request(path: string, init: RequestOptions = {}): Promise<Answer> {
    const {
      method = 'GET',
      headers,
      body,
      safe = method === 'GET' || method === 'HEAD',
      asksOthers = false,
      stream = false,
    } = init
    const request: OutgoingRequest = {
      method,
      path,
      headers: { ...this.#authorization(), ...headers },
      // A copy: the caller may use its buffer again while we still try.
      body: body && new Uint8Array(body),
      safe,
      asksOthers,
      stream,
    }
    if (this.#closing.signal.aborted)
      throw new GrapevineError({ code: 'closed', message: 'The client is closed.', outcome: 'not-applied' })
    const sent = await send(request, {
      pool: this.#pool,
      budget: this.#budget,
      fetch: this.#fetch,
      random: Math.random,
      nowMs: Date.now,
      signal: init.signal ? AbortSignal.any([init.signal, this.#closing.signal]) : this.#closing.signal,
      timeoutMs: init.timeoutMs ?? this.timeoutMs,
    })
    if (this.#discover) this.#keepRouting(sent.url, sent.failedOver)
    return sent.answer
  }

  /** Sends JSON, if any, and reads JSON. */
  async requestJson<Body>(path: string, init: RequestOptions & { readonly json?: unknown } = {}): Promise<Body> {
    const { json, ...rest } = init
    const headers = { accept: MEDIA_TYPES.json, ...rest.headers }
    const answer = await (json === undefined
      ? this.request(path, { ...rest, headers })
      : this.request(path, {
          method: 'POST',
          ...rest,
          headers: { ...headers, 'content-type': MEDIA_TYPES.json },
          body: new TextEncoder().encode(JSON.stringify(json)),
        }))
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- A node that speaks JSON here is taken at its word.
    return parseJson(answer) as Body
  }

  /** Base URL of a node, as far as the routing table has told. */
  urlOf(name: string): string | undefined {
    return this.#pool.urlOf(name)
  }

  async close(): Promise<void> {
    this.#closing.abort(new GrapevineError({ code: 'closed', message: 'The client was closed.' }))
    await this.#refresh
  }

  #authorization(): Record<string, string> {
    return this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }
  }

  /** In the background, beside the requests that are made anyway: an idle client asks nothing. */
  #keepRouting(url: string, failedOver: boolean): void {
    const ageMs = this.#routing === undefined ? Infinity : Date.now() - this.#routing.atMs
    if (this.#refresh !== undefined || (ageMs < ROUTING_AGE_MS_MAX && !failedOver)) return
    this.#refresh = this.#fetchRouting(url).finally(() => {
      this.#refresh = undefined
    })
  }

  async #fetchRouting(url: string): Promise<void> {
    const etag = this.#routing?.etag
    const headers = { ...this.#authorization(), ...(etag !== undefined && { 'if-none-match': etag }) }
    const answer = await contact(
      url,
      { method: 'GET', path: '/v1/cluster/routing', headers, safe: true },
      { fetch: this.#fetch, timeoutMs: ROUTING_TIMEOUT_MS, signal: this.#closing.signal },
    )
    // Without it we have the endpoints that we were given, so a failure here is nobody's concern.
    const previous = this.#routing?.etag
    this.#routing = { etag: previous, atMs: Date.now() }
    if (answer.kind !== 'answer' || answer.status !== 200) return
    try {
      this.#pool.learn(routingOf(parseJson(answer)))
      this.#routing.etag = answer.headers.get('etag') ?? undefined
    } catch (error) {
      if (!(error instanceof GrapevineError)) throw error
    }
  }
}

function parseJson(answer: Answer): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(answer.body))
  } catch (cause) {
    const { status, headers } = answer
    const served = headers.get(HEADERS.servedBy)
    const message = `The answer${served ? ` of ${served}` : ''} is not JSON.`
    throw new GrapevineError({ code: 'bad_answer', status, message, cause })
  }
}

/** The nodes with their URLs in our form. It is looked at closely, since we will go where it says. */
function routingOf(body: unknown): RoutingBody {
  if (!isRouting(body)) throw new GrapevineError({ code: 'bad_answer', message: 'This is no routing table.' })
  return { ...body, nodes: body.nodes.map((node) => ({ ...node, url: node.url.replace(/\/+$/, '') })) }
}

function isRouting(body: unknown): body is RoutingBody {
  if (typeof body !== 'object' || body === null || !('nodes' in body) || !Array.isArray(body.nodes)) return false
  return body.nodes.every((node: unknown) => {
    const url = typeof node === 'object' && node !== null && 'url' in node ? node.url : undefined
    return typeof url === 'string' && /^https?:\/\/[^/]/.test(url)
  })
}
