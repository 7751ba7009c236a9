import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import type { Replica } from '@grapevine/replica'
import { Agent } from 'undici'
import type { ServerConfig } from './config/options.ts'
import { errorCodeOf } from './error-code.ts'
import { bodyOf } from './http/body.ts'
import { ProblemError, sendProblem, traceIdOf } from './http/problem.ts'
import { TIMEOUT_MS_MAX } from './routes/parameters.ts'

/** Says that a request has been forwarded once, and must not go on a journey. */
const FORWARDED = 'grapevine-forwarded'

/** Headers that belong to one connection (RFC 9110 §7.6.1), and those that this side writes itself. */
const NOT_PASSED = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'host',
  'content-length',
  'expect',
  'origin',
  'date',
])

/**
 * A node that is still joining holds only part of the data: asked for a key that it has not received yet, it would
 * say that there is none. So it hands requests on to a live member, one hop far, until it has joined for good.
 */
export class Forwarder {
  readonly #replica: Replica
  readonly #config: ServerConfig
  readonly #bodyMax: number
  #joined = false
  #agent: Agent | undefined

  constructor(replica: Replica, config: ServerConfig, bodyMax: number) {
    this.#replica = replica
    this.#config = config
    this.#bodyMax = bodyMax
  }

  /** Once a member, always a member: then the question costs nothing any more. */
  get servesHere(): boolean {
    if (this.#joined) return true
    const { ready, identity } = this.#replica.status()
    this.#joined = ready || identity.stage === 'member'
    return this.#joined
  }

  /** Answers with what another node answers. Never throws. */
  async forward(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const isWrite = request.method !== 'GET' && request.method !== 'HEAD'
    try {
      if (request.headers[FORWARDED] !== undefined) throw this.#notReady('asked on behalf of another node that is not')
      const body = isWrite ? await bodyOf(request, response, this.#bodyMax) : new Uint8Array()
      if (body !== undefined) await this.#tryPeers(request, response, body, isWrite)
    } catch (error) {
      const problem = error instanceof ProblemError ? error : this.#notReady('and forwarding failed', error)
      sendProblem(response, problem, traceIdOf(request))
    }
  }

  async close(): Promise<void> {
    await this.#agent?.close()
  }

  async #tryPeers(
    request: IncomingMessage,
    response: ServerResponse,
    body: Uint8Array,
    isWrite: boolean,
  ): Promise<void> {
    this.#agent ??= new Agent({ keepAliveTimeout: 60_000, connect: { timeout: this.#config.probeTimeout * 2 } })
    let last: unknown
    for (const origin of this.#clientUrls()) {
      try {
        const answer = await this.#agent.request({
          origin,
          path: request.url ?? '/',
          method: methodOf(request),
          headers: { ...passed(request.headers), [FORWARDED]: '1' },
          body: isWrite ? body : null,
          // It may be asked to wait for so long.
          headersTimeout: TIMEOUT_MS_MAX + 5_000,
          bodyTimeout: this.#config.requestTimeout,
        })
        response.writeHead(answer.statusCode, passed(answer.headers))
        await pipeline(answer.body, response)
        return
      } catch (error) {
        if (response.headersSent) {
          response.destroy()
          return
        }
        if (isWrite && !isNeverSent(error))
          throw new ProblemError('timeout', 'The node that this write was forwarded to did not answer.', {
            outcome: 'unknown',
            cause: error,
          })
        last = error
      }
    }
    throw this.#notReady('and reaches no node that is', last)
  }

  /** Live members, best first. */
  #clientUrls(): readonly string[] {
    const members = this.#replica.members()
    return this.#replica.livePeers().flatMap(({ replica }) => {
      const member = members.find((candidate) => candidate.replica === replica)
      return member === undefined || member.clientUrl === '' ? [] : [member.clientUrl]
    })
  }

  #notReady(why: string, cause?: unknown): ProblemError {
    return new ProblemError('not_ready', `This node is still joining, ${why}.`, { outcome: 'not-applied', cause })
  }
}

function passed(headers: NodeJS.Dict<string | string[]>): Record<string, string | string[]> {
  const kept: Record<string, string | string[]> = {}
  for (const [name, value] of Object.entries(headers))
    if (value !== undefined && !NOT_PASSED.has(name)) kept[name] = value
  return kept
}

function methodOf({ method }: IncomingMessage): 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE' {
  return method === 'HEAD' || method === 'PUT' || method === 'POST' || method === 'DELETE' ? method : 'GET'
}

/** Nobody listened, so nobody heard. */
function isNeverSent(error: unknown): boolean {
  const code = errorCodeOf(error)
  return (
    code === 'ECONNREFUSED' || code === 'UND_ERR_CONNECT_TIMEOUT' || code === 'ENOTFOUND' || code === 'EHOSTUNREACH'
  )
}
