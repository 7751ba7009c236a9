import type { Call } from '../command.ts'
import { bytesText, plural, spanText } from './numbers.ts'

const REDRAW_MS = 200

/** Keys and bytes that went through, shown while they do: on a terminal only. */
export class Progress {
  readonly #call: Call
  readonly #verb: string
  readonly #startedMs = Date.now()
  #drawnMs = 0
  keys = 0
  bytes = 0

  constructor(call: Call, verb: string) {
    this.#call = call
    this.#verb = verb
  }

  async add(keys: number, bytes: number): Promise<void> {
    this.keys += keys
    this.bytes += bytes
    const { stderr } = this.#call.shell
    const nowMs = Date.now()
    if (!stderr.isTTY || nowMs - this.#drawnMs < REDRAW_MS) return
    this.#drawnMs = nowMs
    await stderr.write(`\r\u001b[2K${this.#verb} ${this.#counts()}`)
  }

  async clear(): Promise<void> {
    if (this.#drawnMs > 0) await this.#call.shell.stderr.write('\r\u001b[2K')
    this.#drawnMs = 0
  }

  /** `12 345 keys, 3.1 MB in 2 s` */
  summary(): string {
    return `${this.#counts()} in ${spanText(Date.now() - this.#startedMs)}`
  }

  #counts(): string {
    return `${plural(this.keys, 'key')}, ${bytesText(this.bytes)}`
  }
}
