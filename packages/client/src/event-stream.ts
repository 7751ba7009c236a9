/** One block of a stream of server-sent events. Without `data` it is no event, and may still carry an id. */
export interface StreamBlock {
  readonly id: string | undefined
  readonly event: string
  readonly data: string | undefined
}

/** The longest line of Grapevine's is a key of 1 KiB as JSON, or an id of 8 KiB. Whoever sends more has gone mad. */
const LINE_CHARS_MAX = 256 * 1024

/**
 * Text, in whatever pieces it arrives, to blocks (the event stream of the HTML standard). A comment ends up as an empty
 * block or none; what a broken connection leaves half done is dropped.
 */
export class EventStreamParser {
  #rest = ''
  #id: string | undefined
  #event = ''
  #data: string | undefined

  /** @throws {RangeError} for a line without end. */
  push(text: string): StreamBlock[] {
    const blocks: StreamBlock[] = []
    // A CR at the very end may be half of a CR LF, so it waits for what comes next.
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?=[^])/)
    this.#rest = lines.pop() ?? ''
    if (this.#rest.length > LINE_CHARS_MAX) throw new RangeError('A line of the event stream has no end.')
    for (const line of lines) {
      if (line === '') blocks.push(...this.#endOfBlock())
      else this.#takeLine(line)
    }
    return blocks
  }

  #takeLine(line: string): void {
    const colon = line.indexOf(':')
    if (colon === 0) return
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (field === 'data') this.#data = this.#data === undefined ? value : `${this.#data}\n${value}`
    else if (field === 'event') this.#event = value
    else if (field === 'id' && !value.includes('\0')) this.#id = value
  }

  #endOfBlock(): StreamBlock[] {
    const block = { id: this.#id, event: this.#event, data: this.#data }
    this.#id = undefined
    this.#event = ''
    this.#data = undefined
    return block.id === undefined && block.data === undefined ? [] : [block]
  }
}
