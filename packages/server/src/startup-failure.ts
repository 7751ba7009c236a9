import { StoreError, type StoreErrorCode } from '@grapevine/core'
import { FatalError } from '@grapevine/replica'
import type { ServerConfig } from './config/options.ts'
import { errorCodeOf, fieldOf } from './error-code.ts'

/** What went wrong at the start and what to do about it, as one paragraph; or `undefined` for a bug of ours. */
export function explainStartupFailure(error: unknown, config: ServerConfig): string | undefined {
  if (error instanceof FatalError) return error.message
  if (error instanceof StoreError) return `${error.message.replace(/\.$/, '')}. ${STORE_ADVICE[error.code](config)}`
  const code = errorCodeOf(error)
  const port = fieldOf(error, 'port')
  const host = fieldOf(error, 'address') ?? fieldOf(error, 'hostname') ?? ''
  const at = port === undefined ? host : `${host}:${port}`
  if (code === 'EADDRINUSE')
    return `Another process listens on ${at}. Stop it, or choose other ports with --listen and --peer-listen.`
  if (code === 'EACCES' && port !== undefined)
    return `This user may not listen on ${at}. Choose ports from 1024 on with --listen and --peer-listen.`
  if (code === 'EMFILE' || code === 'ENFILE') return STORE_ADVICE.too_many_files(config)
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
    return `${at} is no address of this machine. Check --listen and --peer-listen; 0.0.0.0 listens on all, with --advertise to say which to call.`
  return undefined
}

const STORE_ADVICE: Readonly<Record<StoreErrorCode, (config: ServerConfig) => string>> = {
  locked: ({ dataDir }) =>
    `Another process has ${dataDir} open, most likely this node itself. Stop that one first, or give each node its own --data-dir.`,
  data_missing: ({ dataDir }) =>
    `${dataDir} says that it held data which is not there now, or cannot be read any more. If a disk is not mounted, mount it. If the data is lost, move the directory away and start with --rebuild and --seed: the node then comes back with what the others have.`,
  wrong_directory: ({ dataDir }) =>
    `${dataDir} belongs to another node or another program. Check --data-dir and --name; nothing in it was changed.`,
  permission: ({ dataDir }) =>
    `This user may not read and write ${dataDir}. Give it to the user, or choose another --data-dir.`,
  disk_full: ({ dataDir, diskReserve }) =>
    `There is no space left for ${dataDir}. Make room there, ${Math.ceil(diskReserve / 1024 ** 2)} MiB and more, and start again. Nothing was changed.`,
  too_many_files: () =>
    'This process may not open enough files. Raise the limit (ulimit -n, LimitNOFILE= of systemd) to 4096 or more, and start again. Nothing was changed.',
  io_error: ({ dataDir }) =>
    `${dataDir} cannot be read or written: look at the disk's space and health, then start again. Nothing was changed.`,
}
