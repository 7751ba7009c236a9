import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

const MIB = 1024 ** 2

/** What the files below a directory take, in MiB. A file that goes while we look takes nothing. */
export async function diskMiB(directory: string): Promise<number> {
  const names = await readdir(directory, { recursive: true, withFileTypes: true })
  const sizes = await Promise.all(
    names
      .filter((entry) => entry.isFile())
      .map((entry) =>
        stat(join(entry.parentPath, entry.name)).then(
          ({ size }) => size,
          () => 0,
        ),
      ),
  )
  return sizes.reduce((sum, size) => sum + size, 0) / MIB
}
