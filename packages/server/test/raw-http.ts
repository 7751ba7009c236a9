import { connect } from 'node:net'
import { once } from 'node:events'

export interface RawAnswer {
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
  /** Everything that came. */
  readonly text: string
}

/** Nothing here should take longer, on whatever machine. */
const DEADLINE_MS = 10_000

/** Sends bytes as they are and waits until the server ends the connection: what no HTTP client would send. */
export async function rawExchange(port: number, pieces: readonly (string | Uint8Array)[]): Promise<RawAnswer> {
  const socket = connect(port, '127.0.0.1')
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => chunks.push(chunk))
  // A reset after the answer is as good as an end.
  socket.on('error', () => {})
  await once(socket, 'connect')
  for (const piece of pieces) socket.write(piece)
  const deadline = AbortSignal.timeout(DEADLINE_MS)
  try {
    await once(socket, 'close', { signal: deadline })
  } finally {
    socket.destroy()
  }
  return parseAnswer(Buffer.concat(chunks).toString('latin1'))
}

function parseAnswer(text: string): RawAnswer {
  const end = text.indexOf('\r\n\r\n')
  const [first = '', ...lines] = text.slice(0, Math.max(0, end)).split('\r\n')
  const headers = new Map(
    lines.map((line) => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const
    }),
  )
  return { status: Number(first.split(' ')[1]), headers, body: text.slice(end + 4), text }
}
