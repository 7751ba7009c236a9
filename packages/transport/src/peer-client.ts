import {
  UnreachableError,
  type Answer,
  type Hash,
  type Peer,
  type Question,
  type QuestionName,
  type Transport,
} from '@grapevine/core'
import { acceptAnswer, FrameCodec, frameBytesMax } from '@grapevine/wire'
import { errors, Pool } from 'undici'

export interface PeerClientOptions {
  readonly hash: Hash
  readonly valueBytesMax: number
  /** Who asks: read at each question, since a joiner learns it late. Empty texts before. */
  readonly identity: () => { readonly cluster: string; readonly replica: string }
}

/** Connections to one peer for data: rumors, pulls, the exchange, and what waits. */
const CONNECTIONS_PER_PEER = 4
/**
 * What must not queue behind data has connections of its own: a peer whose disk is slow answers these at once, and whoever
 * could not ask it would take it for dead (F22).
 */
const QUICK: ReadonlySet<QuestionName> = new Set([
  'probe',
  'indirect-probe',
  'gossip',
  'push-pull',
  'vector-hash',
  'time',
])
/** An indirect probe waits for another peer, and must not hold a probe. */
const QUICK_CONNECTIONS_PER_PEER = 2
/** Gossip is slow: with less, each round of a large cluster would begin with a handshake. */
const KEEP_ALIVE_MS = 600_000
/** Addresses come from gossip, so they are bounded; the one not used for longest goes. Two are one peer's. */
const POOLS_MAX = 1_024

/** The asking side of the {@link Transport} port: one POST a question, to whatever address the peer has now. */
export class PeerClient implements Transport {
  readonly #options: PeerClientOptions
  readonly #codec: FrameCodec
  /** By address, and behind a `quick ` for those that are. */
  readonly #pools = new Map<string, Pool>()
  readonly #answerBytesMax: number
  #requests = 0

  constructor(options: PeerClientOptions) {
    this.#options = options
    this.#codec = new FrameCodec(options.hash)
    this.#answerBytesMax = frameBytesMax(options.valueBytesMax)
  }

  async ask<Name extends QuestionName>(
    peer: Peer,
    name: Name,
    question: Question<Name>,
    timeoutMs: number,
  ): Promise<Answer<Name>> {
    const { cluster, replica } = this.#options.identity()
    const request = ++this.#requests
    const frame = this.#codec.encodeQuestion({ cluster, from: replica, to: peer.replica, request }, name, question)
    const answer = await this.#post(peer.address, name, frame, timeoutMs)
    return acceptAnswer(answer, this.#codec, { name, peer, cluster, replica, request })
  }

  async close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.destroy()))
  }

  async #post(address: string, name: QuestionName, frame: Buffer, timeoutMs: number): Promise<Buffer> {
    const abort = new AbortController()
    const timer = setTimeout(
      () => abort.abort(new UnreachableError('timeout', `${address} did not answer ${name} in ${timeoutMs} ms`)),
      timeoutMs,
    )
    // undici hears of the signal only once it has a connection for the request; until then nobody else ends it.
    const late = new Promise<never>((_, reject) => {
      abort.signal.addEventListener('abort', () => reject(abort.signal.reason as UnreachableError), { once: true })
    })
    try {
      return await Promise.race([this.#exchange(address, name, frame, abort.signal), late])
    } catch (error) {
      throw unreachable(error, address, name)
    } finally {
      clearTimeout(timer)
    }
  }

  async #exchange(address: string, name: QuestionName, frame: Buffer, signal: AbortSignal): Promise<Buffer> {
    const { statusCode, body } = await this.#poolOf(address, QUICK.has(name)).request({
      method: 'POST',
      path: `/v1/peer/${name}`,
      headers: { 'content-type': 'application/vnd.msgpack' },
      body: frame,
      signal,
    })
    const answer = Buffer.from(await body.arrayBuffer())
    if (statusCode === 200) return answer
    throw new UnreachableError('broken', `${address} answered ${name} with status ${statusCode}`)
  }

  #poolOf(address: string, isQuick: boolean): Pool {
    const key = isQuick ? `quick ${address}` : address
    const known = this.#pools.get(key)
    // Put behind all others: a Map keeps the order in which its keys came.
    if (known !== undefined) this.#pools.delete(key)
    const pool = known ?? this.#open(address, isQuick ? QUICK_CONNECTIONS_PER_PEER : CONNECTIONS_PER_PEER)
    this.#pools.set(key, pool)
    for (const [oldest, idle] of this.#pools) {
      if (this.#pools.size <= POOLS_MAX) break
      this.#pools.delete(oldest)
      void idle.close()
    }
    return pool
  }

  #open(address: string, connections: number): Pool {
    return new Pool(`http://${address}`, {
      connections,
      pipelining: 1,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MS,
      connect: { timeout: 2_000 },
      maxResponseSize: this.#answerBytesMax,
    })
  }
}

function unreachable(error: unknown, address: string, name: string): UnreachableError {
  if (error instanceof UnreachableError) return error
  const cause = error instanceof Error ? error : new Error(String(error))
  const code = 'code' in cause ? String(cause.code) : ''
  const about = `${address} did not answer ${name}: ${cause.message}`
  if (cause instanceof errors.ConnectTimeoutError) return new UnreachableError('timeout', about, { cause })
  // Only these say for sure that nobody heard.
  if (
    [
      'ECONNREFUSED',
      'EHOSTUNREACH',
      'ENETUNREACH',
      'ENOTFOUND',
      'EAI_AGAIN',
      'ERR_INVALID_URL',
      'UND_ERR_INVALID_ARG',
    ].includes(code)
  )
    return new UnreachableError('refused', about, { cause })
  return new UnreachableError('broken', about, { cause })
}
