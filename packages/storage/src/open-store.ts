import { StoreError, type Hash } from '@grapevine/core'
import { ClassicLevel } from 'classic-level'
import { access, constants, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { DurableFile } from './durable-file.ts'
import type { Database, LevelStore } from './level-store.ts'
import { openDirectory } from './open-directory.ts'
import { messageOf, storeErrorOf } from './store-trouble.ts'

export interface OpenStoreOptions {
  readonly directory: string
  readonly hash: Hash
  /** LevelDB's write buffer. Larger means fewer rewrites of the same data and more memory (facts.md: 32 MiB, 2.8 ×). */
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
  return openDirectory(
    {
      path: directory,
      identity: new DurableFile(join(directory, 'identity.json')),
      databaseFiles: () => filesIn(location),
      openDatabase: (isNew) => openClassicLevel(options, location, isNew),
    },
    hash,
  )
}

async function openClassicLevel(options: OpenStoreOptions, location: string, isNew: boolean): Promise<Database> {
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
    return new StoreError(
      'locked',
      `${location} is in use by another process. Stop that one, or give this node a --data-dir of its own.`,
      { cause: error },
    )
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
