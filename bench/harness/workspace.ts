import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** A directory for the data of one run. It goes when the run ends, well or badly. */
export class Workspace implements AsyncDisposable {
  readonly path: string

  private constructor(path: string) {
    this.path = path
  }

  static async make(below: string): Promise<Workspace> {
    return new Workspace(await mkdtemp(join(below, 'grapevine-bench-')))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true })
  }
}
