import { statfsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

/** How large the disk is on which a directory is or will be. Without bound where nobody can tell. */
export function diskBytesAt(directory: string): number {
  const path = resolve(directory)
  try {
    const { blocks, bsize } = statfsSync(path)
    return blocks * bsize
  } catch {
    // It may not be there yet: then its parent tells.
    return dirname(path) === path ? Infinity : diskBytesAt(dirname(path))
  }
}
