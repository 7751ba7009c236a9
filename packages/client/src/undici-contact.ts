import { Readable } from 'node:stream'
import { Agent, type Dispatcher } from 'undici'
import { ANSWER_BYTES_MAX, bounded, joined, type Answer, type AnswerHeaders, type Contact } from './contact.ts'

/** Twice as many as batches of one kind are under way at once, so that reads and reports need not wait for them. */
const CONNECTIONS = 16
/** As the nodes keep theirs: longer than any pause in a program that does something. */
const KEEP_ALIVE_MS = 600_000
const CONNECT_MS = 5_000

/** The time is over, or the caller has given up, while a request was waiting for a connection: no node has heard of it. */
class NeverSentError extends Error {
  override readonly name = 'NeverSentError'
  readonly syscall = 'connect'
}

/** Contact over connections of our own, one pool to each node. */
export class UndiciContact {
  readonly #agent: Agent
  /** Watches have theirs: they stay open, and however many there are, requests must not wait for them to end. */
  readonly #streams: Agent

  constructor(connections: number = CONNECTIONS) {
    const options = {
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MS,
      connect: { timeout: CONNECT_MS },
      // Each call has a time limit of its own, and a watch has none.
      headersTimeout: 0,
      bodyTimeout: 0,
    }
    this.#agent = new Agent({ ...options, connections })
    this.#streams = new Agent(options)
  }

  readonly contact: Contact = (url, request, options) =>
    bounded(options, async (signal) => {
      const { origin, pathname } = new URL(url)
      const { statusCode, headers, body } = await requestBy(request.stream === true ? this.#streams : this.#agent, {
        origin,
        path: pathname === '/' ? request.path : pathname + request.path,
        method: request.method,
        headers: request.headers as Record<string, string>,
        body:
          typeof request.body === 'function'
            ? Readable.from(request.body(), { objectMode: false })
            : (request.body ?? null),
        signal,
      })
      const streaming = request.stream === true && statusCode < 400
      return {
        kind: 'answer',
        status: statusCode,
        headers: new PlainHeaders(headers),
        body: streaming ? new Uint8Array() : await readBody(body),
        stream: streaming ? (Readable.toWeb(body) as ReadableStream<Uint8Array>) : undefined,
      } satisfies Answer
    })

  async close(): Promise<void> {
    await Promise.all([this.#agent.destroy(), this.#streams.destroy()])
  }
}

/**
 * undici hears of a signal only once it has a connection for a request, which may be never: so the signal is listened to here.
 * What it fires for until then is not sent any more.
 */
async function requestBy(
  agent: Agent,
  options: Dispatcher.RequestOptions & { readonly signal: AbortSignal },
): Promise<Dispatcher.ResponseData> {
  const { signal } = options
  let isSent = false
  const noting = agent.compose(
    (dispatch) => (dispatched, handler) =>
      dispatch(dispatched, {
        ...forwarding(handler),
        onRequestStart(controller, context) {
          isSent = !signal.aborted
          handler.onRequestStart?.(controller, context)
        },
      }),
  )
  const answer = noting.request(options)
  const neverSent = new Promise<never>((_, reject) => {
    const giveUp = (): void => {
      if (!isSent) reject(new NeverSentError('It was still waiting for a connection.'))
    }
    signal.addEventListener('abort', giveUp, { once: true })
  })
  return Promise.race([answer, neverSent])
}

function forwarding(handler: Dispatcher.DispatchHandler): Dispatcher.DispatchHandler {
  return {
    onRequestUpgrade: (...args) => handler.onRequestUpgrade?.(...args),
    onResponseStart: (...args) => handler.onResponseStart?.(...args),
    onResponseData: (...args) => handler.onResponseData?.(...args),
    onResponseEnd: (...args) => handler.onResponseEnd?.(...args),
    onResponseError: (...args) => handler.onResponseError?.(...args),
  }
}

class PlainHeaders implements AnswerHeaders {
  readonly #fields: Readonly<Record<string, string | string[] | undefined>>

  constructor(fields: Readonly<Record<string, string | string[] | undefined>>) {
    this.#fields = fields
  }

  get(name: string): string | null {
    const value = this.#fields[name.toLowerCase()]
    return typeof value === 'string' ? value : (value?.join(', ') ?? null)
  }
}

async function readBody(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`The answer is larger than ${ANSWER_BYTES_MAX} bytes.`)
    chunks.push(chunk)
  }
  const [only = new Uint8Array()] = chunks
  return chunks.length <= 1 ? only : joined(chunks, bytes)
}
