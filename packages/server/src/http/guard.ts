import type { IncomingMessage, ServerResponse } from 'node:http'
import { isIP } from 'node:net'
import { HEADERS, OTHER_HEADERS } from '@grapevine/contract'
import { ProblemError } from './problem.ts'

/** What a page may read, beyond the few headers that browsers always show. */
const EXPOSED = ['ETag', 'Last-Modified', 'Location', 'Retry-After', 'traceparent', ...grapevineHeaders()].join(', ')
/** How long a browser may remember what is allowed, in seconds. */
const REMEMBER_SECONDS = '600'

/**
 * What holds for every request, whatever its route. Throws what must not go further.
 *
 * A page may call a node only from its own origin or an allowed one: otherwise any page that a developer happens to
 * open could write to the node on their machine. Leaving out CORS headers is not enough, since a plain POST is sent
 * before anybody asks. Nor is it enough that the page comes from where the request goes: whoever owns a name may let it point to
 * the developer's machine once the page is loaded (DNS rebinding). So a name has to be one that this node was given.
 */
export class Guard {
  readonly #origins: ReadonlySet<string>
  readonly #hosts: ReadonlySet<string>

  /**
   * @param origins that may call, `*` for all; `http://localhost:*` stands for any port.
   * @param hosts by which this node is called, beside addresses.
   */
  constructor(origins: readonly string[], hosts: readonly string[]) {
    this.#origins = new Set(origins)
    this.#hosts = new Set(['localhost', ...hosts.map((host) => host.toLowerCase())])
  }

  /** @throws {ProblemError} `bad_request` or `forbidden`. */
  check(request: IncomingMessage, response: ServerResponse): void {
    const { host, origin } = request.headers
    if (host === undefined ? request.httpVersion === '1.1' : hasTwoHosts(request.rawHeaders))
      throw new ProblemError('bad_request', 'An HTTP/1.1 request needs exactly one Host header.', {
        headers: { connection: 'close' },
      })
    if (origin !== undefined && !this.#isOwn(origin, host)) this.#permit(origin, response)
  }

  /** Answers a browser that asks before it sends (a preflight). */
  preflight(request: IncomingMessage, response: ServerResponse, allow: string): void {
    const asked = request.headers['access-control-request-headers']
    response.writeHead(204, {
      allow,
      'access-control-allow-methods': allow,
      'access-control-max-age': REMEMBER_SECONDS,
      ...(asked === undefined ? {} : { 'access-control-allow-headers': asked }),
    })
    response.end()
  }

  /** A browser sends the page's origin with every request that writes, also to the page's own server. */
  #isOwn(origin: string, host: string | undefined): boolean {
    if (host === undefined || (origin !== `http://${host}` && origin !== `https://${host}`)) return false
    const name = host.replace(/:\d+$/, '').toLowerCase()
    return isIP(name.replace(/^\[|\]$/g, '')) !== 0 || this.#hosts.has(name)
  }

  #allows(origin: string): boolean {
    const anyPort = origin.replace(/:\d+$/, ':*')
    return this.#origins.has(origin) || this.#origins.has(anyPort) || this.#origins.has('*')
  }

  #permit(origin: string, response: ServerResponse): void {
    response.setHeader('vary', 'Origin')
    if (!this.#allows(origin))
      throw new ProblemError(
        'forbidden',
        `Pages of ${origin} may not call this node. Allow them with --cors ${origin}.`,
        {
          outcome: 'not-applied',
        },
      )
    response.setHeader('access-control-allow-origin', origin)
    response.setHeader('access-control-expose-headers', EXPOSED)
  }
}

/** Node keeps the first of two and says nothing; proxies may have looked at the second. */
function hasTwoHosts(rawHeaders: readonly string[]): boolean {
  let hosts = 0
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? ''
    if (name.length === 4 && name.toLowerCase() === 'host') hosts++
  }
  return hosts > 1
}

function grapevineHeaders(): readonly string[] {
  return Object.values({ ...HEADERS, ...OTHER_HEADERS }).filter((name) => name.startsWith('Grapevine-'))
}
