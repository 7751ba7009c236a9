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

/** Connections to one peer: one for rumors, one for pulls, one for the exchange, one for probes. */
const CONNECTIONS_PER_PEER = 4
/** Gossip is slow: with less, each round of a large cluster would begin with a handshake. */
const KEEP_ALIVE_MS = 600_000
/** Addresses come from gossip, so they are bounded; the one not used for longest goes. */
const POOLS_MAX = 512

/** The asking side of the {@link Transport} port: one POST a question, to whatever address the peer has now. */
export class PeerClient implements Transport {
  readonly #options: PeerClientOptions
  readonly #codec: FrameCodec
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
    try {
      const { statusCode, body } = await this.#poolOf(address).request({
        method: 'POST',
        path: `/v1/peer/${name}`,
        headers: { 'content-type': 'application/vnd.msgpack' },
        body: frame,
        signal: abort.signal,
      })
      const answer = Buffer.from(await body.arrayBuffer())
      if (statusCode === 200) return answer
      throw new UnreachableError('broken', `${address} answered ${name} with status ${statusCode}`)
    } catch (error) {
      throw unreachable(error, address, name)
    } finally {
      clearTimeout(timer)
    }
  }

  #poolOf(address: string): Pool {
    const known = this.#pools.get(address)
    // Put behind all others: a Map keeps the order in which its keys came.
    if (known !== undefined) this.#pools.delete(address)
    const pool = known ?? this.#open(address)
    this.#pools.set(address, pool)
    for (const [oldest, idle] of this.#pools) {
      if (this.#pools.size <= POOLS_MAX) break
      this.#pools.delete(oldest)
      void idle.close()
    }
    return pool
  }

  #open(address: string): Pool {
    return new Pool(`http://${address}`, {
      connections: CONNECTIONS_PER_PEER,
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
