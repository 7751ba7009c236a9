import { join } from 'node:path'
import { DurableFile } from './durable-file.ts'

/**
 * Where the scrub was, in a file of its own beside the database: it is written some hundred times a week, means nothing to
 * the data, and must not need a commit.
 */
export class ScrubProgressFile {
  readonly #file: DurableFile

  constructor(directory: string) {
    this.#file = new DurableFile(join(directory, 'scrub.json'))
  }

  /** Anything that is no number of a partition begins from the first. */
  async load(): Promise<number> {
    try {
      const parsed: unknown = JSON.parse((await this.#file.read()) ?? '{}')
      const next: unknown = typeof parsed === 'object' && parsed !== null && 'next' in parsed ? parsed.next : 0
      return typeof next === 'number' && Number.isInteger(next) && next >= 0 ? next : 0
    } catch {
      return 0
    }
  }

  async save(next: number): Promise<void> {
    await this.#file.replace(`${JSON.stringify({ next })}\n`)
  }
}
