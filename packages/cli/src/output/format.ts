import type { FlagSpec } from '../command.ts'
import type { Flags } from '../flags.ts'

/** `table` is for people and may change; the others are for programs and do not. */
export type Format = 'table' | 'json' | 'ndjson'

export const OUTPUT_FLAGS: Readonly<Record<string, FlagSpec>> = {
  output: { type: 'string', short: 'o', value: 'FORMAT', help: 'table, json or ndjson (table)' },
}

export function formatOf(flags: Flags): Format {
  return flags.choice('output', ['table', 'json', 'ndjson']) ?? 'table'
}
