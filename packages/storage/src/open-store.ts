import { StoreError, type Hash } from '@grapevine/core'
import { ClassicLevel } from 'classic-level'
import { access, constants, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { DurableFile } from './durable-file.ts'
import type { LevelStore } from './level-store.ts'
import { openDirectory } from './open-directory.ts'
import { messageOf, storeErrorOf } from './store-trouble.ts'

export interface OpenStoreOptions {
  readonly directory: string
  readonly hash: Hash
  /**
   * LevelDB's write buffer. Larger means fewer rewrites of the same data and more memory: random overwrites are written 5.0
   * times with 4 MiB, and 2.8 times with 32 MiB.
   */
  readonly writeBufferBytes: number
  /** LevelDB's block cache. */
  readonly cacheBytes: number
}

/**
 * Opens the store of a data directory. An empty directory becomes a new store; one that held data is opened as it
 * is, or not at all (P12): nothing is ever repaired or created over it.
 *
 * @throws {StoreError} `locked`, `data_missing`, `wrong_directory` or `permission`, with what to do.
 */
export async function openStore(options: OpenStoreOptions): Promise<LevelStore> {
  const { directory, hash } = options
  await makeUsable(directory)
  const location = join(directory, 'db')
  let opened: ClassicLevel<Buffer, Buffer> | undefined
  return openDirectory(
    {
      path: directory,
      identity: new DurableFile(join(directory, 'identity.json')),
      databaseFiles: () => filesIn(location),
      openDatabase: async (isNew) => (opened = await openClassicLevel(options, location, isNew)),
      compactDatabase: async () => {
        if (opened !== undefined) await compactTables(opened)
      },
    },
    hash,
  )
}

/**
 * More than this is not rewritten for the sake of space: it would keep the disk busy for more than about a second, and closing
 * waits for it. LevelDB gets there by itself, table by table, and what it has not got to is a small share of so much.
 */
const REWRITE_BYTES_MAX = 64 * 1024 ** 2
/** Around and behind every row: their names begin with letters. */
const FIRST_ROW = Buffer.alloc(1)
const LAST_ROW = Buffer.alloc(1, 0xff)
const AS_BYTES = { keyEncoding: 'buffer' } as const

/**
 * The write-ahead log becomes a table, and dropped rows leave the tables: else they lie there until enough has been written
 * on top of them, and the log alone may hold a whole write buffer of what is long gone.
 */
async function compactTables(db: ClassicLevel<Buffer, Buffer>): Promise<void> {
  const bytes = await db.approximateSize(FIRST_ROW, LAST_ROW, AS_BYTES)
  // A range in which there is nothing costs no more than to empty the log.
  await db.compactRange(bytes > REWRITE_BYTES_MAX ? LAST_ROW : FIRST_ROW, LAST_ROW, AS_BYTES)
}

async function openClassicLevel(
  options: OpenStoreOptions,
  location: string,
  isNew: boolean,
): Promise<ClassicLevel<Buffer, Buffer>> {
  const db = new ClassicLevel<Buffer, Buffer>(location, { keyEncoding: 'buffer', valueEncoding: 'buffer' })
  try {
    await db.open({
      createIfMissing: isNew,
      errorIfExists: isNew,
      writeBufferSize: options.writeBufferBytes,
      cacheSize: options.cacheBytes,
    })
  } catch (error) {
    throw openingErrorOf(error, location)
  }
  return db
}

function openingErrorOf(error: unknown, location: string): StoreError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  const message = messageOf(error)
  const trouble = storeErrorOf(`the database in ${location} cannot be opened`, error)
  // Looked at first: LevelDB says of a table which it may not open that it is missing.
  if (trouble.code !== 'io_error') return trouble
  if (code === 'LEVEL_LOCKED')
    return new StoreError('locked', `${location} is in use by another process`, { cause: error })
  if (code === 'LEVEL_CORRUPTION' || /corruption|missing file|no such file|does not exist/i.test(message))
    return new StoreError('data_missing', `the database in ${location} cannot be opened: ${message}`, { cause: error })
  return trouble
}

async function makeUsable(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true })
    await access(directory, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    const { code, message } = storeErrorOf('the data directory cannot be used', error)
    throw new StoreError(code === 'io_error' ? 'permission' : code, message, { cause: error })
  }
}

async function filesIn(location: string): Promise<string[]> {
  return readdir(location).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
}
