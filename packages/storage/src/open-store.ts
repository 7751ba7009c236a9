import { StoreError, type Hash } from '@grapevine/core'
import { ClassicLevel } from 'classic-level'
import { access, constants, mkdir, readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { IdentityFile, type IdentityRecord } from './identity-file.ts'
import { LevelStore, type Database } from './level-store.ts'

export interface OpenStoreOptions {
  readonly directory: string
  readonly hash: Hash
  /** LevelDB's write buffer. Larger means fewer rewrites of the same data and more memory (facts.md: 32 MiB, 2.8 ×). */
  readonly writeBufferBytes: number
  /** LevelDB's block cache. */
  readonly cacheBytes: number
}

const REBUILD_HINT =
  'Put the missing files back from where they went, or start this node once with --rebuild: it moves the directory ' +
  'aside and fetches everything from the other nodes again.'

/**
 * Opens the store of a data directory. An empty directory becomes a new store; one that held data is opened as it
 * is, or not at all (P12): nothing is ever repaired or created over it.
 *
 * @throws {StoreError} `locked`, `data_missing`, `wrong_directory` or `permission`, with what to do.
 */
export async function openStore(options: OpenStoreOptions): Promise<LevelStore> {
  const { directory } = options
  await makeUsable(directory)
  const location = join(directory, 'db')
  const identityFile = new IdentityFile(directory)
  const record = await identityFile.read()
  const files = await filesIn(location)
  if (record?.sealed === true && !files.includes('CURRENT'))
    throw new StoreError(
      'data_missing',
      `${directory} holds the data of replica ${record.replica}, but its database has no CURRENT file. ${REBUILD_HINT}`,
    )
  const isNew = !files.includes('CURRENT')
  if (isNew && files.some((file) => file.endsWith('.ldb') || file.startsWith('MANIFEST')))
    throw new StoreError(
      'data_missing',
      `${location} holds tables of a database but no CURRENT file, so opening it would begin an empty one. ${REBUILD_HINT}`,
    )
  const store = await openGuarded(options, location, isNew)
  try {
    await agree(store, record, identityFile, directory)
    return store
  } catch (error) {
    await store.close()
    throw error
  }
}

/** Moves a data directory's content aside, for `--rebuild`. Returns where it went, or undefined if it was empty. */
export async function setAside(directory: string, stamp: string): Promise<string | undefined> {
  await makeUsable(directory)
  const content = (await readdir(directory)).filter((name) => name === 'db' || name.startsWith('identity.json'))
  if (content.length === 0) return undefined
  const aside = join(directory, `aside-${stamp}`)
  await mkdir(aside)
  for (const name of content) await rename(join(directory, name), join(aside, name))
  return aside
}

async function openGuarded(options: OpenStoreOptions, location: string, isNew: boolean): Promise<LevelStore> {
  let created = !isNew
  try {
    return await LevelStore.open({
      hash: options.hash,
      identityWitness: new IdentityFile(options.directory),
      openDatabase: async () => {
        const db = await openClassicLevel(options, location, !created)
        created = true
        return db
      },
    })
  } catch (error) {
    if (error instanceof StoreError) throw hinted(error, options.directory)
    throw error
  }
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
    throw storeErrorOf(error, location)
  }
  return db
}

function storeErrorOf(error: unknown, location: string): StoreError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  const message = cause instanceof Error ? cause.message : String(cause)
  if (code === 'LEVEL_LOCKED')
    return new StoreError(
      'locked',
      `${location} is in use by another process. Stop that one, or give this node a --data-dir of its own.`,
      { cause: error },
    )
  if (code === 'LEVEL_CORRUPTION' || /corruption|missing file|no such file|does not exist/i.test(message))
    return new StoreError('data_missing', `the database in ${location} cannot be opened: ${message}`, { cause: error })
  if (/permission denied|read-only file system/i.test(message))
    return new StoreError('permission', `${location} is not writable: ${message}`, { cause: error })
  return new StoreError('io_error', `the database in ${location} cannot be opened: ${message}`, { cause: error })
}

function hinted(error: StoreError, directory: string): StoreError {
  if (error.code !== 'data_missing' || error.message.includes(REBUILD_HINT)) return error
  return new StoreError('data_missing', `${directory}: ${error.message}. ${REBUILD_HINT}`, { cause: error.cause })
}

/** The file and the database must tell of the same replica; a crash between the two may have left the file ahead. */
async function agree(
  store: LevelStore,
  record: IdentityRecord | undefined,
  file: IdentityFile,
  directory: string,
): Promise<void> {
  const { identity } = store.state
  if (identity === undefined) {
    if (record?.sealed !== true) return
    throw new StoreError(
      'data_missing',
      `${directory} holds the data of replica ${record.replica}, but its database is empty. ${REBUILD_HINT}`,
    )
  }
  if (record === undefined)
    throw new StoreError(
      'data_missing',
      `the database in ${directory} is of replica ${identity.replica}, but the file identity.json beside it is gone, ` +
        `so this may be a copy. ${REBUILD_HINT}`,
    )
  if (record.replica !== identity.replica || record.cluster !== identity.cluster)
    throw new StoreError(
      'wrong_directory',
      `identity.json in ${directory} names replica ${record.replica}, its database ${identity.replica}: the two do ` +
        `not belong together. ${REBUILD_HINT}`,
    )
  if (!record.sealed) await file.seal(identity)
}

async function makeUsable(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true })
    await access(directory, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw new StoreError('permission', `the data directory cannot be used: ${message}. Choose one with --data-dir.`, {
      cause: error,
    })
  }
}

async function filesIn(location: string): Promise<string[]> {
  return readdir(location).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
}
