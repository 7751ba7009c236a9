import { randomBytes } from 'node:crypto'
import { open, rename, rm, stat, type FileHandle } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { CommandError } from './exit-code.ts'

/** Text is gathered until there is so much of it. */
const WRITE_CHARS = 64 * 1024

/**
 * A file that is there as a whole and on disk, or not at all: it has another name until it is finished. What is no file, as a
 * pipe or a device, is written as it comes.
 */
export class FinishedFile implements AsyncDisposable {
  readonly #path: string
  /** `undefined` for what is no file. */
  readonly #temporary: string | undefined
  readonly #handle: FileHandle
  #isOpen = true
  #text = ''

  private constructor(path: string, temporary: string | undefined, handle: FileHandle) {
    this.#path = path
    this.#temporary = temporary
    this.#handle = handle
  }

  /** @throws {CommandError} when nothing can be written there. */
  static async begin(path: string): Promise<FinishedFile> {
    const isSpecial = await stat(path).then(
      (found) => !found.isFile(),
      () => false,
    )
    // In a container every process has the same number: one that was killed must not stand in the way of the next.
    const suffix = randomBytes(4).toString('hex')
    const temporary = isSpecial ? undefined : join(dirname(path), `.${basename(path)}.${suffix}.part`)
    const handle = await open(temporary ?? path, isSpecial ? 'w' : 'wx').catch((cause: unknown) => {
      throw unwritable(path, cause)
    })
    return new FinishedFile(path, temporary, handle)
  }

  async write(part: Uint8Array | string): Promise<void> {
    if (typeof part === 'string') {
      this.#text += part
      if (this.#text.length >= WRITE_CHARS) await this.#flush()
      return
    }
    await this.#flush()
    await this.#append(part)
  }

  /** Durable under its own name when it resolves. What had that name before is gone. */
  async finish(): Promise<void> {
    await this.#flush()
    if (this.#temporary === undefined) return this.#close()
    await this.#handle.sync()
    await this.#close()
    await rename(this.#temporary, this.#path)
    // A rename survives a power cut only when the directory is on disk too.
    const directory = await open(dirname(this.#path), 'r')
    try {
      await directory.sync()
    } finally {
      await directory.close()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close()
    if (this.#temporary !== undefined) await rm(this.#temporary, { force: true })
  }

  async #flush(): Promise<void> {
    const text = this.#text
    this.#text = ''
    if (text !== '') await this.#append(text)
  }

  async #append(part: Uint8Array | string): Promise<void> {
    await this.#handle.writeFile(part).catch((cause: unknown) => {
      throw unwritable(this.#path, cause)
    })
  }

  async #close(): Promise<void> {
    if (this.#isOpen) await this.#handle.close()
    this.#isOpen = false
  }
}

function unwritable(path: string, cause: unknown): CommandError {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new CommandError(`${path} cannot be written: ${why}.`, { next: 'name another file', cause })
}
