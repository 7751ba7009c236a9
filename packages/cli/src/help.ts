import type { Command, FlagSpec } from './command.ts'

/** The help of one command: usage, its own options, the common ones, examples. */
export function helpOf(command: Command, common: Readonly<Record<string, FlagSpec>>): string {
  const own = Object.entries(command.flags)
  const shared = Object.entries(common).filter(([name]) => !(name in command.flags))
  return [
    `${command.summary}.\n`,
    `Usage: grapevine ${command.usage}\n`,
    ...(command.details === undefined ? [] : [`${command.details}\n`]),
    ...(own.length === 0 ? [] : ['Options:', `${flagRows(own)}\n`]),
    ...(shared.length === 0 ? [] : ['Common options:', `${flagRows(shared)}\n`]),
    'Examples:',
    ...command.examples.map((example) => `  ${example}`),
    '',
  ].join('\n')
}

export function overview(commands: readonly Command[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length))
  return [
    'Grapevine is an eventually consistent key-value store that shows whether its replicas agree.\n',
    'Usage: grapevine COMMAND [ARGUMENTS]\n',
    'Commands:',
    ...commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    '',
    'Examples:',
    '  grapevine dev --nodes 3',
    '  grapevine put demo greeting hello',
    '',
    'grapevine COMMAND --help says more of each.',
    '',
  ].join('\n')
}

function flagRows(flags: readonly (readonly [string, FlagSpec])[]): string {
  const rows = flags.map(([name, { type, short, value = 'VALUE', help }]) => {
    const long = `--${name}${type === 'string' ? ` ${value}` : ''}`
    return [short === undefined ? `    ${long}` : `-${short}, ${long}`, help] as const
  })
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join('\n')
}
