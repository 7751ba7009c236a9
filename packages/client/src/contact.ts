/** Bytes, or what opens a stream of them, anew for each attempt. */
export type RequestBody = Uint8Array | BodyOpener

export interface BodyOpener {
  (): ReadableStream<Uint8Array>
  /** Itself: there is nothing to copy before it is opened. */
  slice(): BodyOpener
}

/** One request, before it is known which node it goes to. */
export interface OutgoingRequest {
  readonly method: string
  /** With its query, beginning with a slash. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: RequestBody | undefined
  /** Whether it changes nothing, so that it may be asked twice. */
  readonly safe: boolean
  /** Whether all that it changes has a name by which a node knows a repetition. */
  readonly idempotent?: boolean
  /** Whether the node asks all others before it answers, and so waits for those that are silent. */
  readonly asksOthers?: boolean
  /** How long the node is asked to wait before it answers. */
  readonly waitMs?: number | undefined
  /** Leaves the body to the caller, who reads it for as long as it takes. */
  readonly stream?: boolean
}

/** As much of `Headers` as is needed. */
export interface AnswerHeaders {
  get(name: string): string | null
}

export interface Answer {
  readonly kind: 'answer'
  readonly status: number
  readonly headers: AnswerHeaders
  /** Empty when the request asked for a stream, unless the status is an error. */
  readonly body: Uint8Array
  readonly stream: ReadableStream<Uint8Array> | undefined
  /** Whether an attempt before the one that was answered may have done what was asked. */
  readonly inDoubt?: boolean
}

/** `refused`: nothing was sent. `broken` and `timeout`: the node may have heard all of it. */
export interface NoAnswer {
  readonly kind: 'refused' | 'broken' | 'timeout' | 'aborted'
  readonly cause: unknown
}

export interface ContactOptions {
  readonly timeoutMs: number
  /** Fires when the caller gives up or the client is closed. */
  readonly signal: AbortSignal
}

/** Asks one node once. What goes wrong on the way is a value, since it is expected. */
export type Contact = (url: string, request: OutgoingRequest, options: ContactOptions) => Promise<Answer | NoAnswer>

/**
 * The most bytes of one answer that are held: a batch may carry 16 MiB of values, as base64 and with what surrounds
 * them. Whatever sends more is not Grapevine, or not in its right mind.
 */
export const ANSWER_BYTES_MAX: number = 64 * 1024 * 1024

/** A timer that is to wait longer fires at once. */
export const TIMER_MS_MAX: number = 2 ** 31 - 1

/**
 * Runs an exchange under a time limit and the caller's signal. `exchange` gets a signal that fires for either; when
 * it throws, this tells what that meant. The signal of a stream lives on until `release` is called or the caller gives up.
 */
export async function bounded(
  { timeoutMs, signal }: ContactOptions,
  exchange: (signal: AbortSignal) => Promise<Answer>,
): Promise<Answer | NoAnswer> {
  if (signal.aborted) return { kind: 'aborted', cause: signal.reason }
  const controller = new AbortController()
  const giveUp = (): void => controller.abort(signal.reason)
  signal.addEventListener('abort', giveUp, { once: true })
  let timedOut = false
  const timer = setTimeout(
    () => {
      timedOut = true
      controller.abort()
    },
    Math.min(timeoutMs, TIMER_MS_MAX),
  )
  let streaming = false
  try {
    const answer = await exchange(controller.signal)
    streaming = answer.stream !== undefined
    return answer
  } catch (cause) {
    if (signal.aborted) return { kind: 'aborted', cause: signal.reason }
    return { kind: wasRefused(cause) ? 'refused' : timedOut ? 'timeout' : 'broken', cause }
  } finally {
    clearTimeout(timer)
    // A stream that goes on must still end when the caller gives up.
    if (!streaming) signal.removeEventListener('abort', giveUp)
  }
}

/** Contact by the platform's `fetch`, or one that behaves the same. */
export function fetchContact(fetch: typeof globalThis.fetch): Contact {
  return (url, request, options) =>
    bounded(options, async (signal) => {
      const { method, path, headers, body, stream } = request
      const response = await fetch(url + path, {
        method,
        headers,
        // What is backed by shared memory is refused by fetch itself, and only a codec of the user's could give it. Streams
        // are opened by the `fetch` of the only entry that has any (admin.ts).
        body: body as BodyInit,
        signal,
        redirect: 'manual',
        cache: 'no-store',
        credentials: 'omit',
      })
      const { status } = response
      const streaming = stream && status < 400
      return {
        kind: 'answer',
        status,
        headers: response.headers,
        body: streaming ? new Uint8Array() : await readBody(response),
        stream: streaming ? (response.body ?? undefined) : undefined,
      }
    })
}

async function readBody(response: Response): Promise<Uint8Array> {
  if (response.body === null) return new Uint8Array()
  const length = Number(response.headers.get('content-length') ?? Number.NaN)
  // What announces its length cannot send more.
  if (length <= ANSWER_BYTES_MAX) return new Uint8Array(await response.arrayBuffer())
  const chunks: Uint8Array[] = []
  let bytes = 0
  // By hand: not every browser iterates over a stream.
  const reader = response.body.getReader()
  for (let part = await reader.read(); part.value !== undefined; part = await reader.read()) {
    const chunk = part.value
    bytes += chunk.length
    if (bytes > ANSWER_BYTES_MAX) {
      void reader.cancel()
      throw new Error(`The answer is larger than ${ANSWER_BYTES_MAX} bytes.`)
    }
    chunks.push(chunk)
  }
  return joined(chunks, bytes)
}

export function joined(chunks: readonly Uint8Array[], bytes: number): Uint8Array {
  const all = new Uint8Array(bytes)
  let at = 0
  for (const chunk of chunks) {
    all.set(chunk, at)
    at += chunk.length
  }
  return all
}

/**
 * Whether the connection was never made. Node says so in the cause of what `fetch` throws, Bun in its code; a
 * browser does not tell, and then nothing is certain.
 */
export function wasRefused(error: unknown, depth = 0): boolean {
  if (!(error instanceof Error) || depth > 4) return false
  if (error instanceof AggregateError && error.errors.length > 0)
    return error.errors.every((each) => wasRefused(each, depth + 1))
  const code = 'code' in error ? error.code : undefined
  const syscall = 'syscall' in error ? error.syscall : undefined
  if (syscall === 'connect' || syscall === 'getaddrinfo') return true
  if (code === 'ECONNREFUSED' || code === 'ConnectionRefused' || code === 'UND_ERR_CONNECT_TIMEOUT') return true
  // Ports that no page may speak to are refused by `fetch` itself.
  if (error.message === 'bad port') return true
  return wasRefused(error.cause, depth + 1)
}
