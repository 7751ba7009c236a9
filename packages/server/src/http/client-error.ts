import { STATUS_CODES, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { ProblemCode } from '@grapevine/contract'
import { mayTakeLong } from './long-request.ts'
import { answerOf, newTraceId, ProblemError } from './problem.ts'

interface ParserError extends Error {
  readonly code?: string
  /** What the parser was given last: a Buffer, whatever the types of others say. */
  readonly rawPacket?: unknown
}

/**
 * What never became a request: the parser gave up, or the time to send it was up. There is no response object, so
 * the answer is written by hand, and the connection ends with it: where the next request would begin, nobody knows.
 */
export function answerClientError(error: ParserError, socket: Socket): void {
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && mayTakeLong(socket)) return
  if (error.code === 'ECONNRESET' || !socket.writable || isAnswering(socket)) {
    socket.destroy()
    return
  }
  const [code, detail] = kindOf(error)
  const { status, headers, body } = answerOf(
    new ProblemError(code, detail, { outcome: 'not-applied', headers: { connection: 'close' } }),
    newTraceId(),
  )
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${String(value)}\r\n`)
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${head.join('')}\r\n${body.toString()}`)
  // The other side may go on sending what we shall never read.
  socket.once('finish', () => socket.destroySoon())
}

/**
 * Whether an earlier request on this connection is complete and being answered, or an answer has begun. What we
 * wrote here would then be taken for its answer, and that request may well have been applied.
 */
function isAnswering(socket: Socket): boolean {
  const pending = (socket as Socket & { readonly _httpMessage?: ServerResponse | null })._httpMessage
  return pending !== null && pending !== undefined && (pending.headersSent || pending.req.complete)
}

function kindOf(error: ParserError): readonly [ProblemCode, string] {
  switch (error.code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return ['request_timeout', 'The request did not arrive in time.']
    case 'HPE_HEADER_OVERFLOW':
      return isWithinUrl(error.rawPacket)
        ? ['uri_too_long', 'The URL is longer than 16 KiB.']
        : ['headers_too_large', 'Request line and headers together are longer than 16 KiB.']
    case undefined:
    default:
      return ['bad_request', `The request is not valid HTTP/1.1: ${error.message.replace(/^Parse Error: ?/, '')}.`]
  }
}

/** With a line of this length a URL is what took the room, and no header. */
const LONG_LINE = 15 * 1024

/** The limit was reached in the very first line. */
function isWithinUrl(packet: unknown): boolean {
  if (!Buffer.isBuffer(packet) || !/^[A-Z]{3,7} /.test(packet.toString('latin1', 0, 8))) return false
  const end = packet.indexOf('\n')
  return end < 0 || end > LONG_LINE
}
