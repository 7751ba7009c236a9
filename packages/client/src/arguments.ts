import { formatDuration, isContentType, isIdempotencyKey, parseDuration, TTL_NONE } from '@grapevine/contract'
import { GrapevineError } from './grapevine-error.ts'

// Of many operations in one request a wrong one is not to spoil the others: what cannot be right is never sent.

/** A duration as the contract writes it. @throws {GrapevineError} `bad_argument`. */
export function checkTtl(ttl: string | number): string {
  const text = typeof ttl === 'number' ? formatDuration(ttl) : ttl
  // Zero would be gone before it is there, and is more likely a mistake.
  if (text === TTL_NONE || ((parseDuration(text) ?? 0) > 0 && (typeof ttl === 'string' || ttl > 0))) return text
  throw badArgument(`${JSON.stringify(ttl)} is no duration: write it as 30s, 15m, 12h or 7d, or none.`)
}

export function checkId(id: string): string {
  if (isIdempotencyKey(id)) return id
  throw badArgument('An idempotency key is 1 to 255 visible ASCII characters.')
}

export function checkContentType(contentType: string): string {
  if (isContentType(contentType)) return contentType
  throw badArgument(`${JSON.stringify(contentType)} is no content type.`)
}

function badArgument(message: string): GrapevineError {
  return new GrapevineError({ code: 'bad_argument', message, outcome: 'not-applied' })
}
