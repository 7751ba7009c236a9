import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { MemoryNode } from '@grapevine/client/memory'
import { OTHER_MEDIA_TYPES, problemOf } from '@grapevine/contract'
import { unpack, pack } from 'msgpackr'

/** A memory node behind real HTTP, so that one suite runs over both. It speaks msgpack too. */
export class HttpNode {
  readonly node: MemoryNode
  readonly #server: Server

  private constructor(node: MemoryNode, server: Server) {
    this.node = node
    this.#server = server
  }

  static async start(node: MemoryNode = new MemoryNode()): Promise<HttpNode> {
    const server = createServer((message, response) => void answer(node, message, response))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return new HttpNode(node, server)
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

async function answer(node: MemoryNode, message: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of message) chunks.push(chunk)
  const { url = '', method = '' } = message
  if (url === '/v1/cluster/routing') {
    const problem = problemOf('not_found', { detail: 'no routing', traceId: 't' })
    response.writeHead(404, { 'content-type': OTHER_MEDIA_TYPES.problem }).end(JSON.stringify(problem))
    return
  }
  const headers = new Headers(Object.entries(message.headers).map(([name, value]) => [name, String(value)]))
  const asMsgpack = headers.get('content-type') === OTHER_MEDIA_TYPES.msgpack
  const sent = Buffer.concat(chunks)
  const answered = node.handle({ method, path: url, headers, body: asMsgpack ? jsonOf(sent) : sent })
  const { status, body, events } = answered
  const packed = asMsgpack && status === 200
  response.writeHead(status, { ...answered.headers, ...(packed && { 'content-type': OTHER_MEDIA_TYPES.msgpack }) })
  if (events === undefined) {
    response.end(packed ? msgpackOf(body) : body)
    return
  }
  const stream = Readable.fromWeb(events as Parameters<typeof Readable.fromWeb>[0])
  response.on('close', () => stream.destroy())
  stream.on('error', () => response.destroy()).pipe(response)
}

interface Values {
  value?: unknown
}

function jsonOf(bytes: Uint8Array): Uint8Array {
  const request: { ops: Values[] } = unpack(bytes)
  for (const op of request.ops) if (op.value instanceof Uint8Array) op.value = Buffer.from(op.value).toString('base64')
  return Buffer.from(JSON.stringify(request))
}

function msgpackOf(bytes: Uint8Array): Uint8Array {
  const body: { results: Values[] } = JSON.parse(Buffer.from(bytes).toString())
  for (const result of body.results)
    if (typeof result.value === 'string') result.value = Buffer.from(result.value, 'base64')
  return pack(body)
}
