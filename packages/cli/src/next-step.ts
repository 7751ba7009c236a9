import { GrapevineError, type ErrorCode } from '@grapevine/client'
import type { Command } from './command.ts'
import { CommandError, EXIT, exitCodeOf } from './exit-code.ts'
import { UsageError } from './usage-error.ts'

/** What to try next, for whoever reads the error. */
export function nextStepOf(error: unknown, command: Command | undefined): string | undefined {
  if (error instanceof CommandError) return error.next
  if (error instanceof UsageError)
    return command === undefined ? 'grapevine --help' : `grapevine ${command.name} --help`
  if (error instanceof GrapevineError && error.code === 'aborted') return undefined
  if (!(error instanceof GrapevineError)) return 'set GRAPEVINE_DEBUG=1 to see where it came from'
  if (error.outcome === 'unknown') return 'read the value to see what became of it, or repeat the command'
  const help = `grapevine ${command?.name ?? ''} --help`
  const trace = error.traceId === undefined ? '' : `; the node's log tells more of it as ${error.traceId}`
  if (exitCodeOf(error) === EXIT.usage) return help
  return NEXT[error.code] ?? `${error.status === undefined ? help : 'grapevine status'}${trace}`
}

const NEXT: Partial<Record<ErrorCode, string>> = {
  unreachable: 'start a cluster with `grapevine dev`, or name a node with --endpoint',
  timeout: 'grapevine status, or allow more time with --timeout 30s',
  unauthorized: 'give a token with --token, GRAPEVINE_TOKEN or GRAPEVINE_TOKEN_FILE',
  forbidden: 'give a token that permits this with --token, GRAPEVINE_TOKEN or GRAPEVINE_TOKEN_FILE',
  precondition_failed: 'read the present version with `grapevine get BUCKET KEY -o json`',
  quorum_not_met: 'grapevine members; a smaller --w is met by fewer nodes',
  disk_full: 'make room on the disk of the node: it takes writes again by itself',
  overloaded: 'try again in a moment',
  rate_limited: 'try again in a moment',
  not_ready: 'try again in a moment, or look at `grapevine status`',
  cloned: 'stop both nodes of this id, then start one as it was, the other with --rebuild and another --name',
  too_large: "values have a limit, the node's valueMax: see `grapevine config print`",
}
