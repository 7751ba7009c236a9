import { open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { TextFile } from './identity-file.ts'

/** A {@link TextFile} on a real disk. */
export class DurableFile implements TextFile {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  read(): Promise<string | undefined> {
    return readFile(this.path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      throw error
    })
  }

  async replace(text: string): Promise<void> {
    const temporary = `${this.path}.new`
    const file = await open(temporary, 'w')
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, this.path)
    await syncDirectory(dirname(this.path))
  }
}

/** A rename survives a power cut only when the directory is on disk too. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
