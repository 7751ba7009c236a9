import { createReadStream } from 'node:fs'
import type { Shell } from './shell.ts'
import { CommandError } from './exit-code.ts'

/** The bytes of a file, or of stdin for `-`. */
export async function* inputOf(file: string, shell: Shell): AsyncGenerator<Uint8Array, void, void> {
  try {
    yield* file === '-' ? shell.stdin : createReadStream(file)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new CommandError(`${file} cannot be read: ${why}.`, { next: 'name a file, or - for stdin', cause })
  }
}
