import type { CommitBatch, Roster, Store } from '@grapevine/core'
import type { RunningReplica } from '@grapevine/replica'
import type { DataDirectory } from '@grapevine/storage'
import { StoreError } from '@grapevine/core'
import type { NodeClock } from './node-clock.ts'
import type { NodePlan } from './plan.ts'
import { SimulatedDatabase } from './simulated-database.ts'
import type { DiskImage, SimulatedDisk } from './simulated-disk.ts'
import type { SimulatedProcess } from './simulated-process.ts'

/** A program that runs on a machine. `replica` is there once the store is open. */
export interface Running {
  readonly process: SimulatedProcess
  replica: RunningReplica | undefined
  store: Store | undefined
  /** What the last look at it showed. */
  wasReady: boolean
  readonly opinions: Map<string, string>
}

/** One computer: what stays when its program dies. */
export interface Machine {
  readonly name: string
  readonly plan: NodePlan
  readonly cluster: string
  readonly disk: SimulatedDisk
  readonly clock: NodeClock
  address: string
  running: Running | undefined
  starts: number
  /** Whether it was ever ready since its disk was empty. */
  wasMember: boolean
  /** The replica that its disk is of, as far as it was ever seen. */
  replica: string
  /** It has not become a member yet, with the directory that it has. */
  isJoining: boolean
  /** What it was before, by itself: noted beside the directory. */
  former: readonly string[]
  /** The id by which it asks for a sponsor, noted there as well; empty when it has not asked with this directory. */
  joinAs: string
  /** Who is just being asked to end its membership. */
  condemnedBy: SimulatedProcess | undefined
  /** Its disk is older than it was, and perhaps it has not noticed. */
  isOld: boolean
  /** The roster on its disk. */
  roster: Roster
  /** How its operator starts it next. */
  founds: boolean
  readonly foundsFirst: boolean
  rebuild: boolean
  /** Its operator leaves it alone until this moment. */
  downUntilMs: number
  /** What is on its way to the disk. */
  pending: CommitBatch | undefined
}

/** A machine's disk at some moment, and what it says of whose it is. */
export interface MachineImage {
  readonly disk: DiskImage
  readonly replica: string
  readonly roster: Roster
}

/** The data directory of a machine, for one process that runs on it. */
export function directoryOf({ name, disk }: Machine, process: SimulatedProcess): DataDirectory {
  return {
    path: name,
    identity: {
      path: `${name}/identity.json`,
      read: async () => {
        await process.pass(disk.readLatencyMs())
        return disk.identity
      },
      replace: async (text) => {
        disk.onOperation()
        await process.pass(disk.writeLatencyMs())
        if (disk.isFull) throw new Error('ENOSPC: no space left on device')
        disk.identity = text
        disk.onOperation()
      },
    },
    databaseFiles: async () => {
      await process.pass(disk.readLatencyMs())
      return disk.exists ? ['CURRENT'] : []
    },
    openDatabase: async (isNew) => {
      const db = new SimulatedDatabase(disk, process)
      try {
        await db.open({ createIfMissing: isNew, errorIfExists: isNew })
      } catch (error) {
        throw storeErrorOf(error)
      }
      return db
    },
  }
}

function storeErrorOf(error: unknown): StoreError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const message = cause instanceof Error ? cause.message : String(cause)
  const code = /does not exist/.test(message)
    ? 'data_missing'
    : /lock/.test(message)
      ? 'locked'
      : /No space left/.test(message)
        ? 'disk_full'
        : 'io_error'
  return new StoreError(code, `the database cannot be opened: ${message}`, { cause: error })
}
