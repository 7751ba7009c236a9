/** A line longer than this is no record: a value of 16 MiB in base64, with room for its names. */
const LINE_BYTES_MAX = 24 * 1024 * 1024

export interface Line {
  readonly number: number
  /** `undefined` for a line that is too long to be held. */
  readonly text: string | undefined
}

/** Lines with their numbers from 1, empty ones left out. Holds one line at a time, whatever the size of the input. */
export async function* linesOf(input: AsyncIterable<Uint8Array>): AsyncGenerator<Line, void, void> {
  const decoder = new TextDecoder('utf-8')
  let number = 1
  let held: Uint8Array[] = []
  let heldBytes = 0
  const take = (): Line | undefined => {
    const tooLong = heldBytes > LINE_BYTES_MAX
    const text = tooLong ? undefined : decoder.decode(Buffer.concat(held))
    held = []
    heldBytes = 0
    return text !== undefined && text.trim() === '' ? undefined : { number, text }
  }
  const hold = (part: Uint8Array): void => {
    heldBytes += part.length
    if (heldBytes > LINE_BYTES_MAX) held = []
    else held.push(part)
  }
  for await (const chunk of input) {
    let from = 0
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      hold(chunk.subarray(from, end))
      const line = take()
      if (line !== undefined) yield line
      number++
      from = end + 1
    }
    if (from < chunk.length) hold(chunk.subarray(from))
  }
  const last = heldBytes === 0 ? undefined : take()
  if (last !== undefined) yield last
}
