import { Readable } from 'node:stream'
import { Agent } from 'undici'
import { ANSWER_BYTES_MAX, bounded, joined, type Answer, type AnswerHeaders, type Contact } from './contact.ts'

/** Twice as many as batches of one kind are under way at once, so that reads and reports need not wait for them. */
const CONNECTIONS = 16
/** As the nodes keep theirs: longer than any pause in a program that does something. */
const KEEP_ALIVE_MS = 600_000
const CONNECT_MS = 5_000

/** Contact over connections of our own, one pool to each node. */
export class UndiciContact {
  readonly #agent: Agent

  constructor(connections: number = CONNECTIONS) {
    this.#agent = new Agent({
      connections,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MS,
      connect: { timeout: CONNECT_MS },
      // Each call has a time limit of its own, and a watch has none.
      headersTimeout: 0,
      bodyTimeout: 0,
    })
  }

  readonly contact: Contact = (url, request, options) =>
    bounded(options, async (signal) => {
      const { origin, pathname } = new URL(url)
      const { statusCode, headers, body } = await this.#agent.request({
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
    await this.#agent.destroy()
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
