import { StoreError, type Identity } from '@grapevine/core'
import { open, readFile, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { IdentityWitness } from './level-store.ts'

/** What the file `identity.json` beside the database says. */
export interface IdentityRecord {
  readonly format: 1
  readonly cluster: string
  readonly replica: string
  /** `false` until the same identity is known to be in the database. */
  readonly sealed: boolean
}

/**
 * The file that says whose data is in a directory. LevelDB opens an empty database when its own files are gone
 * (facts.md), so the memory that there was data must live outside of it (P12). It is written before the identity
 * becomes durable in the database and sealed after: whatever a crash leaves behind can be told apart.
 */
export class IdentityFile implements IdentityWitness {
  readonly #path: string

  constructor(directory: string) {
    this.#path = join(directory, 'identity.json')
  }

  async read(): Promise<IdentityRecord | undefined> {
    const text = await readFile(this.#path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      throw error
    })
    if (text === undefined) return undefined
    const record = parse(text)
    if (record === undefined)
      throw new StoreError('wrong_directory', `${this.#path} is not an identity file of this version of Grapevine`)
    return record
  }

  async announce({ cluster, replica }: Identity): Promise<void> {
    await this.#write({ format: 1, cluster, replica, sealed: false })
  }

  async seal({ cluster, replica }: Identity): Promise<void> {
    await this.#write({ format: 1, cluster, replica, sealed: true })
  }

  async #write(record: IdentityRecord): Promise<void> {
    const temporary = `${this.#path}.new`
    const file = await open(temporary, 'w')
    try {
      await file.writeFile(`${JSON.stringify(record, null, 2)}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, this.#path)
    await syncDirectory(dirname(this.#path))
  }
}

/** A rename survives a power cut only when the directory is on disk too. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
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
