import type { HttpAnswer } from './http-answers.ts'
import { ProbeConnection } from './probe-connection.ts'

/** Shown each answer, to which request it is, and the time since that was due: waiting for its turn is waiting, too. */
export type OnAnswer = (request: Buffer, answer: HttpAnswer, sinceDueMs: number) => void

export interface SteadyResult {
  readonly perSecond: number
  /** Answers that were no success. */
  readonly refused: number
  /** Requests that were due and never sent, because every connection still waited. */
  readonly overdue: number
}

const TICK_MS = 2
/** Per port: at 5,000 writes a second and 64 connections, each may take 12 ms before any write is late. */
const CONNECTIONS = 64

/**
 * Writes at a fixed rate whatever the servers do, in turn to each port. A closed loop would slow down with them, and
 * hide it.
 */
export class SteadyWrites implements AsyncDisposable {
  readonly #ports: readonly (readonly ProbeConnection[])[]
  readonly #perSecond: number
  readonly #request: () => Buffer
  readonly #onAnswer: OnAnswer
  readonly #free: ProbeConnection[][]
  readonly #startedMs = performance.now()
  readonly #timer: NodeJS.Timeout
  readonly #underWay = new Set<Promise<void>>()
  #due = 0
  #answered = 0
  #refused = 0

  private constructor(
    ports: readonly (readonly ProbeConnection[])[],
    perSecond: number,
    request: () => Buffer,
    onAnswer: OnAnswer,
  ) {
    this.#onAnswer = onAnswer
    this.#ports = ports
    this.#free = ports.map((connections) => [...connections])
    this.#perSecond = perSecond
    this.#request = request
    this.#timer = setInterval(() => this.#sendDue(), TICK_MS)
  }

  static async start(
    ports: readonly number[],
    perSecond: number,
    request: () => Buffer,
    onAnswer: OnAnswer = () => {},
  ): Promise<SteadyWrites> {
    const open = (port: number) => Promise.all(Array.from({ length: CONNECTIONS }, () => ProbeConnection.open(port)))
    return new SteadyWrites(await Promise.all(ports.map(open)), perSecond, request, onAnswer)
  }

  /** Ends the load and tells what became of it. */
  async stop(): Promise<SteadyResult> {
    clearInterval(this.#timer)
    const seconds = (performance.now() - this.#startedMs) / 1000
    const perSecond = this.#answered / seconds
    const overdue = Math.floor(seconds * this.#perSecond) - this.#due
    await Promise.all(this.#underWay)
    return { perSecond, refused: this.#refused, overdue: Math.max(0, overdue - this.#perSecond * (TICK_MS / 1000) * 2) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    await Promise.allSettled(this.#underWay)
    for (const connection of this.#ports.flat()) connection[Symbol.dispose]()
  }

  #sendDue(): void {
    const until = Math.floor(((performance.now() - this.#startedMs) / 1000) * this.#perSecond)
    while (this.#due < until) {
      const free = this.#free[this.#due % this.#free.length]
      // The one that has rested longest: the server closes those that are idle for seconds.
      const connection = free?.shift()
      // The next tick tries again, so a burst that is late is late and not lost.
      if (free === undefined || connection === undefined) return
      const dueMs = this.#startedMs + (this.#due++ / this.#perSecond) * 1000
      const sending = this.#send(connection, dueMs).finally(() => {
        free.push(connection)
        this.#underWay.delete(sending)
      })
      this.#underWay.add(sending)
    }
  }

  async #send(connection: ProbeConnection, dueMs: number): Promise<void> {
    try {
      const request = this.#request()
      const answer = await connection.ask(request)
      this.#onAnswer(request, answer, performance.now() - dueMs)
      if (answer.status === 204) this.#answered++
      else this.#refused++
    } catch {
      this.#refused++
    }
  }
}
