import type { Hash } from '@grapevine/core'
import { answerFrame, FrameCodec, frameBytesMax, type AnsweringOptions } from '@grapevine/wire'
import fastify, { type FastifyInstance } from 'fastify'

export interface PeerServerOptions extends AnsweringOptions {
  readonly host: string
  readonly port: number
  readonly hash: Hash
  readonly valueBytesMax: number
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

function portOf(app: FastifyInstance): number {
  const address = app.server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}
