import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { latencyOf, type Latency } from './statistics.ts'

/** Splits what a socket reads into answers. */
export interface AnswerReader {
  /**
   * @param chunk may change once this returns.
   * @returns how many answers became complete.
   * @throws when an answer is not a success.
   */
  read(chunk: Buffer): number
}

export interface Load {
  readonly port: number
  readonly connections: number
  /** The next request, ready to be sent: encoding it is no part of what is measured. */
  readonly request: () => Buffer
  readonly reader: () => AnswerReader
  /** Above 1 where a request is a pipeline of several. */
  readonly answersPerRequest?: number
  readonly warmupSeconds?: number
  readonly seconds: number
  /** Ends early once so many requests are sent. */
  readonly requestsMax?: number
  /** Told when the warm-up is over. */
  readonly onMeasure?: () => void
}

export interface LoadResult {
  readonly requests: number
  readonly seconds: number
  readonly perSecond: number
  readonly latency: Latency
  /** Of one core, while measuring. Close to 1, the generator and not the server is what is slow. */
  readonly generatorCpu: number
}

/** Connections that do not answer at all for so long have lost their server. */
const SILENCE_MS_MAX = 15_000
const READ_BYTES = 64 * 1024
/** Beyond it latencies are no longer recorded: enough for half a minute at full speed. */
const LATENCIES_MAX = 4_000_000

/**
 * A closed loop over keep-alive connections: each has one request under way, and sends the next as soon as the answer is
 * here. The same generator for every server, HTTP or not, on bare sockets, so that it costs a fraction of what they do.
 */
export async function runLoad(load: Load): Promise<LoadResult> {
  const { warmupSeconds = 0, requestsMax = Infinity } = load
  const sockets: Socket[] = []
  const latencies = new Float64Array(Math.min(LATENCIES_MAX, Math.ceil(load.seconds * 250_000)))
  const { promise: failure, reject: fail } = Promise.withResolvers<never>()
  const { promise: ended, resolve: end } = Promise.withResolvers<void>()
  failure.catch(() => {})
  let sent = 0
  let answered = 0
  let idle = 0
  let measuring = warmupSeconds === 0
  let stopping = false

  const open = async (): Promise<() => void> => {
    const reader = load.reader()
    const answersPerRequest = load.answersPerRequest ?? 1
    let missing = 0
    let sentMs = 0
    const next = (): void => {
      if (stopping || sent >= requestsMax) {
        idle++
        if (idle === load.connections) end()
        return
      }
      sent++
      missing = answersPerRequest
      sentMs = performance.now()
      socket.write(load.request())
    }
    const socket = connect({
      port: load.port,
      host: '127.0.0.1',
      noDelay: true,
      onread: {
        buffer: Buffer.allocUnsafeSlow(READ_BYTES),
        callback: (bytes, buffer) => {
          try {
            missing -= reader.read(Buffer.from(buffer.buffer, buffer.byteOffset, bytes))
          } catch (error) {
            fail(error)
            return false
          }
          if (missing > 0) return true
          if (measuring) {
            if (answered < latencies.length) latencies[answered] = performance.now() - sentMs
            answered++
          }
          next()
          return true
        },
      },
    })
    sockets.push(socket)
    socket.setTimeout(SILENCE_MS_MAX, () => fail(new Error(`port ${load.port} does not answer`)))
    socket.on('error', fail)
    socket.on('close', () => fail(new Error(`port ${load.port} closed a connection`)))
    await once(socket, 'connect')
    return next
  }

  try {
    const starts = await Promise.all(Array.from({ length: load.connections }, open))
    for (const start of starts) start()
    if (warmupSeconds > 0) await Promise.race([sleep(warmupSeconds), failure])
    measuring = true
    load.onMeasure?.()
    const startedMs = performance.now()
    const cpu = process.cpuUsage()
    const pause = new AbortController()
    await Promise.race([sleep(load.seconds, pause.signal), ended, failure])
    pause.abort()
    const seconds = (performance.now() - startedMs) / 1000
    const { user, system } = process.cpuUsage(cpu)
    measuring = false
    stopping = true
    const requests = answered
    await Promise.race([ended, failure])
    return {
      requests,
      seconds,
      perSecond: requests / seconds,
      latency: latencyOf(latencies.subarray(0, Math.min(requests, latencies.length))),
      generatorCpu: (user + system) / 1e6 / seconds,
    }
  } finally {
    for (const socket of sockets)
      socket
        .removeAllListeners('close')
        .on('error', () => {})
        .destroy()
  }
}

/** A pause that is cut short resolves too: nobody is waiting for it any more. */
function sleep(seconds: number, signal?: AbortSignal): Promise<void> {
  return setTimeout(seconds * 1000, undefined, signal === undefined ? {} : { signal }).catch(() => {})
}
