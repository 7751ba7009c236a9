import { parseArgs } from 'node:util'
import { CLUSTER_FLAGS } from './cluster-access.ts'
import type { Command, FlagSpec } from './command.ts'
import { COMMANDS } from './commands/index.ts'
import { CommandError, EXIT, exitCodeOf, type ExitCode } from './exit-code.ts'
import { Flags } from './flags.ts'
import { helpOf, overview } from './help.ts'
import { nextStepOf } from './next-step.ts'
import { formatOf, OUTPUT_FLAGS } from './output/format.ts'
import type { Shell } from './shell.ts'
import { UsageError } from './usage-error.ts'
import { softwareVersion } from './version.ts'

/** What every command takes beside its own. */
export const COMMON_FLAGS: Readonly<Record<string, FlagSpec>> = {
  ...CLUSTER_FLAGS,
  ...OUTPUT_FLAGS,
  help: { type: 'boolean', short: 'h', help: 'This text' },
}

/** For a command to end in order after Ctrl-C. */
const INTERRUPT_GRACE_MS = 1_000

/** Runs one command line, without the program's name, from its words to its exit code. */
export async function runCommandLine(argv: readonly string[], shell: Shell): Promise<ExitCode> {
  const { command, name, rest } = findCommand(argv)
  try {
    if (command === undefined) return await runWithout(name, rest, shell)
    return await runOne(command, rest, shell)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    await shell.stderr.write(`grapevine: ${message}\n`)
    const next = nextStepOf(error, command)
    if (next !== undefined) await shell.stderr.write(`Next: ${next}\n`)
    if (shell.env['GRAPEVINE_DEBUG'] && error instanceof Error) await shell.stderr.write(`${error.stack}\n`)
    return exitCodeOf(error)
  }
}

async function runOne(command: Command, rest: readonly string[], shell: Shell): Promise<ExitCode> {
  const never = new AbortController().signal
  if (command.raw) return command.run({ args: rest, flags: new Flags({}), shell, signal: never })
  const { values, positionals } = parse(command, rest)
  if (values['help'] === true) {
    await shell.stdout.write(helpOf(command, COMMON_FLAGS))
    return EXIT.good
  }
  const { least, most } = command.takes
  if (positionals.length < least) throw new UsageError(`Something is missing: grapevine ${command.usage}`)
  if (positionals.length > most)
    throw new UsageError(`${JSON.stringify(positionals[most])} is one word too many: grapevine ${command.usage}`)
  const flags = new Flags(values)
  // Before anything is done: a write that is then told of in no known form would still have been made.
  formatOf(flags)
  const signal = command.ownsSignals ? never : shell.interrupts()
  const run = command.run({ args: positionals, flags, shell, signal })
  return Promise.race([run, interruption(signal)])
}

/** Fails a while after an interrupt: some things, such as a read from a terminal, do not hear of it. */
function interruption(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const give = (): void => reject(new CommandError('Interrupted.', { exitCode: EXIT.interrupted }))
    signal.addEventListener('abort', () => setTimeout(give, INTERRUPT_GRACE_MS).unref(), { once: true })
  })
}

/** No command, or none that there is. */
async function runWithout(name: string | undefined, rest: readonly string[], shell: Shell): Promise<ExitCode> {
  if (name === undefined && rest.includes('--version')) {
    await shell.stdout.write(`grapevine ${softwareVersion()}\n`)
    return EXIT.good
  }
  if (name === undefined || name === 'help') {
    const asked = name === 'help' || rest.includes('--help') || rest.includes('-h')
    await (asked ? shell.stdout : shell.stderr).write(overview(COMMANDS))
    return asked ? EXIT.good : EXIT.usage
  }
  throw new UsageError(`There is no command ${JSON.stringify(name)}.`)
}

interface Found {
  readonly command: Command | undefined
  /** The command's word, whether there is such a command or not. */
  readonly name: string | undefined
  readonly rest: readonly string[]
}

/** The command is the first word that is neither an option nor the value of one: options may stand before it. */
function findCommand(argv: readonly string[]): Found {
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index] ?? ''
    if (!word.startsWith('-')) {
      // `grapevine help put` is `grapevine put --help`.
      const next = argv[index + 1]
      if (word === 'help' && next !== undefined) return { ...named(next), rest: ['--help'] }
      return { ...named(word), rest: argv.toSpliced(index, 1) }
    }
    if (takesValue(word)) index++
  }
  return { command: undefined, name: undefined, rest: argv }
}

function named(name: string): { readonly command: Command | undefined; readonly name: string } {
  return { command: COMMANDS.find((command) => command.name === name), name }
}

function takesValue(word: string): boolean {
  return Object.entries(COMMON_FLAGS).some(
    ([name, { type, short }]) => type === 'string' && (word === `--${name}` || word === `-${short}`),
  )
}

function parse(
  command: Command,
  args: readonly string[],
): { readonly values: Readonly<Record<string, unknown>>; readonly positionals: readonly string[] } {
  const specs = { ...COMMON_FLAGS, ...command.flags }
  const options = Object.fromEntries(
    Object.entries(specs).map(([name, { type, short, multiple = false }]) => [
      name,
      { type, multiple, ...(short !== undefined && { short }) },
    ]),
  )
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true })
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    // Node's advice on how to pass a word that begins with a dash stands in further sentences.
    throw new UsageError(`${message.split('. ')[0]?.replace(/\.$/, '')}.`)
  }
}
