import { StoreError, type Identity } from '@grapevine/core'
import type { IdentityWitness } from './level-store.ts'
import { storeErrorOf } from './store-trouble.ts'

/** What the file `identity.json` beside the database says. */
export interface IdentityRecord {
  readonly format: 1
  readonly cluster: string
  readonly replica: string
  /** `false` until the same identity is known to be in the database. */
  readonly sealed: boolean
}

/** One small file that is replaced as a whole. */
export interface TextFile {
  /** For messages. */
  readonly path: string
  /** `undefined` when it is not there. */
  read(): Promise<string | undefined>
  /** Durable, and whole or not at all, when it resolves. */
  replace(text: string): Promise<void>
}

/**
 * The file that says whose data is in a directory. LevelDB opens an empty database when its own files are gone,
 * so the memory that there was data must live outside of it (P12). It is written before the identity
 * becomes durable in the database and sealed after: whatever a crash leaves behind can be told apart.
 */
export class IdentityFile implements IdentityWitness {
  readonly #file: TextFile

  constructor(file: TextFile) {
    this.#file = file
  }

  async read(): Promise<IdentityRecord | undefined> {
    const text = await this.#file.read()
    if (text === undefined) return undefined
    const record = parse(text)
    if (record === undefined)
      throw new StoreError('wrong_directory', `${this.#file.path} is not an identity file of this version of Grapevine`)
    return record
  }

  async announce({ cluster, replica }: Identity): Promise<void> {
    await this.#write({ format: 1, cluster, replica, sealed: false })
  }

  async seal({ cluster, replica }: Identity): Promise<void> {
    await this.#write({ format: 1, cluster, replica, sealed: true })
  }

  async #write(record: IdentityRecord): Promise<void> {
    try {
      await this.#file.replace(`${JSON.stringify(record, null, 2)}\n`)
    } catch (error) {
      throw storeErrorOf(`${this.#file.path} cannot be written`, error)
    }
  }
}

function parse(text: string): IdentityRecord | undefined {
  try {
    const record = JSON.parse(text) as Partial<IdentityRecord>
    const { format, cluster, replica, sealed } = record
    if (format !== 1 || typeof cluster !== 'string' || typeof replica !== 'string' || typeof sealed !== 'boolean')
      return undefined
    return { format, cluster, replica, sealed }
  } catch {
    return undefined
  }
}
