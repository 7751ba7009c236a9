import type { AnswerReader } from './load.ts'

export interface HttpAnswer {
  readonly status: number
  readonly head: string
  readonly body: Buffer
}

const HEAD_END = Buffer.from('\r\n\r\n')
/** `HTTP/1.1 200 …`: where the status stands. */
const STATUS_AT = 9
const EMPTY = Buffer.alloc(0)

/**
 * Reads answers that carry a length, which all that is measured here do. No more than that, so that the load generator
 * is never what is slow: a full client takes longer to read an answer than a server to write it.
 */
export class HttpAnswers implements AnswerReader {
  readonly #take: (answer: HttpAnswer) => void
  #held: Buffer = EMPTY

  /** @param take is shown each answer; its body may change once it returns. */
  constructor(take: (answer: HttpAnswer) => void) {
    this.#take = take
  }

  read(chunk: Buffer): number {
    let rest = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    let answers = 0
    for (;;) {
      const headBytes = rest.indexOf(HEAD_END)
      if (headBytes < 0) break
      const head = rest.toString('latin1', 0, headBytes)
      const status = Number(head.slice(STATUS_AT, STATUS_AT + 3))
      const bodyAt = headBytes + HEAD_END.length
      const end = bodyAt + bodyBytes(head, status)
      if (end > rest.length) break
      this.#take({ status, head, body: rest.subarray(bodyAt, end) })
      answers++
      rest = rest.subarray(end)
    }
    // What the socket read into is used again for what it reads next.
    this.#held = rest.length === 0 ? EMPTY : Buffer.from(rest)
    return answers
  }
}

/** Refuses whatever is not a success: requests that fail fast would make a server look fast. */
export function expectSuccess({ status, head, body }: HttpAnswer): void {
  if (status < 200 || status > 299) throw new Error(`${head.split('\r\n', 1)[0]}: ${body.toString('utf8')}`)
}

function bodyBytes(head: string, status: number): number {
  if (status === 204 || status === 304) return 0
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
  if (length === undefined) throw new Error(`an answer without a length:\n${head}`)
  return Number(length)
}
