import type { IncomingMessage, ServerResponse } from 'node:http'
import { BATCH_BYTES_MAX } from '@grapevine/contract'
import type { Clock, Hash, Random } from '@grapevine/core'
import type { Replica } from '@grapevine/replica'
import { fastify, type FastifyInstance } from 'fastify'
import type { Loaded } from './config/load.ts'
import { parseHostPort } from './config/option-types.ts'
import type { ServerConfig } from './config/options.ts'
import type { ServerContext } from './context.ts'
import { Forwarder } from './forward.ts'
import { answerClientError } from './http/client-error.ts'
import { Guard } from './http/guard.ts'
import { OpenStreams } from './http/open-streams.ts'
import { SessionTexts } from './http/session-texts.ts'
import { ProblemError } from './http/problem.ts'
import { answerFailure } from './http/route.ts'
import type { ServerLog } from './log.ts'
import type { ServerMetrics } from './metrics/server-metrics.ts'
import { registerAdminRoutes } from './routes/admin.ts'
import { registerBatchRoute } from './routes/batch.ts'
import { registerClusterRoutes } from './routes/cluster.ts'
import { registerDocumentationRoutes } from './routes/documentation.ts'
import { registerGossipRoutes } from './routes/gossip.ts'
import { registerHealthRoutes } from './routes/health.ts'
import { registerKeyRoutes } from './routes/keys.ts'
import { registerBucketRoutes } from './routes/buckets.ts'
import { registerListRoute } from './routes/list.ts'
import { isRestore, registerRestoreRoute } from './routes/restore.ts'
import { registerSessionRoute } from './routes/session.ts'
import { registerSnapshotRoute } from './routes/snapshot.ts'
import { registerWatchRoute } from './routes/watch.ts'
import { registerVisibilityRoute } from './routes/visibility.ts'

export interface ServerOptions {
  readonly replica: Replica
  readonly loaded: Loaded<ServerConfig>
  readonly clock: Clock
  readonly random: Random
  readonly hash: Hash
  readonly log: ServerLog
  readonly metrics: ServerMetrics
  /** Whether the process is on its way out. */
  readonly draining?: () => boolean
  /** Told once the node has left its cluster. */
  readonly left?: () => void
  readonly limits?: Partial<HttpLimits>
}

/** How long a client may take. */
export interface HttpLimits {
  /** For the headers: a thousand slow clients cost a socket each, and nothing else. */
  readonly headersMs: number
  /** For the whole request. */
  readonly requestMs: number
  /** Without any byte either way: longer than any request waits, and than an event stream's comments are apart. */
  readonly idleMs: number
  /** Between two requests. */
  readonly keepAliveMs: number
  /** How often the above are looked at. */
  readonly checkMs: number
}

const LIMITS: HttpLimits = { headersMs: 5_000, requestMs: 15_000, idleMs: 120_000, keepAliveMs: 75_000, checkMs: 1_000 }

/** Node's own limit of request line and headers, said out loud: routes may have parameters up to this. */
const HEADER_BYTES_MAX = 16 * 1024

/** The client port: every route, ready to listen. Closing it ends open streams and waits for requests under way. */
export function buildServer(options: ServerOptions): FastifyInstance {
  const limits = { ...LIMITS, ...options.limits }
  const { loaded, replica } = options
  const streams = new OpenStreams()
  const bodyMax = Math.max(loaded.config.valueMax, BATCH_BYTES_MAX)
  const context: ServerContext = {
    ...options,
    draining: options.draining ?? (() => false),
    left: options.left ?? (() => {}),
    guard: new Guard(loaded.config.cors, ownHosts(loaded.config)),
    forwarder: new Forwarder(replica, loaded.config, bodyMax),
    streams,
    sessions: new SessionTexts(),
  }

  const app = fastify({
    logger: false,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    bodyLimit: bodyMax,
    requestTimeout: limits.requestMs,
    connectionTimeout: limits.idleMs,
    keepAliveTimeout: limits.keepAliveMs,
    // Queries are read by the routes, strictly. Nothing from outside becomes an object's property name.
    rewriteUrl: ({ url = '' }) => originFormOf(url),
    routerOptions: { maxParamLength: HEADER_BYTES_MAX, querystringParser: () => NO_QUERY },
    // No request has a log line of its own, so none needs an id.
    genReqId: () => '',
    http: {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: limits.headersMs,
      connectionsCheckingInterval: limits.checkMs,
      // The guard checks it, and answers in the form that all problems have.
      requireHostHeader: false,
    },
    clientErrorHandler: answerClientError,
    frameworkErrors: (_error, request, reply) => {
      reply.hijack()
      answerMalformedUrl(context, request.raw, reply.raw)
    },
  })
  // Bodies are read by the routes too: values are bytes whatever their type, and a parser costs a tenth of a write.
  for (const method of ['PUT', 'POST', 'DELETE']) app.addHttpMethod(method, { hasBody: false, overrideExisting: true })
  app.removeAllContentTypeParsers()

  const allowed = new AllowedMethods()
  app.addHook('onRoute', ({ method, url }) => allowed.note(method, url))
  registerKeyRoutes(app, context)
  registerListRoute(app, context)
  registerBucketRoutes(app, context)
  registerVisibilityRoute(app, context)
  registerBatchRoute(app, context)
  registerSessionRoute(app, context)
  registerClusterRoutes(app, context)
  registerGossipRoutes(app, context)
  registerAdminRoutes(app, context)
  registerSnapshotRoute(app, context)
  registerRestoreRoute(app, context)
  registerWatchRoute(app, context)
  registerHealthRoutes(app, context)
  registerDocumentationRoutes(app, context)
  app.setNotFoundHandler((request, reply) => {
    reply.hijack()
    answerUnrouted(context, allowed, request.raw, reply.raw)
  })

  app.server.maxConnections = loaded.config.maxConnections
  app.server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    const problem = new ProblemError('expectation_failed', 'The only expectation that can be met is 100-continue.', {
      headers: { connection: 'close' },
    })
    answerFailure(context, request, response, problem)
  })
  app.server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    // Whoever announces too much is refused before it sends it. A snapshot is as large as the data.
    const isTooLarge = Number(request.headers['content-length']) > bodyMax && !isRestore(request)
    if (!isTooLarge) response.writeContinue()
    app.server.emit('request', request, response)
  })
  // An answer without end would keep the server from closing.
  app.addHook('preClose', () => streams.close())
  app.addHook('onClose', () => context.forwarder.close())
  return app
}

/** The names that this node was told to go by. */
function ownHosts({ listen, advertise }: ServerConfig): string[] {
  return [listen, advertise].flatMap((text) => parseHostPort(text)?.host ?? [])
}

/** Proxies may be asked in absolute form, and pass it on (RFC 9112 §3.2.2). Routes know paths alone. */
function originFormOf(url: string): string {
  const found = url.startsWith('/') ? null : /^https?:\/\/[^/?#]*/i.exec(url)
  if (found === null) return url
  const rest = url.slice(found[0].length)
  return rest.startsWith('/') ? rest : `/${rest}`
}

const NO_QUERY: Readonly<Record<string, unknown>> = Object.freeze({})

/** The router cannot decode the path, so the request is no route's. Mostly it is a key's. */
function answerMalformedUrl(context: ServerContext, request: IncomingMessage, response: ServerResponse): void {
  const path = request.url ?? ''
  const isWrite = request.method !== 'GET' && request.method !== 'HEAD'
  const detail = 'The path is not percent-encoded UTF-8. Any bytes may be a key with ?key_encoding=base64url.'
  const problem = new ProblemError(/^\/v1\/(kv|admin\/keys)\//.test(path) ? 'bad_key' : 'bad_request', detail)
  answerFailure(context, request, response, problem, isWrite ? { outcome: 'not-applied' } : {})
}

function answerUnrouted(
  context: ServerContext,
  allowed: AllowedMethods,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const { method = '', url = '/' } = request
  const isWrite = method !== 'GET' && method !== 'HEAD' && method !== 'OPTIONS'
  try {
    context.guard.check(request, response)
    const methods = allowed.of(url)
    const allow = methods.join(', ')
    if (methods.length === 0)
      throw new ProblemError('not_found', `There is no ${url.split('?', 1)[0]?.slice(0, 200)} here.`)
    if (method !== 'OPTIONS')
      throw new ProblemError('method_not_allowed', `Here only ${allow} can be asked.`, { headers: { allow } })
    context.guard.preflight(request, response, allow)
  } catch (error) {
    answerFailure(context, request, response, error, isWrite ? { outcome: 'not-applied' } : {})
  }
}

/** Which methods a path has, for 405 and OPTIONS: routers know only whether they have this one. */
class AllowedMethods {
  readonly #patterns: { readonly matches: RegExp; readonly methods: Set<string> }[] = []

  note(method: string | readonly string[], pattern: string): void {
    const source = `^${pattern.replaceAll('.', '\\.').replaceAll(/:\w+/g, '[^/]+').replace('*', '.*')}$`
    let row = this.#patterns.find(({ matches }) => matches.source === new RegExp(source).source)
    if (row === undefined) this.#patterns.push((row = { matches: new RegExp(source), methods: new Set() }))
    for (const one of typeof method === 'string' ? [method] : method) row.methods.add(one)
  }

  of(url: string): readonly string[] {
    const path = url.split('?', 1)[0] ?? ''
    const methods = new Set<string>()
    for (const row of this.#patterns) if (row.matches.test(path)) for (const method of row.methods) methods.add(method)
    return [...methods].toSorted()
  }
}
