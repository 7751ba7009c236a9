import type { AnswerReader } from './load.ts'

const CR = 0x0d
const ERROR = 0x2d
const BULK = 0x24
const LINE_END_BYTES = 2
const EMPTY = Buffer.alloc(0)

/** Counts the simple strings and bulk strings that Redis answers with. */
export class RedisAnswers implements AnswerReader {
  #held: Buffer = EMPTY

  read(chunk: Buffer): number {
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    let at = 0
    let answers = 0
    for (;;) {
      const line = bytes.indexOf(CR, at)
      if (line < 0) break
      if (bytes[at] === ERROR) throw new Error(`redis: ${bytes.toString('latin1', at, line)}`)
      let end = line + LINE_END_BYTES
      if (bytes[at] === BULK) {
        const length = Number(bytes.toString('latin1', at + 1, line))
        if (length < 0) throw new Error('redis: a key without a value')
        end += length + LINE_END_BYTES
      }
      if (end > bytes.length) break
      at = end
      answers++
    }
    this.#held = at === bytes.length ? EMPTY : Buffer.from(bytes.subarray(at))
    return answers
  }
}

export function redisCommand(...parts: readonly (string | Buffer)[]): Buffer {
  const pieces = parts.flatMap((part) => [`$${Buffer.byteLength(part)}\r\n`, part, '\r\n'])
  return Buffer.concat([`*${parts.length}\r\n`, ...pieces].map((piece) => Buffer.from(piece)))
}
