import {
  formatDuration,
  isContentType,
  MEDIA_TYPES,
  parseDuration,
  parseWriteConcern,
  TTL_NONE,
  type Consistency,
  type ProblemCode,
  type WriteConcern,
} from '@grapevine/contract'
import { CONTENT_TYPE_BYTES_MAX, expiryByPolicy, WALL_MS_MAX, type BucketPolicy } from '@grapevine/core'
import type { Replica } from '@grapevine/replica'
import { ProblemError } from '../http/problem.ts'

/** Longer than anybody should hold a connection for one answer. */
export const TIMEOUT_MS_MAX = 60_000

// What requests say in their query and batches in their fields: `code` tells which of them was wrong.

export function timeoutOf(text: string | undefined, otherwiseMs: number, code: ProblemCode = 'bad_query'): number {
  if (text === undefined) return otherwiseMs
  const ms = parseDuration(text)
  if (ms !== undefined && ms >= 1 && ms <= TIMEOUT_MS_MAX) return ms
  throw new ProblemError(
    code,
    `timeout must be a duration from 1ms to ${formatDuration(TIMEOUT_MS_MAX)}, as 500ms or 2s.`,
  )
}

/**
 * When a value written now expires: milliseconds since 1970, or 0 for never. A write that names no time gets that of its
 * bucket's policy; `none` is the way to have none all the same.
 */
export function expiryOf(
  ttl: string | undefined,
  policy: BucketPolicy,
  wallMs: number,
  code: ProblemCode = 'bad_query',
): number {
  if (ttl === undefined) return expiryByPolicy(policy, wallMs)
  if (ttl === TTL_NONE) return 0
  return Math.floor(wallMs) + ttlMsOf(ttl, wallMs, code, `, or ${TTL_NONE}`)
}

/** The same as the request says it, for telling requests apart: 0 for `none`, `undefined` when it leaves it to the policy. */
export function ttlAsSaid(ttl: string | undefined): number | undefined {
  return ttl === undefined ? undefined : ttl === TTL_NONE ? 0 : parseDuration(ttl)
}

/** A time to live that ends within the range of dates. */
export function ttlMsOf(ttl: string, wallMs: number, code: ProblemCode, orElse = ''): number {
  const ms = parseDuration(ttl)
  if (ms !== undefined && ms >= 1 && wallMs + ms <= WALL_MS_MAX) return ms
  throw new ProblemError(
    code,
    `ttl must be a duration of at least 1ms, as 30s, 15m, 12h or 7d${orElse}; ${JSON.stringify(ttl.slice(0, 50))} is none.`,
    { outcome: 'not-applied' },
  )
}

/** @throws {ProblemError} also for more members than there are: no wait would ever help. */
export function writeConcernOf(
  text: string | undefined,
  replica: Replica,
  code: ProblemCode = 'bad_query',
): WriteConcern {
  if (text === undefined || text === '1') return 1
  const concern = parseWriteConcern(text)
  if (concern === undefined) throw new ProblemError(code, 'w must be a number of members, quorum or all.')
  if (typeof concern === 'number') {
    const members = memberCount(replica)
    if (concern > members)
      throw new ProblemError(code, `w=${concern} asks for more members than the cluster has: ${members}.`)
  }
  return concern
}

/** Dead or alive, but not fenced for good. */
export function memberCount(replica: Replica): number {
  return replica.members().filter(({ state }) => state !== 'evicted').length
}

/** `undefined` when the request does not say: then its session decides. */
export function consistencyOf(text: string | undefined): Consistency | undefined {
  if (text === undefined || text === 'local' || text === 'session' || text === 'quorum' || text === 'all') return text
  throw new ProblemError('bad_query', 'consistency must be local, session, quorum or all.')
}

let lastContentType = ''

export function contentTypeOf(text: string | undefined): string {
  if (text === undefined || text === '') return MEDIA_TYPES.bytes
  if (text === lastContentType) return text
  if (!isContentType(text))
    throw new ProblemError(
      'bad_header',
      `A Content-Type is at most ${CONTENT_TYPE_BYTES_MAX} visible ASCII characters.`,
      {
        outcome: 'not-applied',
      },
    )
  lastContentType = text
  return text
}
