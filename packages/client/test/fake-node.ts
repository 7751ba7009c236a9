import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'

export interface SeenRequest {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

export type Handler = (request: SeenRequest, response: ServerResponse) => void

/** A node that answers as a test tells it to, and remembers what it was asked (routing aside). */
export class FakeNode {
  readonly seen: SeenRequest[] = []
  readonly routingAsked: SeenRequest[] = []
  handler: Handler
  routing: Handler = (_, response) => problem(response, 404, 'not_found')
  readonly #server: Server

  private constructor(server: Server, handler: Handler) {
    this.#server = server
    this.handler = handler
  }

  static async start(
    handler: Handler = (_, response) => void response.writeHead(204, { etag: '"v"' }).end(),
  ): Promise<FakeNode> {
    const server = createServer((message, response) => {
      const chunks: Buffer[] = []
      message.on('data', (chunk: Buffer) => chunks.push(chunk))
      message.on('end', () => {
        const { method = '', url = '', headers } = message
        const request = { method, url, headers, body: Buffer.concat(chunks) }
        const isRouting = url === '/v1/cluster/routing'
        ;(isRouting ? node.routingAsked : node.seen).push(request)
        ;(isRouting ? node.routing : node.handler)(request, response)
      })
    })
    const node = new FakeNode(server, handler)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return node
  }

  get url(): string {
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('The node has stopped.')
    return `http://127.0.0.1:${address.port}`
  }

  /** Open connections. */
  connections(): Promise<number> {
    return new Promise((resolve, reject) =>
      this.#server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
    )
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server.listening) await this.stop()
  }
}

export function problem(
  response: ServerResponse,
  status: number,
  code: string,
  extra: Record<string, unknown> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/problem+json' })
  const body = {
    type: 'about:blank',
    title: code,
    status,
    detail: `it is ${code}`,
    code,
    retryable: false,
    traceId: 't1',
  }
  response.end(JSON.stringify({ ...body, ...extra }))
}

export function json(response: ServerResponse, body: unknown): void {
  if (!response.hasHeader('etag')) response.setHeader('etag', '"v"')
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body))
}

/** Where nobody listens. */
export async function deadUrl(): Promise<string> {
  const node = await FakeNode.start()
  const { url } = node
  await node.stop()
  return url
}
