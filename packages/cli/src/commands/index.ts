import type { Command } from '../command.ts'
import { bucket } from './bucket.ts'
import { config } from './config.ts'
import { deleteCommand } from './delete.ts'
import { dev } from './dev.ts'
import { diff } from './diff.ts'
import { divergence } from './divergence.ts'
import { evict } from './evict.ts'
import { exportCommand } from './export.ts'
import { get } from './get.ts'
import { importCommand } from './import.ts'
import { inspect } from './inspect.ts'
import { leave } from './leave.ts'
import { list } from './list.ts'
import { members } from './members.ts'
import { put } from './put.ts'
import { repair } from './repair.ts'
import { scrub } from './scrub.ts'
import { server } from './server.ts'
import { simulate } from './simulate.ts'
import { snapshot } from './snapshot.ts'
import { status } from './status.ts'
import { tombstones } from './tombstones.ts'
import { UNBUILT } from './unbuilt.ts'
import { watchCommand } from './watch.ts'

/** In the order of the overview. */
export const COMMANDS: readonly Command[] = [
  dev,
  server,
  status,
  members,
  get,
  put,
  deleteCommand,
  list,
  watchCommand,
  bucket,
  importCommand,
  exportCommand,
  snapshot,
  divergence,
  diff,
  inspect,
  repair,
  scrub,
  tombstones,
  leave,
  evict,
  config,
  simulate,
  ...UNBUILT,
]
