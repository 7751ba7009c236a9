import type { IncomingMessage, ServerResponse } from 'node:http'
import { answerOf, traceIdOf, type Trouble } from './problem.ts'

const EMPTY = Buffer.alloc(0)

/** After a refusal we read on for a while, so that the client comes to read the answer, but no longer than this. */
const LINGER_MS = 1_000
const LINGER_BYTES_MAX = 64 * 1024 * 1024

/**
 * Bytes of bodies that are still arriving, of all connections together. Ten thousand clients that each begin a large
 * value and go on slowly would otherwise hold as many megabytes. Bodies that arrive in one piece are not counted.
 */
const RECEIVING_BYTES_MAX = 128 * 1024 * 1024
let receiving = 0

/**
 * Reads the body of a request and hands it over once it is complete. One that breaks off is never handed over: its
 * connection is gone. One that is too large is answered here. By hand and with callbacks, since every write comes
 * through here.
 * @param done is called at most once, with a view of what the socket read: it may be kept.
 * @param refused is called at most once, when the refusal was answered.
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
    refuse(request, response, tooLarge(bytesMax))
    refused()
    return
  }
  let first: Buffer | undefined
  let chunks: Buffer[] | undefined
  let received = 0
  let counted = 0
  let over = false
  request.on('data', (chunk: Buffer) => {
    if (over) return
    received += chunk.length
    if (received > bytesMax || (first !== undefined && receiving + chunk.length > RECEIVING_BYTES_MAX)) {
      over = true
      first = chunks = undefined
      refuse(request, response, received > bytesMax ? tooLarge(bytesMax) : tooMuchAtOnce())
      refused()
    } else if (first === undefined) first = chunk
    else {
      if (chunks === undefined) {
        chunks = [first]
        // Comes in any case: after the end, or when the connection breaks.
        request.on('close', () => (receiving -= counted))
      }
      counted += chunk.length
      receiving += chunk.length
      chunks.push(chunk)
    }
  })
  request.on('end', () => {
    if (!over) done(chunks === undefined ? (first ?? EMPTY) : Buffer.concat(chunks, received))
  })
}

/** The same as a promise, for requests that are rarer. `undefined` when a refusal was answered. */
export function bodyOf(
  request: IncomingMessage,
  response: ServerResponse,
  bytesMax: number,
): Promise<Uint8Array | undefined> {
  return new Promise((resolve) => readBody(request, response, bytesMax, resolve, () => resolve(undefined)))
}

function tooLarge(bytesMax: number): Trouble {
  const message = `The body may have at most ${bytesMax} bytes.`
  return { code: 'too_large', message, options: { outcome: 'not-applied', headers: CLOSE } }
}

function tooMuchAtOnce(): Trouble {
  const message = 'Too many large bodies arrive at once.'
  return { code: 'overloaded', message, options: { outcome: 'not-applied', headers: CLOSE } }
}

const CLOSE = { connection: 'close' }

/**
 * Answers before the body has been read. A server that closes while the other side still sends resets the
 * connection, and the answer is lost with it; so the answer is complete at once, but the response ends only when
 * the client has, or took too long.
 */
export function refuse(request: IncomingMessage, response: ServerResponse, trouble: Trouble): void {
  const { status, headers, body } = answerOf(trouble, traceIdOf(request))
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
