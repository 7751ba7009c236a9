import type { WriteOptions } from '@grapevine/client'
import { parseWriteConcern } from '@grapevine/contract'
import type { Call, FlagSpec } from './command.ts'
import { UsageError } from './usage-error.ts'

/** What `put` and `delete` have in common. */
export const WRITE_FLAGS: Readonly<Record<'w' | 'if-match' | 'if-absent', FlagSpec>> = {
  w: { type: 'string', short: 'w', value: 'W', help: 'Members that must hold it: a number, quorum or all (1)' },
  'if-match': { type: 'string', value: 'ETAG', help: 'Only if this is the version on the node that is asked' },
  'if-absent': { type: 'boolean', help: 'Only if nothing is there' },
}

export function writeOptionsOf({ flags, signal }: Call): WriteOptions {
  const text = flags.text('w')
  const w = text === undefined ? undefined : parseWriteConcern(text)
  if (text !== undefined && w === undefined)
    throw new UsageError(`--w must be a number of members, quorum or all, and ${JSON.stringify(text)} is none.`)
  if (flags.has('if-absent') && flags.text('if-match') !== undefined)
    throw new UsageError('--if-match and --if-absent exclude each other: a key cannot be both there and not.')
  return { w, ifMatch: flags.text('if-match'), ifAbsent: flags.has('if-absent'), signal }
}
