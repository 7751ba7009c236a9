import { DRIFT_MS_MAX, VALUE_BYTES_MAX_DEFAULT, VALUE_BYTES_MAX_LIMIT } from '@grapevine/core'
import {
  choice,
  count,
  duration,
  HOST_AND_PORT,
  list,
  optional,
  share,
  size,
  textLike,
  YES_OR_NO,
  type OptionType,
} from './option-types.ts'

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000
const MIB = 1024 ** 2

export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'
export type RumorMode = 'eager' | 'push' | 'pull' | 'push-pull'

/** All that an operator may decide. Durations are milliseconds, sizes bytes. */
export interface ServerConfig {
  readonly name: string
  readonly dataDir: string
  readonly listen: string
  readonly peerListen: string
  /** `host:port` of the client port as others reach it; empty for `listen`. */
  readonly advertise: string
  /** `host:port` of the peer port as others reach it; empty for `peerListen`. */
  readonly peerAdvertise: string
  readonly zone: string
  readonly seed: readonly string[]
  readonly found: boolean
  readonly rebuild: boolean
  /** A snapshot to begin from; empty for none. */
  readonly restore: string
  readonly valueMax: number
  readonly requestTimeout: number
  readonly joinTimeout: number
  readonly antiEntropyInterval: number
  readonly pullInterval: number
  readonly purgeInterval: number
  /** From this share of tombstones on there is a warning; 0 for none. */
  readonly tombstoneWarning: number
  readonly probeInterval: number
  readonly probeTimeout: number
  readonly indirectProbes: number
  readonly peerTimeout: number
  readonly repairRate: number
  readonly driftMax: number
  readonly writeBufferSize: number
  /** Bytes that are to stay free; derived from the write buffer when 0. */
  readonly diskReserve: number
  readonly scrubInterval: number
  readonly scrubRate: number
  readonly rumorMode: RumorMode
  readonly rumorFeedback: 'feedback' | 'blind'
  readonly rumorStop: 'counter' | 'coin'
  readonly rumorK: number
  readonly rumorFanout: number
  readonly rumorInterval: number
  readonly cors: readonly string[]
  readonly maxConnections: number
  readonly drainTimeout: number
  readonly logLevel: LogLevel
}

export interface OptionSpec<Value> {
  /** Where it stands in the file; dots go deeper. The flag and the variable follow from it. */
  readonly path: string
  readonly type: OptionType<Value>
  readonly default: Value
  /** Ends without a full stop. What raising or lowering it costs, where that is not plain. */
  readonly description: string
  /** Shown as `***`; may come from a file that `…_FILE` names. */
  readonly secret?: true
}

export type OptionTable<Config> = { readonly [Key in keyof Config]-?: OptionSpec<Config[Key]> }

/** The one table that makes flags, environment, file, JSON Schema and documentation. */
export const OPTIONS: OptionTable<ServerConfig> = {
  name: {
    path: 'name',
    type: optional(
      textLike(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'use up to 63 letters, digits, dots, dashes, underscores'),
    ),
    default: '',
    description: 'Name of the node, unique in the cluster. Without it the host name is taken',
  },
  dataDir: {
    path: 'dataDir',
    type: textLike(/./, 'name a directory'),
    default: './grapevine-data',
    description: 'Directory of this node alone. What it held once it must hold again, or the node will not start',
  },
  listen: {
    path: 'listen',
    type: HOST_AND_PORT,
    default: '127.0.0.1:7700',
    description: 'Where clients are served: data, administration, metrics',
  },
  peerListen: {
    path: 'peerListen',
    type: HOST_AND_PORT,
    default: '127.0.0.1:7701',
    description: 'Where other nodes are answered. Never open this port to clients',
  },
  advertise: {
    path: 'advertise',
    type: optional(HOST_AND_PORT),
    default: '',
    description: 'The client port as others reach it. Without it `listen` is told',
  },
  peerAdvertise: {
    path: 'peerAdvertise',
    type: optional(HOST_AND_PORT),
    default: '',
    description: 'The peer port as others reach it. Without it `peerListen` is told',
  },
  zone: {
    path: 'zone',
    type: optional(
      textLike(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'use up to 63 letters, digits, dots, dashes, underscores'),
    ),
    default: '',
    description: 'Failure zone of the node, as a rack or a data centre',
  },
  seed: {
    path: 'seed',
    type: list(HOST_AND_PORT),
    default: [],
    description: 'Peer ports where to look for members. Names are resolved again and again',
  },
  found: {
    path: 'found',
    type: YES_OR_NO,
    default: false,
    description: 'Found a new cluster: on exactly one node, once, with an empty directory',
  },
  rebuild: {
    path: 'rebuild',
    type: YES_OR_NO,
    default: false,
    description: 'Come back without the data: the member of this name is evicted and replaced',
  },
  restore: {
    path: 'restore',
    type: textLike(),
    default: '',
    description: 'Begin a new cluster from this snapshot, with `found`',
  },
  valueMax: {
    path: 'valueMax',
    type: size(1024, VALUE_BYTES_MAX_LIMIT),
    default: VALUE_BYTES_MAX_DEFAULT,
    description: 'Largest value. The same on all nodes',
  },
  requestTimeout: {
    path: 'requestTimeout',
    type: duration(10, MINUTE_MS),
    default: 10_000,
    description: 'How long a request waits that names no `timeout`',
  },
  joinTimeout: {
    path: 'joinTimeout',
    type: duration(0, 10 * MINUTE_MS),
    default: 5_000,
    description: 'After so long a node with data that reaches nobody is ready alone',
  },
  antiEntropyInterval: {
    path: 'antiEntropyInterval',
    type: duration(50, DAY_MS),
    default: 10_000,
    description: 'Between two comparisons with a random peer. Lower repairs sooner and costs one question each',
  },
  purgeInterval: {
    path: 'purgeInterval',
    type: duration(50, DAY_MS),
    default: 10_000,
    description: 'Between two looks at which tombstones may go. Lower frees their space sooner',
  },
  tombstoneWarning: {
    path: 'tombstoneWarning',
    type: share(),
    default: 0.5,
    description:
      'Warn when so large a share of all entries are tombstones, a thousand or more of them, and they have not gone for six ' +
      'purge intervals. 0 for never',
  },
  pullInterval: {
    path: 'pullInterval',
    type: duration(0, DAY_MS),
    default: 1_000,
    description: 'Between two questions for missed writes while all is quiet. 0ms turns them off',
  },
  probeInterval: {
    path: 'probeInterval',
    type: duration(10, 10 * MINUTE_MS),
    default: 1_000,
    description: 'Between two probes of the failure detector. A crash is seen after seven to ten',
  },
  probeTimeout: {
    path: 'probeTimeout',
    type: duration(5, 5 * MINUTE_MS),
    default: 500,
    description: 'How long a probe waits before others are asked to probe. At most the interval',
  },
  indirectProbes: {
    path: 'indirectProbes',
    type: count(0, 16),
    default: 3,
    description: 'How many members are asked to probe a silent one before it is suspected',
  },
  peerTimeout: {
    path: 'peerTimeout',
    type: duration(10, 5 * MINUTE_MS),
    default: 5_000,
    description: 'How long a question to another node waits',
  },
  repairRate: {
    path: 'repairRate',
    type: size(64 * 1024, 16 * 1024 * MIB),
    default: 32 * MIB,
    description: 'Bytes that repairs may move in a second. Lower leaves more to clients',
  },
  driftMax: {
    path: 'driftMax',
    type: duration(0, DAY_MS),
    default: DRIFT_MS_MAX,
    description: 'Entries stamped further ahead than this are parked until their time comes',
  },
  writeBufferSize: {
    path: 'writeBufferSize',
    type: size(0, 1024 * MIB),
    default: 0,
    description:
      "LevelDB's write buffer. Larger rewrites less and takes longer to open after a crash. 0B for 32MiB, or less on a disk below 2GiB",
  },
  diskReserve: {
    path: 'diskReserve',
    type: size(0, 1024 * 1024 * MIB),
    default: 0,
    description:
      'Free space below which the node only reads. 0B for eight write buffers: two logs, a table, and a compaction of five; at least 26MiB',
  },
  scrubInterval: {
    path: 'scrubInterval',
    type: duration(0, 365 * DAY_MS),
    default: 7 * DAY_MS,
    description: 'How long the scrub takes at least to read and sum up everything once. 0ms turns it off',
  },
  scrubRate: {
    path: 'scrubRate',
    type: size(64 * 1024, 16 * 1024 * MIB),
    default: 4 * MIB,
    description: 'Bytes that the scrub may read in a second: at 4 MiB, 1 TB takes three days',
  },
  rumorMode: {
    path: 'rumor.mode',
    type: choice<RumorMode>('eager', 'push', 'pull', 'push-pull'),
    default: 'eager',
    description: 'How fresh writes spread: to all at once, or by a classic variant, which is there to be measured',
  },
  rumorFeedback: {
    path: 'rumor.feedback',
    type: choice('feedback', 'blind'),
    default: 'feedback',
    description: 'Classic variants: whether a peer that knew the rumor already counts',
  },
  rumorStop: {
    path: 'rumor.stop',
    type: choice('counter', 'coin'),
    default: 'counter',
    description: 'Classic variants: lose interest after `k` contacts, or with a chance of 1/`k`',
  },
  rumorK: {
    path: 'rumor.k',
    type: count(1, 100),
    default: 3,
    description: 'Classic variants: the more, the fewer replicas a rumor misses, and the more it is told in vain',
  },
  rumorFanout: {
    path: 'rumor.fanout',
    type: count(1, 64),
    default: 4,
    description: 'Classic variants: peers that hear a rumor in one round',
  },
  rumorInterval: {
    path: 'rumor.interval',
    type: duration(1, MINUTE_MS),
    default: 50,
    description: 'Classic variants: between two rounds',
  },
  cors: {
    path: 'cors',
    type: list(textLike(/^(\*|https?:\/\/[^/\s,]+)$/, 'write an origin, as https://app.example.org, or *')),
    default: [],
    description: 'Origins whose pages may call this node',
  },
  maxConnections: {
    path: 'maxConnections',
    type: count(1, 1_000_000),
    default: 10_000,
    description: 'Connections of clients; more are closed at once. An idle one takes about 20 KiB',
  },
  drainTimeout: {
    path: 'drainTimeout',
    type: duration(0, 10 * MINUTE_MS),
    default: 10_000,
    description: 'How long a stop waits for requests under way',
  },
  logLevel: {
    path: 'logLevel',
    type: choice<LogLevel>('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'),
    default: 'info',
    description: 'What is logged: JSON lines on stdout',
  },
}

/** `rumor.interval` → `--rumor-interval`, `dataDir` → `--data-dir`. */
export function flagOf(path: string): string {
  return `--${path.replaceAll('.', '-').replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}

/** `rumor.interval` → `GRAPEVINE_RUMOR_INTERVAL`. */
export function variableOf(path: string): string {
  return `GRAPEVINE_${flagOf(path).slice(2).replaceAll('-', '_').toUpperCase()}`
}
