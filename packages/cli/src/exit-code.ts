import { GrapevineError, type ErrorCode } from '@grapevine/client'
import { UsageError } from './usage-error.ts'

/** What scripts go by. */
export const EXIT = {
  good: 0,
  error: 1,
  usage: 2,
  notFound: 3,
  preconditionFailed: 4,
  /** Nobody answered, not in time, or too few. */
  unreachable: 5,
  /** Divergence, or ill health. */
  divergence: 6,
  /** Of `grapevine server`: another process has its directory, so that starting it again makes no sense. */
  locked: 7,
  interrupted: 130,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof UsageError) return EXIT.usage
  if (error instanceof CommandError) return error.exitCode
  if (error instanceof GrapevineError) return BY_CODE[error.code] ?? EXIT.error
  return EXIT.error
}

/** What went wrong in a command itself, said in a sentence, with what to try next. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
  readonly exitCode: ExitCode
  readonly next: string | undefined

  constructor(
    message: string,
    options: { readonly exitCode?: ExitCode; readonly next?: string; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.exitCode = options.exitCode ?? EXIT.error
    this.next = options.next
  }
}

const BY_CODE: Partial<Record<ErrorCode, ExitCode>> = {
  bad_argument: EXIT.usage,
  bad_bucket: EXIT.usage,
  bad_key: EXIT.usage,
  bad_query: EXIT.usage,
  not_found: EXIT.notFound,
  precondition_failed: EXIT.preconditionFailed,
  unreachable: EXIT.unreachable,
  timeout: EXIT.unreachable,
  behind: EXIT.unreachable,
  draining: EXIT.unreachable,
  cloned: EXIT.unreachable,
  not_ready: EXIT.unreachable,
  overloaded: EXIT.unreachable,
  peer_unreachable: EXIT.unreachable,
  quorum_not_met: EXIT.unreachable,
  rate_limited: EXIT.unreachable,
  aborted: EXIT.interrupted,
}
