import type { Answer, Hash, Log, Peer, Question, QuestionName, Refusal } from '@grapevine/core'
import { FrameCodec, type FrameHeader } from '@grapevine/wire'
import { hash as nodeHash } from 'node:crypto'
import { createServer as createHttpServer, Server as HttpServer } from 'node:http'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { openPeerServer, PeerClient, type PeerServer } from '../src/index.ts'

export const sha256: Hash = { sha256: (bytes) => nodeHash('sha256', bytes, 'binary') }
export const codec = new FrameCodec(sha256)

export const CLUSTER = 'c'.repeat(32)
export const ASKER = 'a'.repeat(16)
export const ASKED = 'b'.repeat(16)
export const STRANGER = 'd'.repeat(16)

export type Header = FrameHeader & { readonly name: QuestionName }
export type Answers = {
  readonly [Name in QuestionName]?: (question: Question<Name>, header: Header) => Answer<Name> | Promise<Answer<Name>>
}

export interface NodeOptions {
  readonly answers?: Answers
  readonly judge?: (header: Header) => Refusal | undefined
  readonly cluster?: string
  readonly replica?: string
  readonly port?: number
  readonly requestTimeoutMs?: number
}

/** A replica that answers as a test tells it to. */
export interface AnsweringNode {
  readonly server: PeerServer
  readonly peer: Peer
  readonly url: string
  /** Events of the log. */
  readonly logged: string[]
}

/** Sockets, servers and clients of one test, closed in the opposite order. */
export class Network {
  readonly #open: (() => Promise<void>)[] = []

  async node(options: NodeOptions = {}): Promise<AnsweringNode> {
    const { answers = {}, judge = () => undefined, cluster = CLUSTER, replica = ASKED, port = 0 } = options
    const logged: string[] = []
    const server = await openPeerServer({
      host: '127.0.0.1',
      port,
      hash: sha256,
      valueBytesMax: 1_024,
      identity: () => ({ cluster, replica }),
      log: logInto(logged),
      judge,
      answer: async (header, name, question) => {
        const given = answers[name]
        if (given === undefined) throw new Error(`nobody expected ${name}`)
        return given(question, header)
      },
      ...(options.requestTimeoutMs === undefined ? {} : { requestTimeoutMs: options.requestTimeoutMs }),
    })
    this.#open.push(() => server.close())
    const address = `127.0.0.1:${server.port}`
    return { server, peer: { replica: ASKED, address }, url: `http://${address}`, logged }
  }

  client(cluster: string = CLUSTER, replica: string = ASKER): PeerClient {
    const client = new PeerClient({ hash: sha256, valueBytesMax: 1_024, identity: () => ({ cluster, replica }) })
    this.#open.push(() => client.close())
    return client
  }

  /** A peer that speaks HTTP and sends back whatever it is told to. */
  async httpPeer(answer: (question: Buffer) => Buffer): Promise<Peer> {
    const server = createHttpServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => response.end(answer(Buffer.concat(chunks))))
    })
    return this.#listen(server)
  }

  /** A peer that speaks whatever it is told to. */
  async rawPeer(speak: (socket: Socket) => void): Promise<Peer> {
    const sockets = new Set<Socket>()
    const server = createServer((socket) => {
      sockets.add(socket)
      socket.on('error', () => {})
      speak(socket)
    })
    this.#open.push(async () => {
      for (const socket of sockets) socket.destroy()
    })
    return this.#listen(server)
  }

  /** A connection that says this much, and no more. */
  async socketSaying(text: string, { server }: AnsweringNode): Promise<Socket> {
    const socket = connect(server.port, '127.0.0.1')
    this.#open.push(async () => void socket.destroy())
    socket.on('error', () => {})
    await new Promise((resolve) => socket.once('connect', resolve))
    socket.write(text)
    return socket
  }

  async close(): Promise<void> {
    for (const close of this.#open.splice(0).toReversed()) await close()
  }

  async #listen(server: Server | HttpServer): Promise<Peer> {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    this.#open.push(async () => {
      if (server instanceof HttpServer) server.closeAllConnections()
      server.close()
    })
    const { port } = server.address() as AddressInfo
    return { replica: ASKED, address: `127.0.0.1:${port}` }
  }
}

function logInto(events: string[]): Log {
  const note = (event: string): void => void events.push(event)
  return { info: note, warn: note, error: note }
}
