import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http'
import {
  HEADERS,
  parseSessionHeader,
  SESSION_HEADER_CHARS_MAX,
  type FailedOutcome,
  type ProblemCode,
} from '@grapevine/contract'
import { firstSessionText, MalformedSessionError, SessionToken, type Partition, type Sighting } from '@grapevine/core'
import type { Replica } from '@grapevine/replica'
import type { ServerContext } from '../context.ts'
import { ProblemError } from './problem.ts'

/** What a session has seen on its way to this request: the tokens of its header, joined. `undefined` when it sends none. */
export function sessionOf(request: IncomingMessage, context: ServerContext): SessionToken | undefined {
  const header = request.headers[SESSION]
  if (header === undefined) return undefined
  // Node joins what comes twice.
  const text = typeof header === 'string' ? header : header.join(',')
  const tokens = text.length <= SESSION_HEADER_CHARS_MAX ? parseSessionHeader(text) : undefined
  if (tokens === undefined)
    throw badSession(
      'bad_header',
      `it must be one or more tokens as they came, parted by commas, ${SESSION_HEADER_CHARS_MAX} characters in all. POST /v1/session makes one of many`,
    )
  const session = joinTokens(tokens, context, 'bad_header')
  refuseFromTheFuture(session, context)
  return session
}

/** @throws {ProblemError} for what is no token, and for one of another cluster. */
export function joinTokens(tokens: readonly string[], context: ServerContext, code: ProblemCode): SessionToken {
  const { cluster } = context.replica.seen
  const session = new SessionToken(cluster)
  for (const text of tokens) {
    const token = parse(text, context, code)
    if (token.cluster !== cluster)
      throw new ProblemError(
        'wrong_cluster',
        `The session token is of the cluster ${token.cluster}, and this node belongs to ${cluster || 'none yet'}. A ` +
          'session begins anew by sending no token.',
      )
    session.join(token)
  }
  return session
}

function parse(text: string, { sessions }: ServerContext, code: ProblemCode): SessionToken {
  try {
    return sessions.parse(text)
  } catch (error) {
    if (error instanceof MalformedSessionError) throw badSession(code, error.message, error)
    throw error
  }
}

/** A write would have to be later still, and no other node would take it in before its time (frontier.md R3). */
function refuseFromTheFuture({ hlc }: SessionToken, { clock, loaded }: ServerContext): void {
  const aheadMs = hlc.wallMs - clock.wallMs()
  if (aheadMs <= loaded.config.driftMax) return
  throw new ProblemError(
    'behind',
    `The session has seen something from ${Math.ceil(aheadMs / 1_000)} s ahead of this node's clock, which is more than clocks may ` +
      'differ. Another node may answer; when none does, a clock was wrong, or the token was made up.',
  )
}

/** Whether the read may be answered at once. */
export function hasSeen(session: SessionToken | undefined, partition: Partition, { seen }: Replica): boolean {
  return session === undefined || session.standing(seen, partition) === 'seen'
}

/**
 * Waits until this node has seen what the session has. Returns whether something is missing for good, which the answer has to
 * say.
 * @param partition of the one key in question; `undefined` for all.
 * @throws {ProblemError} `behind`.
 */
export async function awaitSession(
  session: SessionToken,
  partition: Partition | undefined,
  { replica, timeoutMs, outcome }: { replica: Replica; timeoutMs: number; outcome?: FailedOutcome },
): Promise<boolean> {
  const standing = await replica.untilSeen(session, partition, timeoutMs)
  if (standing === 'lacking')
    throw new ProblemError(
      'behind',
      'This node has not yet seen all that the session has, and no node that it reaches could give it. Another node may ' +
        'have it.',
      outcome === undefined ? {} : { outcome },
    )
  return standing === 'gap'
}

/** The headers by which an answer tells its session what it has seen now. */
export function sessionHeaders(
  session: SessionToken | undefined,
  sightings: readonly Sighting[],
  { replica, sessions }: ServerContext,
  hasGap = false,
): OutgoingHttpHeaders {
  const { seen } = replica
  const [first] = sightings
  if (session === undefined && first !== undefined && sightings.length === 1)
    return { [HEADERS.session]: firstSessionText(seen.cluster, first) }
  const after = session ?? new SessionToken(seen.cluster)
  for (const sighting of sightings) after.see(sighting)
  return withGap({ [HEADERS.session]: sessions.textOf(after, seen) }, hasGap)
}

/** For an answer that is told before it is known what will be in it: it may be anything that this replica has seen. */
export function sessionHeadersOfAll(
  session: SessionToken | undefined,
  { replica, sessions }: ServerContext,
  hasGap: boolean,
): OutgoingHttpHeaders {
  const { seen } = replica
  const after = session ?? new SessionToken(seen.cluster)
  after.seeAll(seen)
  return withGap({ [HEADERS.session]: sessions.textOf(after, seen) }, hasGap)
}

function withGap(headers: OutgoingHttpHeaders, hasGap: boolean): OutgoingHttpHeaders {
  return hasGap ? { ...headers, [HEADERS.sessionGap]: '1' } : headers
}

function badSession(code: ProblemCode, why: string, cause?: unknown): ProblemError {
  return new ProblemError(code, `${HEADERS.session} cannot be understood: ${why}.`, { cause })
}

const SESSION = HEADERS.session.toLowerCase()
