import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'

/** A small file system of its own in memory. */
export interface SmallDisk {
  /** Why there is none, or undefined. */
  readonly reason: string | undefined
  remount(options: string): void
  unmount(): void
}

export function mountSmallDisk(directory: string, bytes: string): SmallDisk {
  mkdirSync(directory, { recursive: true })
  const mount = (options: string): void => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'grapevine-test', directory], { stdio: 'pipe' })
  }
  try {
    mount(`size=${bytes}`)
  } catch (error) {
    return {
      reason: `a small file system cannot be mounted here: ${error instanceof Error ? error.message : String(error)}`,
      remount: () => {},
      unmount: () => {},
    }
  }
  return {
    reason: undefined,
    remount: (options) => mount(`remount,${options}`),
    unmount: () => execFileSync('umount', [directory], { stdio: 'pipe' }),
  }
}
