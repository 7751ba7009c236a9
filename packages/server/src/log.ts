import type { Log } from '@grapevine/core'
import { pino, type DestinationStream } from 'pino'
import type { LogLevel } from './config/options.ts'

/** The log of the core, and what only the server says. */
export interface ServerLog extends Log {
  debug(event: string, fields?: Readonly<Record<string, unknown>>): void
  /** Writes out what is buffered; the process is about to end. */
  flush(): void
}

/** JSON lines on stdout: `{ "time", "level", "node", "event", … }`. */
export function openLog(level: LogLevel, node: string, destination?: DestinationStream): ServerLog {
  const options = {
    level,
    base: { node },
    messageKey: 'event',
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    errorKey: 'error',
  }
  const logger = destination === undefined ? pino(options) : pino(options, destination)
  return {
    info: (event, fields) => logger.info(withErrors(fields), event),
    warn: (event, fields) => logger.warn(withErrors(fields), event),
    error: (event, fields) => logger.error(withErrors(fields), event),
    debug: (event, fields) => logger.debug(withErrors(fields), event),
    flush: () => logger.flush(),
  }
}

/** Errors have no enumerable fields, so JSON would show `{}` for them under any name. */
function withErrors(fields: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const plain: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(fields))
    plain[name] = value instanceof Error ? pino.stdSerializers.err(value) : value
  return plain
}
