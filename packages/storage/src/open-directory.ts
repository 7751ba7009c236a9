import { StoreError, type Hash } from '@grapevine/core'
import { IdentityFile, type IdentityRecord, type TextFile } from './identity-file.ts'
import { LevelStore, type Database } from './level-store.ts'

/** What a data directory is made of, on a real disk or on one that is only thought of. */
export interface DataDirectory {
  /** For messages. */
  readonly path: string
  /** `identity.json`. */
  readonly identity: TextFile
  /** Names of the database's own files; none when there is no database yet. */
  databaseFiles(): Promise<readonly string[]>
  /**
   * Opens the database: a new one only where none is, an old one only where one is.
   * @throws {StoreError}
   */
  openDatabase(isNew: boolean): Promise<Database>
  /** Has the database that was opened last give back space, where it can. */
  compactDatabase?(): Promise<void>
}

const REBUILD_HINT =
  'Put the missing files back from where they went, or start this node once with --rebuild: it moves the directory ' +
  'aside and fetches everything from the other nodes again.'

/**
 * Opens the store of a data directory. An empty directory becomes a new store; one that held data is opened as it
 * is, or not at all (P12): nothing is ever repaired or created over it.
 *
 * @throws {StoreError} with what to do.
 */
export async function openDirectory(directory: DataDirectory, hash: Hash): Promise<LevelStore> {
  const { path } = directory
  const identityFile = new IdentityFile(directory.identity)
  const record = await identityFile.read()
  const files = await directory.databaseFiles()
  if (record?.sealed === true && !files.includes('CURRENT'))
    throw new StoreError(
      'data_missing',
      `${path} holds the data of replica ${record.replica}, but its database has no CURRENT file. ${REBUILD_HINT}`,
    )
  const isNew = !files.includes('CURRENT')
  if (isNew && files.some(isOfAnOpenedDatabase))
    throw new StoreError(
      'data_missing',
      `${path} holds tables of a database but no CURRENT file, so opening it would begin an empty one. ${REBUILD_HINT}`,
    )
  const store = await openGuarded(directory, isNew, identityFile, hash)
  try {
    await agree(store, record, identityFile, path)
    return store
  } catch (error) {
    await store.close()
    throw error
  }
}

async function openGuarded(
  directory: DataDirectory,
  isNew: boolean,
  identityWitness: IdentityFile,
  hash: Hash,
): Promise<LevelStore> {
  let created = !isNew
  try {
    return await LevelStore.open({
      hash,
      identityWitness,
      compactDatabase: async () => directory.compactDatabase?.(),
      openDatabase: async () => {
        const db = await directory.openDatabase(!created)
        created = true
        return db
      },
    })
  } catch (error) {
    if (error instanceof StoreError) throw hinted(error, directory.path)
    throw error
  }
}

function hinted(error: StoreError, directory: string): StoreError {
  if (error.code !== 'data_missing' || error.message.includes(REBUILD_HINT)) return error
  return new StoreError('data_missing', `${directory}: ${error.message}. ${REBUILD_HINT}`, { cause: error.cause })
}

/** The first manifest is there before `CURRENT`, and replaced when there is one: alone it is of a start that was cut off. */
function isOfAnOpenedDatabase(file: string): boolean {
  return /\.(ldb|log)$/.test(file) || (file.startsWith('MANIFEST') && file !== 'MANIFEST-000001')
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
