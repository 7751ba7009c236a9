import { DEFAULT_SETTINGS, type ReplicaSettings } from '@grapevine/replica'
import { USUAL_WORKLOAD, type FaultKind, type SimulationPlan, type TimedFault } from './plan.ts'
import { GOOD_LINK } from './simulated-network.ts'
import { USUAL_SPEED } from './simulated-disk.ts'

/** What is wrong with a scenario, and where in it. */
export class ScenarioError extends Error {
  override readonly name = 'ScenarioError'
}

/** Half a year of silence fits in, and so does a typing mistake of three digits. */
const DURATION_MS_MAX = 10 * 366 * 24 * 3_600_000
const NODES_MAX = 64
const FAULTS_MAX = 10_000

/**
 * A plan that was written by hand, from the text of a JSON file. What it leaves out is as usual, and what nobody knows
 * is refused: a misspelt fault that never happens would prove whatever one likes.
 * @throws {ScenarioError}
 */
export function parseScenario(json: string): SimulationPlan {
  let document: unknown
  try {
    document = JSON.parse(json)
  } catch (error) {
    throw new ScenarioError(
      `a scenario is one JSON document: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
  const plan = scenario(document, '')
  const names = plan.nodes.map(({ name }) => name)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw new ScenarioError(`nodes: two are called ${JSON.stringify(twice)}`)
  const known = (name: string, path: string, every = true): void => {
    if (!names.includes(name) && !(every && name === '*'))
      throw new ScenarioError(`${path}: no node is called ${JSON.stringify(name)}; there are ${names.join(', ')}`)
  }
  for (const [index, fault] of plan.faults.entries())
    for (const [field, value] of Object.entries(fault))
      if (NAMES_OF_NODES.has(field)) known(String(value), `faults[${index}].${field}`, field !== 'of' && field !== 'by')
  for (const [index, { node }] of plan.workload.operations.entries())
    known(node, `workload.operations[${index}].node`, false)
  for (const [index, { seeds = [] }] of plan.nodes.entries())
    for (const seed of seeds) known(seed, `nodes[${index}].seeds`, false)
  for (const name of plan.away) known(name, 'away', false)
  if (plan.away.length * 2 >= names.length) throw new ScenarioError('away: only a minority may stay away')
  return {
    ...plan,
    faults: allTimes(plan.faults, 'faults'),
    workload: { ...plan.workload, operations: allTimes(plan.workload.operations, 'workload.operations') },
  }
}

/** What a scenario says once and means several times. A plan says everything as often as it happens. */
type Repeated<T> = T & { readonly everyMs?: number; readonly times?: number }

function allTimes<T extends { readonly atMs: number }>(entries: readonly Repeated<T>[], path: string): readonly T[] {
  const all = entries.flatMap((entry, index): T[] => {
    const { everyMs, times, ...once } = entry
    if (everyMs === undefined && times === undefined) return [entry]
    if (everyMs === undefined || times === undefined)
      throw new ScenarioError(`${path}[${index}]: everyMs and times come together`)
    // The rest of an entry is the entry; the compiler does not follow that through a generic type.
    return Array.from({ length: times }, (_, time) => ({ ...once, atMs: entry.atMs + time * everyMs }) as unknown as T)
  })
  if (all.length > FAULTS_MAX) throw new ScenarioError(`${path}: ${all.length} in all; at most ${FAULTS_MAX}`)
  return all
}

const NAMES_OF_NODES: ReadonlySet<string> = new Set(['node', 'from', 'to', 'of', 'by'])

type Read<T> = (value: unknown, path: string) => T
type Fields = Readonly<Record<string, Read<unknown>>>
type Values<F extends Fields> = { readonly [Name in keyof F]: ReturnType<F[Name]> }

const atMs = number(0, DURATION_MS_MAX)
const durationMs = number(1, DURATION_MS_MAX)
const share = number(0, 1)
const name = text(/^[a-z0-9*][a-z0-9-]{0,31}$/, 'a name of small letters, digits and dashes, or *')
const w: Read<number | 'quorum' | 'all'> = (value, path) =>
  typeof value === 'number' ? count(1, NODES_MAX)(value, path) : oneOf('quorum', 'all')(value, path)

const node = object(
  { name },
  {
    cluster: name,
    founds: flag,
    startsAtMs: atMs,
    seeds: listOf(name, NODES_MAX),
    clockOffsetMs: number(-DURATION_MS_MAX, DURATION_MS_MAX),
    clockDriftPpm: number(-500_000, 500_000),
  },
)
const nodes: Read<readonly ReturnType<typeof node>[]> = (value, path) =>
  typeof value === 'number'
    ? Array.from({ length: count(1, NODES_MAX)(value, path) }, (_, index) => ({ name: `n${index + 1}` }))
    : listOf(node, NODES_MAX, 1)(value, path)

const quality = object({}, {
  latencyMs: number(0, 60_000),
  loss: share,
  duplicates: share,
  reorder: share,
  reorderMs: number(0, DURATION_MS_MAX),
  corruption: share,
  lostResponses: share,
  replay: share,
  replayAfterMs: number(0, DURATION_MS_MAX),
  bytesPerSecond: count(0, 10 ** 12),
} satisfies Record<keyof typeof GOOD_LINK, Read<number>>)
const speed = object({}, { readMs: number(0, 60_000), writeMs: number(0, 60_000) } satisfies Record<
  keyof typeof USUAL_SPEED,
  Read<number>
>)
const settings = object({}, {
  antiEntropyIntervalMs: durationMs,
  pullIntervalMs: number(0, DURATION_MS_MAX),
  purgeIntervalMs: durationMs,
  tombstoneRatioMax: share,
  repairBytesPerSecond: count(1, 10 ** 12),
  driftMs: durationMs,
  peerTimeoutMs: durationMs,
  diskReserveBytes: count(0, 10 ** 12),
  scrubIntervalMs: number(0, DURATION_MS_MAX),
  scrubBytesPerSecond: count(1, 10 ** 12),
  frameBytes: count(1_024, 1 << 30),
  joinTimeoutMs: durationMs,
  feedItems: count(16, 10 ** 7),
  probe: object({ intervalMs: durationMs, timeoutMs: durationMs, indirectProbes: count(0, NODES_MAX) }, {}),
} satisfies Record<keyof Omit<ReplicaSettings, 'rumor'>, Read<unknown>>)
const repeated = { everyMs: durationMs, times: count(1, FAULTS_MAX) }
const operation = object(
  { atMs, node: name, action: oneOf('put', 'delete', 'get'), key: text(/^.{1,200}$/, '1 to 200 characters') },
  { w, only: oneOf('present', 'absent'), ttlMs: durationMs, ...repeated },
)
const workload = object({}, {
  clients: count(0, 1_000),
  thinkMs: number(1, DURATION_MS_MAX),
  keys: count(1, 1_000_000),
  hotShare: share,
  hotKeys: count(1, 1_000),
  deleteShare: share,
  readShare: share,
  quorumShare: share,
  allShare: share,
  preconditionShare: share,
  ttlShare: share,
  ttlMsMax: durationMs,
  sessionShare: share,
  valueBytesMax: count(0, 1 << 20),
  timeoutMs: durationMs,
  operations: listOf(operation, FAULTS_MAX),
} satisfies Record<keyof typeof USUAL_WORKLOAD, Read<unknown>>)

const down = [{ node: name }, { forMs: durationMs }] as const
const FAULTS: { readonly [Kind in FaultKind]: readonly [required: Fields, optional: Fields] } = {
  crash: down,
  'crash-in-write': [{ node: name, operations: count(1, 1_000_000) }, { forMs: durationMs }],
  'power-loss': down,
  stop: down,
  freeze: down,
  wipe: down,
  move: down,
  'take-address': [{ node: name, of: name }, { forMs: durationMs }],
  rollback: [{ node: name, toMs: atMs }, { forMs: durationMs }],
  restore: [{ node: name, of: name, takenMs: atMs }, {}],
  evict: [{ node: name, by: name }, {}],
  leave: [{ node: name }, {}],
  clone: [{ node: name, to: name }, {}],
  'tear-log': down,
  'flip-bit': [{ node: name, row: text(/^[edhtjpm]/, 'e, d, h, t, j, p or m, and how the row goes on') }, {}],
  'disk-full': down,
  'sync-error': [{ node: name }, {}],
  'slow-disk': [{ node: name, speed }, { forMs: durationMs }],
  cut: [
    { from: name, to: name },
    { oneWay: flag, forMs: durationMs },
  ],
  degrade: [{ from: name, to: name, quality }, { forMs: durationMs }],
  'damage-frame': [
    { from: name, to: name, name: text(/^[a-z*-]+$/, 'the name of a question, or *') },
    { part: oneOf('question', 'answer') },
  ],
  replay: [{ frames: count(1, 1_000_000) }, { sentBeforeMs: atMs }],
  'clock-step': [{ node: name, byMs: number(-DURATION_MS_MAX, DURATION_MS_MAX) }, {}],
  'clock-drift': [{ node: name, ppm: number(-1_000_000, 1_000_000) }, { forMs: durationMs }],
  'clock-freeze': down,
  pause: [{ node: name, what: oneOf('rumors', 'anti-entropy') }, { forMs: durationMs }],
}

const fault: Read<Repeated<TimedFault>> = (value, path) => {
  const kind = oneOf(...(Object.keys(FAULTS) as FaultKind[]))(fieldsOf(value, path)['kind'], `${path}.kind`)
  const [required, optional] = FAULTS[kind]
  const read = object({ atMs, kind: oneOf(kind), ...required }, { ...optional, ...repeated })
  // The table above says the same as the type, kind by kind; the compiler cannot follow that.
  return read(value, path) as unknown as Repeated<TimedFault>
}

const scenario: Read<SimulationPlan> = (value, path) => {
  const read = object(
    { nodes, chaosMs: durationMs },
    {
      description: text(/^[^]*$/, 'text'),
      settings,
      network: quality,
      networkFromMs: atMs,
      disk: speed,
      workload,
      faults: listOf(fault, FAULTS_MAX),
      away: listOf(name, NODES_MAX),
    },
  )(value, path)
  return {
    ...(read.description !== undefined && { description: read.description }),
    nodes: read.nodes,
    chaosMs: read.chaosMs,
    settings: {
      ...read.settings,
      ...(read.settings?.probe && { probe: { ...DEFAULT_SETTINGS.probe, ...read.settings.probe } }),
    },
    network: read.network ?? {},
    ...(read.networkFromMs !== undefined && { networkFromMs: read.networkFromMs }),
    disk: read.disk ?? {},
    workload: { ...USUAL_WORKLOAD, ...read.workload },
    faults: read.faults ?? [],
    away: read.away ?? [],
  }
}

// How a document is read.

function object<R extends Fields, O extends Fields>(required: R, optional: O): Read<Values<R> & Partial<Values<O>>> {
  const known: Fields = { ...required, ...optional }
  return (value, path) => {
    const fields = fieldsOf(value, path)
    for (const field of Object.keys(fields))
      if (!Object.hasOwn(known, field))
        throw new ScenarioError(
          `${at(path, field)} is not known here; what is: ${Object.keys(known).join(', ') || 'nothing'}`,
        )
    for (const field of Object.keys(required))
      if (fields[field] === undefined) throw new ScenarioError(`${at(path, field)} is missing`)
    const entries = Object.entries(fields).map(([field, inner]) => [field, known[field]?.(inner, at(path, field))])
    // Each field was read by its own reader, and none is missing that has to be there.
    return Object.fromEntries(entries) as Values<R> & Partial<Values<O>>
  }
}

function fieldsOf(value: unknown, path: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ScenarioError(`${path || 'a scenario'} must be an object`)
  return value as Record<string, unknown>
}

function listOf<T>(read: Read<T>, most: number, least = 0): Read<readonly T[]> {
  return (value, path) => {
    if (!Array.isArray(value)) throw new ScenarioError(`${path} must be a list`)
    if (value.length < least || value.length > most)
      throw new ScenarioError(`${path} must have ${least} to ${most} entries`)
    return value.map((entry: unknown, index) => read(entry, `${path}[${index}]`))
  }
}

function number(least: number, most: number): Read<number> {
  return (value, path) => {
    if (typeof value === 'number' && value >= least && value <= most) return value
    throw new ScenarioError(`${path} must be a number from ${least} to ${most}`)
  }
}

function count(least: number, most: number): Read<number> {
  return (value, path) => {
    if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value
    throw new ScenarioError(`${path} must be a whole number from ${least} to ${most}`)
  }
}

function text(pattern: RegExp, meant: string): Read<string> {
  return (value, path) => {
    if (typeof value === 'string' && pattern.test(value)) return value
    throw new ScenarioError(`${path} must be ${meant}`)
  }
}

function oneOf<T extends string>(...choices: readonly T[]): Read<T> {
  return (value, path) => {
    const choice = choices.find((each) => each === value)
    if (choice !== undefined) return choice
    throw new ScenarioError(`${path} must be one of ${choices.join(', ')}`)
  }
}

function flag(value: unknown, path: string): boolean {
  if (typeof value === 'boolean') return value
  throw new ScenarioError(`${path} must be true or false`)
}

function at(path: string, field: string): string {
  return path === '' ? field : `${path}.${field}`
}
