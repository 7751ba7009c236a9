import { tmpdir } from 'node:os'
import { parseArgs } from 'node:util'

/** How much is measured. Every scenario takes the same flags. */
export interface Settings {
  /** How often every subject has its turn. */
  readonly rounds: number
  /** Of each turn, after the warm-up. */
  readonly seconds: number
  readonly warmupSeconds: number
  readonly connections: number
  readonly keys: number
  /** For data directories: a real disk, or the cost of durability is not in the figures. */
  readonly directory: string
  /** Too short to be quoted: to see that everything runs. */
  readonly quick: boolean
  /** Where the nodes of Grapevine write a CPU profile when they stop; empty for none. */
  readonly profile: string
  /** Subjects to leave out. */
  readonly without: readonly string[]
}

export type SettingsDefaults = Partial<Pick<Settings, 'rounds' | 'seconds' | 'connections' | 'keys'>>

const QUICK = { rounds: 2, seconds: 1, warmupSeconds: 0.3, keys: 5_000 }

const HELP = `  --rounds N       turns of every subject (5, at least 5 to be quoted)
  --seconds N      of each turn
  --connections N  kept open at once
  --keys N         distinct keys
  --directory D    where data directories are made: a real disk (default: the system's temporary directory)
  --quick          short turns and few keys, to see that everything runs
  --profile D      CPU profiles of the nodes go there when they stop
  --without NAME   leave a subject out (repeatable)
`

/** Reads the command line. Ends the process after `--help` or a mistake. */
export function readSettings(defaults: SettingsDefaults = {}): Settings {
  const { values } = parse()
  if (values.help) {
    process.stdout.write(HELP)
    process.exit(0)
  }
  const base = { rounds: 5, seconds: 3, warmupSeconds: 1, keys: 100_000, connections: 64, ...defaults }
  const sized = values.quick ? { ...base, ...QUICK, keys: Math.min(base.keys, QUICK.keys) } : base
  return {
    rounds: count('rounds', values.rounds, sized.rounds),
    seconds: count('seconds', values.seconds, sized.seconds),
    warmupSeconds: sized.warmupSeconds,
    connections: count('connections', values.connections, sized.connections),
    keys: count('keys', values.keys, sized.keys),
    directory: values.directory ?? tmpdir(),
    quick: values.quick,
    profile: values.profile ?? '',
    without: values.without,
  }
}

function parse() {
  try {
    return parseArgs({
      options: {
        rounds: { type: 'string' },
        seconds: { type: 'string' },
        connections: { type: 'string' },
        keys: { type: 'string' },
        directory: { type: 'string' },
        profile: { type: 'string' },
        without: { type: 'string', multiple: true, default: [] },
        quick: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${HELP}`)
    process.exit(2)
  }
}

/** Bounded, so that a slip of the finger does not keep a machine busy for a day. */
const COUNT_MAX = 10_000_000

function count(name: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback
  const value = Number(text)
  if (value > 0 && value <= COUNT_MAX) return value
  process.stderr.write(`--${name} must be a number above 0 and up to ${COUNT_MAX}\n`)
  process.exit(2)
}
