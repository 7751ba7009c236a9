import { UsageError } from './usage-error.ts'

/** The largest value that any node can be told to take. */
const VALUE_BYTES_MAX = 16 * 1024 * 1024

/** All bytes of an input, as long as they can be a value. */
export async function readAll(input: AsyncIterable<Uint8Array>, name: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of input) {
    bytes += chunk.length
    if (bytes > VALUE_BYTES_MAX) throw new UsageError(`${name} has more than 16 MiB, which no value may have.`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
