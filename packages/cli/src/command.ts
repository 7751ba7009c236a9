import type { ExitCode } from './exit-code.ts'
import type { Flags } from './flags.ts'
import type { Shell } from './shell.ts'

export interface FlagSpec {
  readonly type: 'string' | 'boolean'
  readonly short?: string
  readonly multiple?: boolean
  /** What stands for its value in the help. */
  readonly value?: string
  readonly help: string
}

export interface Command {
  readonly name: string
  /** Half a sentence for the list of commands. */
  readonly summary: string
  /** What follows `grapevine`. */
  readonly usage: string
  /** Paragraphs between usage and options. */
  readonly details?: string
  readonly flags: Readonly<Record<string, FlagSpec>>
  readonly examples: readonly [string, string, ...string[]]
  /** How many arguments it takes. */
  readonly takes: { readonly least: number; readonly most: number }
  /** It handles signals by itself. */
  readonly ownsSignals?: true
  /** It reads its own command line, help included. */
  readonly raw?: true
  run(call: Call): Promise<ExitCode>
}

/** One run of a command. */
export interface Call {
  readonly args: readonly string[]
  readonly flags: Flags
  readonly shell: Shell
  /** Fires when the user wants no more of it. Never fires for a command that handles signals by itself. */
  readonly signal: AbortSignal
}
