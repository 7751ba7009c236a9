import {
  decodeUtf8,
  encodeUtf8,
  HEADERS,
  MEDIA_TYPES,
  REQUEST_TIMEOUT_MS,
  type RoutingBody,
  type SessionRequest,
} from '@grapevine/contract'
import { eitherOf } from './abandonable.ts'
import type { BatchFormat } from './batch-format.ts'
import type { Answer, Contact, OutgoingRequest, RequestBody } from './contact.ts'
import { EndpointPool } from './endpoint-pool.ts'
import { GrapevineError } from './grapevine-error.ts'
import { RetryBudget } from './retry-budget.ts'
import { send } from './send.ts'
import type { SessionTokens } from './session-tokens.ts'
import { writeIds } from './write-id.ts'

/** How old the routing table may grow while requests are made. Sooner after a failed contact. */
const ROUTING_AGE_MS_MAX = 30_000
const ROUTING_TIMEOUT_MS = 2_000
/** Tokens joined by one request: at 8 KiB each they fit its body of 1 MiB. */
const TOKENS_PER_JOIN = 100

export interface ConnectOptions {
  /** Sent as `Authorization: Bearer`. */
  readonly token?: string | undefined
  /** Milliseconds for one call with all its retries. Default 10,000. */
  readonly timeoutMs?: number | undefined
  /**
   * Whether to learn of the other nodes, and to go to them when those named here fail. Default yes. Turn it off to
   * speak to one certain node, or through a gateway.
   */
  readonly discover?: boolean | undefined
  /**
   * Whether reads see what this client has written and read before, on whichever node. Default yes. A text is the
   * exported token of a session to go on with.
   */
  readonly session?: boolean | string | undefined
  /**
   * Whether every write carries a name of its own, so that it can be repeated when the answer is lost, and is applied
   * once by the node that took it. Default yes.
   */
  readonly writeIds?: boolean | undefined
}

export interface CallOptions {
  /** Milliseconds, instead of the client's. */
  readonly timeoutMs?: number | undefined
  /** Ends the call with `aborted`. A write that was sent already may be applied nevertheless: see `outcome`. */
  readonly signal?: AbortSignal | undefined
}

export interface RequestOptions extends CallOptions {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: RequestBody | undefined
  /** Whether it changes nothing. Default: whether the method is GET or HEAD. */
  readonly safe?: boolean
  /** Whether the node asks all others before it answers: then it gets more time before another node is tried. */
  readonly asksOthers?: boolean
  /** How long the node is asked to wait before it answers. */
  readonly waitMs?: number | undefined
  /** Leaves the body as a stream. */
  readonly stream?: boolean
}

/** What only the library itself says of a request. */
export interface InnerRequest extends RequestOptions {
  readonly idempotent?: boolean
  readonly session?: SessionTokens | undefined
}

type JsonRequest = Omit<InnerRequest, 'headers' | 'body'> & { readonly json?: unknown }

/** What a platform brings along: how to speak to a node, and in which form batches go. */
export interface Platform {
  readonly contact: Contact
  readonly batchFormat: BatchFormat
  readonly close?: () => Promise<void>
}

/** What all calls of one client share: endpoints, budget, time, and the end of it all. */
export class Connection {
  readonly timeoutMs: number
  readonly batchFormat: BatchFormat
  /** A name for a write, or `undefined` when writes go without. */
  readonly nextWriteId: () => string | undefined
  readonly pool: EndpointPool
  readonly contact: Contact
  readonly #platform: Platform
  readonly budget: RetryBudget = new RetryBudget()
  readonly #token: string | undefined
  readonly #discover: boolean
  readonly #closing = new AbortController()
  #routing: { etag: string | undefined; atMs: number } | undefined
  #refresh: Promise<void> | undefined

  constructor(urls: readonly string[], options: ConnectOptions, platform: Platform) {
    this.timeoutMs = options.timeoutMs ?? REQUEST_TIMEOUT_MS
    this.nextWriteId = (options.writeIds ?? true) ? writeIds() : () => undefined
    this.pool = new EndpointPool(urls)
    this.contact = platform.contact
    this.batchFormat = platform.batchFormat
    this.#platform = platform
    this.#token = options.token
    this.#discover = options.discover ?? true
  }

  /** @throws {GrapevineError} for every answer of 400 and above, and for none. */
  async request(path: string, init: InnerRequest = {}): Promise<Answer> {
    const { method = 'GET', session } = init
    // Again, when other answers have come meanwhile; no more than there are requests under way.
    while (session?.fitsHeader === false) await this.#join(session, init)
    // The set as it is now: what it learns meanwhile does not go along, and so is not contained in the answer's.
    const sentTokens = session?.all
    const request: OutgoingRequest = {
      method,
      path,
      headers: this.headers(init.headers, session?.text),
      body: init.body,
      safe: init.safe ?? (method === 'GET' || method === 'HEAD'),
      idempotent: init.idempotent ?? false,
      asksOthers: init.asksOthers ?? false,
      waitMs: init.waitMs,
      stream: init.stream ?? false,
    }
    const sent = await send(request, {
      pool: this.pool,
      budget: this.budget,
      contact: (url, attempt, options) => this.#contactFor(session, sentTokens, url, attempt, options),
      random: Math.random,
      nowMs: Date.now,
      signal: this.signalWith(init.signal),
      timeoutMs: init.timeoutMs ?? this.timeoutMs,
    })
    if (this.#discover) this.#keepRouting(sent.url, sent.failedOver)
    return sent.answer
  }

  /** Sends JSON, if any, and reads JSON. */
  async requestJson<Body>(path: string, init: JsonRequest = {}): Promise<Body> {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- A node that speaks JSON here is taken at its word.
    return parseJson(await this.send(path, init)) as Body
  }

  /** Sends JSON, if any. */
  async send(path: string, init: JsonRequest): Promise<Answer> {
    const { json, ...rest } = init
    const accept = { accept: MEDIA_TYPES.json }
    if (json === undefined) return this.request(path, { ...rest, headers: accept })
    const headers = { ...accept, 'content-type': MEDIA_TYPES.json }
    return this.request(path, { method: 'POST', ...rest, headers, body: encodeUtf8(JSON.stringify(json)) })
  }

  headers(headers: Readonly<Record<string, string>> = {}, session?: string): Record<string, string> {
    return {
      ...(this.#token !== undefined && { authorization: `Bearer ${this.#token}` }),
      ...headers,
      ...(session !== undefined && { [HEADERS.session]: session }),
    }
  }

  /** Fires when the caller gives up or the client is closed. @throws {GrapevineError} when it is closed already. */
  signalWith(signal: AbortSignal | undefined): AbortSignal {
    const closing = this.#closing.signal
    if (closing.aborted)
      throw new GrapevineError({ code: 'closed', message: 'The client is closed.', outcome: 'not-applied' })
    return eitherOf(signal, closing)
  }

  async close(): Promise<void> {
    this.#closing.abort(new GrapevineError({ code: 'closed', message: 'The client was closed.' }))
    await this.#refresh
    await this.#platform.close?.()
  }

  /** Also an answer that is a problem may tell of what was seen: a missing key, a condition that does not hold. */
  async #contactFor(
    session: SessionTokens | undefined,
    sentTokens: ReadonlySet<string> | undefined,
    ...[url, request, options]: Parameters<Contact>
  ): ReturnType<Contact> {
    const attempt = await this.contact(url, request, options)
    if (session !== undefined && sentTokens !== undefined && attempt.kind === 'answer')
      session.learn(sentTokens, attempt.headers.get(HEADERS.session))
    return attempt
  }

  /** Makes one token of many, when so many requests were answered at once that the header cannot hold them. */
  async #join(session: SessionTokens, { timeoutMs, signal }: CallOptions): Promise<void> {
    const known = session.all
    const tokens = [...known]
    while (tokens.length > 1) {
      const json: SessionRequest = { tokens: tokens.splice(0, TOKENS_PER_JOIN) }
      tokens.unshift(tokenOf(await this.requestJson('/v1/session', { json, safe: true, timeoutMs, signal })))
    }
    session.learn(known, tokens.join())
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
    const headers = this.headers(etag === undefined ? {} : { 'if-none-match': etag })
    const answer = await this.contact(
      url,
      { method: 'GET', path: '/v1/cluster/routing', headers, safe: true },
      { timeoutMs: ROUTING_TIMEOUT_MS, signal: this.#closing.signal },
    )
    const routing = { etag, atMs: Date.now() }
    this.#routing = routing
    // Without it we have the endpoints that we were given, so a failure here is nobody's concern.
    if (answer.kind !== 'answer' || answer.status !== 200) return
    const table = routingOf(decodeUtf8(answer.body) ?? '')
    if (table === undefined) return
    this.pool.learn(table)
    routing.etag = answer.headers.get('etag') ?? undefined
  }
}

function tokenOf(body: unknown): string {
  if (typeof body === 'object' && body !== null && 'token' in body && typeof body.token === 'string') return body.token
  throw new GrapevineError({ code: 'bad_answer', message: 'The answer holds no session token.' })
}

/** @throws {GrapevineError} `bad_answer`. */
export function parseJson(answer: Answer): unknown {
  try {
    return JSON.parse(decodeUtf8(answer.body) ?? '')
  } catch (cause) {
    throw new GrapevineError({ code: 'bad_answer', status: answer.status, message: 'The answer is not JSON.', cause })
  }
}

/** The nodes with their URLs in our form. It is looked at closely, since we will go where it says. */
function routingOf(text: string): RoutingBody | undefined {
  try {
    const body: RoutingBody = JSON.parse(text)
    if (!body.nodes.every(({ url }) => /^https?:\/\/[^/]/.test(url))) return undefined
    return { ...body, nodes: body.nodes.map((node) => ({ ...node, url: node.url.replace(/\/+$/, '') })) }
  } catch {
    return undefined
  }
}
