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

export interface Condition {
  readonly ifMatch?: string | undefined
  readonly ifAbsent?: boolean | undefined
  /** Idempotency key, instead of one of the client's making. */
  readonly id?: string | undefined
}

/** The condition and the name of a write, as they are sent. @throws {GrapevineError} `bad_argument`. */
export function checkCondition(
  { id: given, ifMatch, ifAbsent }: Condition,
  nextId?: () => string | undefined,
): { readonly id?: string; readonly ifMatch?: string; readonly ifAbsent?: true } {
  const id = given ?? nextId?.()
  // Neither could be sent as a header otherwise.
  for (const text of [id, ifMatch])
    if (text !== undefined && !isIdempotencyKey(text))
      throw badArgument('id and ifMatch are 1 to 255 visible ASCII characters.')
  return {
    ...(id !== undefined && { id }),
    ...(ifMatch !== undefined && { ifMatch }),
    ...(ifAbsent === true && { ifAbsent }),
  }
}

export function checkContentType(contentType: string): string {
  if (isContentType(contentType)) return contentType
  throw badArgument(`${JSON.stringify(contentType)} is no content type.`)
}

function badArgument(message: string): GrapevineError {
  return new GrapevineError({ code: 'bad_argument', message, outcome: 'not-applied' })
}
