/** One request, before it is known which node it goes to. */
export interface OutgoingRequest {
  readonly method: string
  /** With its query, beginning with a slash. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Uint8Array<ArrayBuffer> | undefined
  /** Whether it changes nothing, so that it may be asked twice. */
  readonly safe: boolean
  /** Whether the node asks all others before it answers, and so waits for those that are silent. */
  readonly asksOthers?: boolean
  /** Leaves the body to the caller, who reads it for as long as it takes. */
  readonly stream?: boolean
}

export interface Answer {
  readonly kind: 'answer'
  readonly status: number
  readonly headers: Headers
  /** Empty when the request asked for a stream, unless the status is an error. */
  readonly body: Uint8Array<ArrayBuffer>
  readonly stream: ReadableStream<Uint8Array> | undefined
}

/** `refused`: nothing was sent. `broken` and `timeout`: the node may have heard all of it. */
export interface NoAnswer {
  readonly kind: 'refused' | 'broken' | 'timeout' | 'aborted'
  readonly cause: unknown
}

export interface ContactOptions {
  readonly fetch: typeof fetch
  readonly timeoutMs: number
  /** Fires when the caller gives up or the client is closed. */
  readonly signal: AbortSignal
}

/** Asks one node once. What goes wrong on the way is a value, since it is expected. */
export async function contact(
  url: string,
  request: OutgoingRequest,
  { fetch, timeoutMs, signal }: ContactOptions,
): Promise<Answer | NoAnswer> {
  const { method, path, headers, body, stream } = request
  const controller = new AbortController()
  const giveUp = (): void => controller.abort(signal.reason)
  if (signal.aborted) return { kind: 'aborted', cause: signal.reason }
  signal.addEventListener('abort', giveUp, { once: true })
  let timedOut = false
  const timer = setTimeout(() => {
    timedOut = true
    controller.abort()
  }, timeoutMs)
  let streaming = false
  try {
    const response = await fetch(url + path, {
      method,
      headers,
      ...(body !== undefined && { body }),
      signal: controller.signal,
      redirect: 'manual',
      cache: 'no-store',
      credentials: 'omit',
    })
    const { status } = response
    streaming = stream === true && status < 400
    return {
      kind: 'answer',
      status,
      headers: response.headers,
      body: streaming ? new Uint8Array() : new Uint8Array(await response.arrayBuffer()),
      stream: streaming ? (response.body ?? undefined) : undefined,
    }
  } catch (cause) {
    if (signal.aborted) return { kind: 'aborted', cause: signal.reason }
    return { kind: timedOut ? 'timeout' : wasRefused(cause) ? 'refused' : 'broken', cause }
  } finally {
    clearTimeout(timer)
    // A stream that goes on must still end when the caller gives up.
    if (!streaming) signal.removeEventListener('abort', giveUp)
  }
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
