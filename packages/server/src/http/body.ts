import type { IncomingMessage, ServerResponse } from 'node:http'
import { answerOf, ProblemError, traceIdOf } from './problem.ts'

const EMPTY = Buffer.alloc(0)

/** After a refusal we read on for a while, so that the client comes to read the answer, but no longer than this. */
const LINGER_MS = 1_000
const LINGER_BYTES_MAX = 64 * 1024 * 1024

/**
 * Reads the body of a request and hands it over once it is complete. One that breaks off is never handed over: its
 * connection is gone. One that is too large is answered here. By hand and with callbacks, since every write comes
 * through here.
 * @param done is called at most once, with a view of what the socket read: it may be kept.
 * @param refused is called at most once, when 413 was answered.
 */
export function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  bytesMax: number,
  done: (body: Uint8Array) => void,
  refused: () => void,
): void {
  const { 'content-length': length, 'transfer-encoding': coding } = request.headers
  if (length === undefined && coding === undefined) {
    // Without either there is no body (RFC 9112 §6.3).
    done(EMPTY)
    return
  }
  if (Number(length) > bytesMax) {
    refuse(request, response, bytesMax)
    refused()
    return
  }
  let first: Buffer | undefined
  let chunks: Buffer[] | undefined
  let received = 0
  let over = false
  request.on('data', (chunk: Buffer) => {
    received += chunk.length
    if (over) return
    if (received > bytesMax) {
      over = true
      first = chunks = undefined
      refuse(request, response, bytesMax)
      refused()
    } else if (first === undefined) first = chunk
    else if (chunks === undefined) chunks = [first, chunk]
    else chunks.push(chunk)
  })
  request.on('end', () => {
    if (!over) done(chunks === undefined ? (first ?? EMPTY) : Buffer.concat(chunks, received))
  })
}

/** The same as a promise, for requests that are rarer. `undefined` when 413 was answered. */
export function bodyOf(
  request: IncomingMessage,
  response: ServerResponse,
  bytesMax: number,
): Promise<Uint8Array | undefined> {
  return new Promise((resolve) => readBody(request, response, bytesMax, resolve, () => resolve(undefined)))
}

/**
 * Answers 413. A server that closes while the other side still sends resets the connection, and the answer is lost
 * with it; so the answer is complete at once, but the response ends only when the client has, or took too long.
 */
function refuse(request: IncomingMessage, response: ServerResponse, bytesMax: number): void {
  const problem = new ProblemError('too_large', `The body may have at most ${bytesMax} bytes.`, {
    outcome: 'not-applied',
    headers: { connection: 'close' },
  })
  const { status, headers, body } = answerOf(problem, traceIdOf(request))
  response.writeHead(status, headers)
  response.write(body)

  const timer = setTimeout(finish, LINGER_MS)
  function finish(): void {
    clearTimeout(timer)
    response.end()
  }
  let lingered = 0
  request.on('data', (chunk: Buffer) => {
    lingered += chunk.length
    if (lingered > LINGER_BYTES_MAX) finish()
  })
  request.on('end', finish)
  request.on('close', finish)
}
