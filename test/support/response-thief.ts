import { once } from 'node:events'
import { Agent, createServer, request as ask, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'

/** A request that changes something, and what the node answered, whether or not that arrived. */
export interface Exchange {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
  readonly status: number
  readonly answerHeaders: IncomingMessage['headers']
  readonly answer: Buffer
  readonly stolen: boolean
}

/**
 * A fault proxy before a node's client port: requests get through, and of some that change something the answer is lost, as
 * when a connection breaks (F33). The node does not notice.
 */
export class ResponseThief {
  readonly exchanges: Exchange[] = []
  readonly #server: Server
  readonly #agent = new Agent({ keepAlive: true })

  private constructor(target: string, steals: () => boolean) {
    this.#server = createServer((incoming, response) => {
      this.#pass(target, incoming, response, steals).catch(() => response.destroy())
    })
  }

  static async before(target: string, steals: () => boolean): Promise<ResponseThief> {
    const thief = new ResponseThief(target, steals)
    thief.#server.listen(0, '127.0.0.1')
    await once(thief.#server, 'listening')
    return thief
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    this.#agent.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #pass(
    target: string,
    incoming: IncomingMessage,
    response: ServerResponse,
    steals: () => boolean,
  ): Promise<void> {
    const { method = 'GET', url: path = '/', headers } = incoming
    const body = await buffer(incoming)
    const outgoing = ask(target + path, { method, headers, agent: this.#agent })
    outgoing.end(body)
    const [answered] = (await once(outgoing, 'response')) as [IncomingMessage]
    const answer = await buffer(answered)
    const { statusCode: status = 0, headers: answerHeaders } = answered
    const changes = method !== 'GET' && method !== 'HEAD'
    const stolen = changes && steals()
    if (changes) this.exchanges.push({ method, path, headers, body, status, answerHeaders, answer, stolen })
    if (stolen) incoming.socket.destroy()
    else response.writeHead(status, answerHeaders).end(answer)
  }
}
