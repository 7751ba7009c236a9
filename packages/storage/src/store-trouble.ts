import { StoreError, type StoreErrorCode } from '@grapevine/core'

/**
 * What the operating system says in its own words, in LevelDB's messages as in Node's: LevelDB passes on no number. What
 * passes by itself is told apart from what does not, since a node ends over the one and waits for the other.
 */
const TROUBLES: readonly (readonly [RegExp, StoreErrorCode])[] = [
  [/no space left|disk quota exceeded|ENOSPC|EDQUOT/i, 'disk_full'],
  [/too many open files|EMFILE|ENFILE/i, 'too_many_files'],
  // Met while reading for a compaction: the table does not get better by trying again.
  [/\bcorruption\b/i, 'data_missing'],
  [/permission denied|operation not permitted|read-only file system|EACCES|EPERM|EROFS/i, 'permission'],
]

export function storeErrorOf(what: string, error: unknown): StoreError {
  const message = messageOf(error)
  const code = TROUBLES.find(([words]) => words.test(message))?.[1] ?? 'io_error'
  return new StoreError(code, `${what}: ${message}`, { cause: error })
}

/** The innermost message: abstract-level wraps what the database says into "Database failed to open". */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? error.cause.message : error.message
}

/** A store that is opened again takes its views along: whoever is reading then is told so, and not of iterators. */
export async function orStoreError<T>(read: () => T | Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    throw storeErrorOf('the database cannot be read', error)
  }
}
