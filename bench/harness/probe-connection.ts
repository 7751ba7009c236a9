import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { HttpAnswers, type HttpAnswer } from './http-answers.ts'

/** One keep-alive connection that asks one thing at a time. */
export class ProbeConnection implements Disposable {
  readonly #socket: Socket
  #waiting: PromiseWithResolvers<HttpAnswer> | undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    const answers = new HttpAnswers((answer) => {
      const waiting = this.#waiting
      this.#waiting = undefined
      waiting?.resolve({ ...answer, body: Buffer.from(answer.body) })
    })
    socket.on('data', (chunk) => answers.read(chunk))
    socket.on('error', (error) => this.#waiting?.reject(error))
    socket.on('close', () => this.#waiting?.reject(new Error('the connection was closed')))
  }

  static async open(port: number): Promise<ProbeConnection> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    await once(socket, 'connect')
    return new ProbeConnection(socket)
  }

  ask(request: Buffer): Promise<HttpAnswer> {
    if (this.#waiting !== undefined) throw new Error('an answer is still missing')
    if (this.#socket.destroyed) return Promise.reject(new Error('the connection was closed'))
    this.#waiting = Promise.withResolvers()
    this.#socket.write(request)
    return this.#waiting.promise
  }

  [Symbol.dispose](): void {
    this.#socket.destroy()
  }
}
