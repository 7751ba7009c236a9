import { execFileSync } from 'node:child_process'
import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'

const SOURCE = resolve(import.meta.dirname, '../chaos/disk-shim.c')

/** A disk that fails when told to, and that knows what a power loss leaves of each file (see disk-shim.c). */
export interface DiskShim {
  readonly env: Readonly<Record<string, string>>
  /** Syncing fails so many times, or until `heal`. */
  fail(times?: number): Promise<void>
  heal(): Promise<void>
  /**
   * The power was cut when the process ended: each file is cut to the length that it had when it was last synced. Returns
   * how many bytes that took.
   */
  losePower(): Promise<number>
}

/** Compiles the shim for one data directory; or says why it cannot. */
export function buildDiskShim(work: string, directory: string): DiskShim | { readonly reason: string } {
  const library = join(work, 'disk-shim.so')
  try {
    execFileSync('gcc', ['-shared', '-fPIC', '-O1', '-Wall', '-Werror', '-o', library, SOURCE, '-ldl', '-lpthread'], {
      stdio: 'pipe',
    })
  } catch (error) {
    return { reason: `the shim cannot be compiled here: ${error instanceof Error ? error.message : String(error)}` }
  }
  const failFile = join(work, 'shim-fail')
  const recordFile = join(work, 'shim-record')
  // What is there already was written without the recorder, and is taken for synced.
  const before = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const paths = before.map((entry) => join(entry.parentPath, entry.name))
  writeFileSync(recordFile, paths.map((path) => `S ${statSync(path).size} ${path}\n`).join(''))
  return {
    env: { LD_PRELOAD: library, SHIM_DIRECTORY: `${directory}/`, SHIM_FAIL: failFile, SHIM_RECORD: recordFile },
    fail: (times) => writeFile(failFile, times === undefined ? '' : `${times}\n`),
    heal: () => rm(failFile, { force: true }),
    async losePower() {
      const synced = await syncedLengths(recordFile)
      let cut = 0
      for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile()) continue
        const path = join(entry.parentPath, entry.name)
        const { size } = await stat(path)
        // What was never synced need not be there at all; empty is the least that is left of it.
        const kept = Math.min(size, synced.get(path) ?? 0)
        cut += size - kept
        if (kept < size) await truncate(path, kept)
      }
      return cut
    },
  }
}

async function syncedLengths(recordFile: string): Promise<Map<string, number>> {
  const lengths = new Map<string, number>()
  for (const line of (await readFile(recordFile, 'utf8')).split('\n')) {
    const [kind = '', first = '', second = ''] = line.split(' ')
    if (kind === 'S') lengths.set(second, Number(first))
    else if (kind === 'U') lengths.delete(first)
    else if (kind === 'R') {
      const length = lengths.get(first)
      lengths.delete(first)
      if (length === undefined) lengths.delete(second)
      else lengths.set(second, length)
    }
  }
  return lengths
}
