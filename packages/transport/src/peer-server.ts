import {
  MalformedMessageError,
  RefusalError,
  type Answer,
  type Hash,
  type Log,
  type Question,
  type QuestionName,
  type Refusal,
} from '@grapevine/core'
import { FrameCodec, frameBytesMax, type FrameHeader, type ReceivedQuestion } from '@grapevine/wire'
import fastify, { type FastifyInstance } from 'fastify'

/** Who answers. */
export interface Answering {
  /** Whether the question may be answered at all, told before its body is looked at. */
  judge(header: FrameHeader & { readonly name: QuestionName }): Refusal | undefined
  answer<Name extends QuestionName>(
    header: FrameHeader & { readonly name: QuestionName },
    name: Name,
    question: Question<Name>,
  ): Promise<Answer<Name>>
}

export interface PeerServerOptions extends Answering {
  readonly host: string
  readonly port: number
  readonly hash: Hash
  readonly valueBytesMax: number
  readonly identity: () => { readonly cluster: string; readonly replica: string }
  readonly log: Log
  /** Until a question has come in whole. */
  readonly requestTimeoutMs?: number
}

export interface PeerServer {
  readonly port: number
  close(): Promise<void>
}

/** Longer than the asking side keeps its connections, so that it is never we who close one under a question. */
const KEEP_ALIVE_MS = 660_000
const HEADERS_MS = 5_000
const REQUEST_MS = 15_000
/** Of a connection under a question: a peer that does not read its answer. */
const SILENCE_MS = 60_000
/** 256 members with 4 connections each, and room for those who restart. */
const CONNECTIONS_MAX = 2_048

/** The answering side of the transport: one route on the peer port. */
export async function openPeerServer(options: PeerServerOptions): Promise<PeerServer> {
  const { requestTimeoutMs = REQUEST_MS } = options
  const codec = new FrameCodec(options.hash)
  const app = fastify({
    bodyLimit: frameBytesMax(options.valueBytesMax),
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: requestTimeoutMs,
    connectionTimeout: SILENCE_MS,
    // Node looks for slow headers each 30 s otherwise, whatever limit they have; and it exchanges the two limits when
    // that of the headers is the longer.
    http: { headersTimeout: Math.min(HEADERS_MS, requestTimeoutMs), connectionsCheckingInterval: 1_000 },
    forceCloseConnections: true,
    logger: false,
  })
  app.server.maxConnections = CONNECTIONS_MAX
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/vnd.msgpack', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.post('/v1/peer/:name', async (request, reply) => {
    const body = request.body
    if (!Buffer.isBuffer(body)) return reply.code(415).send()
    const answer = await answerFrame(body, codec, options)
    return answer === undefined ? reply.code(400).send() : reply.type('application/vnd.msgpack').send(answer)
  })
  await app.listen({ host: options.host, port: options.port })
  return { port: portOf(app), close: () => app.close() }
}

/** The frame to send back, or undefined when what came is not one of ours. */
async function answerFrame(frame: Buffer, codec: FrameCodec, options: PeerServerOptions): Promise<Buffer | undefined> {
  let received: ReceivedQuestion
  try {
    received = codec.decodeQuestion(frame)
  } catch (error) {
    if (!(error instanceof MalformedMessageError)) throw error
    options.log.warn('malformed-frame', { error: error.message })
    return undefined
  }
  const { header, name, body } = received
  const { cluster, replica } = options.identity()
  const back: FrameHeader = { cluster, from: replica, to: header.from, request: header.request }
  try {
    const refusal = options.judge({ ...header, name })
    if (refusal !== undefined)
      throw new RefusalError(refusal, `${name} from ${header.from || 'a stranger'}: ${refusal}`)
    const answer = await options.answer({ ...header, name }, name, body())
    // Who we are may have become known while we answered.
    return codec.encodeAnswer({ ...back, ...identityOf(options) }, name, answer)
  } catch (error) {
    return codec.encodeRefusal(back, refusalOf(error, name, options.log))
  }
}

function identityOf({ identity }: PeerServerOptions): { cluster: string; from: string } {
  const { cluster, replica } = identity()
  return { cluster, from: replica }
}

function refusalOf(error: unknown, name: QuestionName, log: Log): RefusalError {
  if (error instanceof RefusalError) return error
  if (error instanceof MalformedMessageError) return new RefusalError('malformed', error.message)
  log.error('question-not-answered', { question: name, error: error instanceof Error ? error.stack : String(error) })
  return new RefusalError('failed', error instanceof Error ? error.message : String(error))
}

function portOf(app: FastifyInstance): number {
  const address = app.server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}
