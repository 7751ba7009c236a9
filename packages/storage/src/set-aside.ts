import { StoreError } from '@grapevine/core'
import { ClassicLevel } from 'classic-level'
import { mkdir, readdir, rename, rm, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { DurableFile, syncDirectory } from './durable-file.ts'
import { IdentityFile } from './identity-file.ts'
import { storeErrorOf } from './store-trouble.ts'

/** Whom a data directory was of: replicas that are none any more, and whoever lets this node in evicts (frontier.md R13). */
export interface Former {
  readonly replicas: readonly string[]
  /** Peer ports where members lived: a founder has no seeds to ask. */
  readonly addresses: readonly string[]
  /** The id by which this node has asked to be let in, and may have been; empty for none. */
  readonly joiner: string
}

export interface SetAside extends Omit<Former, 'joiner'> {
  /** Names the directory that the data goes to. */
  readonly stamp: string
  /** The data goes away altogether: an unfinished join holds nothing of its own. */
  readonly discards?: boolean
}

const ASIDE = 'aside-'

/**
 * Moves a data directory's content aside, and notes whose it was. The note comes first and says what is under way, so that
 * after a crash at any point the next start finishes the move and knows what this node was: an empty directory without a
 * note would be that of a stranger.
 *
 * @returns where it went, or undefined when there was nothing, or it was discarded.
 */
export async function setAside(directory: string, what: SetAside): Promise<string | undefined> {
  await formerOf(directory)
  if ((await ours(directory)).length === 0) return undefined
  await refuseLocked(directory)
  const { stamp, replicas, addresses, discards = false } = what
  await write(directory, { replicas, addresses, joiner: '', moving: `${ASIDE}${stamp}`, discards })
  await finishMove(directory)
  return discards ? undefined : join(directory, `${ASIDE}${stamp}`)
}

/** Whose directory this was, once a move that was cut off has been finished; undefined for that of nobody before. */
export async function formerOf(directory: string): Promise<Former | undefined> {
  await finishMove(directory)
  return read(directory)
}

/**
 * Notes by which id the node is going to ask for a sponsor. A sponsor whose answer is lost in a crash has a member of that id, and
 * of this name: only who asks by it once more is let in.
 */
export async function noteJoiner(directory: string, joiner: string): Promise<void> {
  const before = await read(directory)
  await write(directory, { replicas: [], addresses: [], moving: '', discards: false, ...before, joiner })
}

/** Once the node is a member. */
export async function forgetFormer(directory: string): Promise<void> {
  await unlink(noteOf(directory).path).catch(unlessMissing)
}

/** Where data was set aside, oldest first. Nothing ever removes it but whoever has looked at it. */
export async function asidesIn(directory: string): Promise<readonly string[]> {
  const names = await readdir(directory).catch(unlessMissing)
  return (names ?? [])
    .filter((name) => name.startsWith(ASIDE))
    .toSorted()
    .map((name) => join(directory, name))
}

/**
 * Removes what a node left that ended before it was anybody: a database without an identity (frontier.md R18).
 * @throws {StoreError} `wrong_directory` when the directory says that it is somebody's.
 */
export async function discardUnfinished(directory: string): Promise<void> {
  const record = await new IdentityFile(new DurableFile(join(directory, 'identity.json'))).read()
  if (record?.sealed === true)
    throw new StoreError('wrong_directory', `${directory} holds the data of replica ${record.replica}`)
  for (const name of await ours(directory)) await rm(join(directory, name), { recursive: true, force: true })
}

interface Note extends Former {
  /** Where the data is being moved to; empty when it has been. */
  readonly moving: string
  readonly discards: boolean
}

async function finishMove(directory: string): Promise<void> {
  const note = await read(directory)
  if (note === undefined || note.moving === '') return
  const aside = join(directory, note.moving)
  try {
    await mkdir(aside, { recursive: true })
    for (const name of await ours(directory)) await rename(join(directory, name), join(aside, name))
    await syncDirectory(aside)
    await syncDirectory(directory)
    if (note.discards) await rm(aside, { recursive: true, force: true })
  } catch (error) {
    throw storeErrorOf(`what is in ${directory} cannot be moved to ${aside}`, error)
  }
  await write(directory, { ...note, moving: '' })
}

async function ours(directory: string): Promise<string[]> {
  const names = (await readdir(directory).catch(unlessMissing)) ?? []
  return names.filter((name) => name === 'db' || name.startsWith('identity.json') || name.startsWith('scrub.json'))
}

/** Renaming succeeds also under a process that has the database open, which then goes on writing into what was set aside. */
async function refuseLocked(directory: string): Promise<void> {
  const location = join(directory, 'db')
  const db = new ClassicLevel(location)
  try {
    await db.open({ createIfMissing: false })
    await db.close()
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined
    // Whatever else is wrong with it is why it is set aside.
    if (cause instanceof Error && 'code' in cause && cause.code === 'LEVEL_LOCKED')
      throw new StoreError('locked', `${location} is in use by another process`, { cause: error })
  }
}

function noteOf(directory: string): DurableFile {
  return new DurableFile(join(directory, 'former.json'))
}

async function write(directory: string, note: Note): Promise<void> {
  try {
    await noteOf(directory).replace(`${JSON.stringify({ format: 1, ...note }, null, 2)}\n`)
  } catch (error) {
    throw storeErrorOf(`${noteOf(directory).path} cannot be written`, error)
  }
}

async function read(directory: string): Promise<Note | undefined> {
  const file = noteOf(directory)
  const text = await file.read()
  if (text === undefined) return undefined
  const note = parse(text)
  if (note === undefined)
    throw new StoreError('wrong_directory', `${file.path} is no note of this version of Grapevine`)
  return note
}

function parse(text: string): Note | undefined {
  try {
    const { format, replicas, addresses, joiner, moving, discards } = JSON.parse(text) as Partial<Note> & {
      format?: unknown
    }
    const isRight = format === 1 && isTexts(replicas) && isTexts(addresses) && typeof discards === 'boolean'
    // The name becomes a path: it may lead nowhere but into this directory.
    if (!isRight || typeof joiner !== 'string' || typeof moving !== 'string' || !/^(aside-[\w.-]+)?$/.test(moving))
      return undefined
    return { replicas, addresses, joiner, moving, discards }
  } catch {
    return undefined
  }
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}

function unlessMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT') return undefined
  throw error
}
