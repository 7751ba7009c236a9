import type { IncomingMessage } from 'node:http'
import { HEADERS, isIdempotencyKey } from '@grapevine/contract'
import { ProblemError } from './problem.ts'

const HEADER = HEADERS.idempotencyKey.toLowerCase()

/** The name that a client gives its write, without the quotes that the draft of the header puts around it. */
export function idempotencyKeyOf(request: IncomingMessage): string | undefined {
  const header = request.headers[HEADER]
  return header === undefined ? undefined : checkIdempotencyKey(unquoted(String(header)), 'bad_header')
}

export function checkIdempotencyKey(key: string, code: 'bad_header' | 'bad_body'): string {
  if (isIdempotencyKey(key)) return key
  throw new ProblemError(code, 'An idempotency key is 1 to 255 visible ASCII characters.', { outcome: 'not-applied' })
}

function unquoted(text: string): string {
  return text.length > 2 && text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1) : text
}
