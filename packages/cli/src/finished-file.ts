import { open, rename, rm, type FileHandle } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { CommandError } from './exit-code.ts'

/** A file that is there as a whole and on disk, or not at all: it has another name until it is finished. */
export class FinishedFile implements AsyncDisposable {
  readonly #path: string
  readonly #temporary: string
  readonly #handle: FileHandle
  #isOpen = true

  private constructor(path: string, temporary: string, handle: FileHandle) {
    this.#path = path
    this.#temporary = temporary
    this.#handle = handle
  }

  /** @throws {CommandError} when nothing can be written there. */
  static async begin(path: string): Promise<FinishedFile> {
    const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.part`)
    const handle = await open(temporary, 'wx').catch((cause: unknown) => {
      const why = cause instanceof Error ? cause.message : String(cause)
      throw new CommandError(`${path} cannot be written: ${why}.`, { next: 'name another file', cause })
    })
    return new FinishedFile(path, temporary, handle)
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#handle.writeFile(bytes)
  }

  /** Durable under its own name when it resolves. What had that name before is gone. */
  async finish(): Promise<void> {
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
    await rm(this.#temporary, { force: true })
  }

  async #close(): Promise<void> {
    if (this.#isOpen) await this.#handle.close()
    this.#isOpen = false
  }
}
