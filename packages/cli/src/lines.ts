import { isUtf8 } from 'node:buffer'

/** A line longer than this is no record: a value of 16 MiB in base64, with room for its names. */
const LINE_BYTES_MAX = 24 * 1024 * 1024

/** With its text, or what is wrong with it as the end of a sentence. */
export type Line = { readonly number: number } & (
  | { readonly text: string; readonly flaw?: undefined }
  | { readonly flaw: string }
)

/** Lines with their numbers from 1, empty ones left out. Holds one line at a time, whatever the size of the input. */
export async function* linesOf(input: AsyncIterable<Uint8Array>): AsyncGenerator<Line, void, void> {
  const decoder = new TextDecoder('utf-8')
  let number = 1
  let held: Uint8Array[] = []
  let heldBytes = 0
  const take = (): Line | undefined => {
    const bytes = heldBytes > LINE_BYTES_MAX ? undefined : Buffer.concat(held)
    held = []
    heldBytes = 0
    if (bytes === undefined) return { number, flaw: 'it is longer than 24 MiB' }
    if (!isUtf8(bytes)) return { number, flaw: 'it is not UTF-8' }
    const text = decoder.decode(bytes)
    return text.trim() === '' ? undefined : { number, text }
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
