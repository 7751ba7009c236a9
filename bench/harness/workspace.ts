import { rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'

const REMOVAL = { recursive: true, force: true, maxRetries: 3 }

/** A directory for the data of one run. It goes when the run ends, well or badly. */
export class Workspace implements AsyncDisposable {
  readonly path: string

  private constructor(path: string) {
    this.path = path
    process.on('exit', this.#onExit)
  }

  static async make(below: string): Promise<Workspace> {
    return new Workspace(await mkdtemp(join(below, 'grapevine-bench-')))
  }

  readonly #onExit = (): void => rmSync(this.path, REMOVAL)

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, REMOVAL)
    process.off('exit', this.#onExit)
  }
}
