import type { ContentsRow, EventOf, HistoryEvent } from './history.ts'

/** Whether a field's value is right, and what it ought to be. */
interface Field {
  readonly expected: string
  readonly isOptional: boolean
  readonly accepts: (value: unknown) => boolean
}

/** The fields of one kind of event. The compiler holds the keys against the vocabulary, so that none is forgotten. */
type ShapeOf<Event> = { readonly [Name in Exclude<keyof Event, 'type'>]-?: Field }

const text = field('text', (value) => typeof value === 'string')
const count = field('a count', (value) => Number.isSafeInteger(value) && (value as number) >= 0)
const amount = field('a number from 0', (value) => Number.isFinite(value) && (value as number) >= 0)
const etag = field('a version', (value) => typeof value === 'string' && /^[0-9a-f]{16}-[0-9a-f]{16}$/.test(value))
const yesOrNo = field('true or false', (value) => typeof value === 'boolean')

const ROW: ShapeOf<ContentsRow> = {
  key: text,
  version: etag,
  hash: text,
  state: oneOf('value', 'tombstone'),
  value: optional(text),
}

const SHAPES: { readonly [Type in HistoryEvent['type']]: ShapeOf<EventOf<Type>> } = {
  invoke: {
    atMs: amount,
    op: count,
    client: text,
    node: text,
    action: oneOf('put', 'delete', 'get'),
    key: text,
    value: optional(text),
    w: optional(either(count, oneOf('quorum', 'all'))),
    session: optional(yesOrNo),
    ifMatch: optional(either(etag, oneOf(null))),
    ttlMs: optional(amount),
  },
  written: {
    atMs: amount,
    op: count,
    outcome: oneOf('applied', 'not-applied', 'unknown'),
    version: optional(etag),
    acks: optional(count),
    members: optional(count),
    code: optional(text),
  },
  read: {
    atMs: amount,
    op: count,
    outcome: oneOf('ok', 'failed'),
    value: optional(either(text, oneOf(null))),
    version: optional(etag),
    code: optional(text),
  },
  process: {
    atMs: amount,
    node: text,
    what: oneOf('started', 'ready', 'crashed', 'stopped', 'frozen', 'thawed', 'wiped', 'ended-itself'),
    cluster: optional(text),
    replica: optional(text),
    reason: optional(text),
  },
  opinion: {
    atMs: amount,
    node: text,
    of: text,
    ofReplica: optional(text),
    state: oneOf('alive', 'suspect', 'dead', 'left', 'evicted'),
  },
  exchange: {
    atMs: amount,
    node: text,
    peer: text,
    result: oneOf('equal', 'repaired', 'failed'),
    questions: count,
    walks: optional(count),
    startedAtMs: optional(amount),
  },
  queue: { atMs: amount, node: text, name: text, length: count, lengthMax: count },
  'integrity-fault': { atMs: amount, node: text, peer: text },
  stored: {
    atMs: amount,
    node: text,
    replica: text,
    key: text,
    version: etag,
    dot: field('[writer, seq]', isDot),
    partition: optional(count),
    state: oneOf('value', 'tombstone'),
    value: optional(text),
    before: optional(etag),
    wallMs: optional(field('a number', (value) => typeof value === 'number' && Number.isFinite(value))),
  },
  purged: { atMs: amount, node: text, key: text, version: etag, frontier: text },
  contents: {
    atMs: amount,
    node: text,
    cluster: text,
    replica: text,
    root: text,
    recomputedRoot: text,
    entries: field('a list of rows', (value) => Array.isArray(value) && value.every((row) => fits(row, ROW))),
    corrupt: count,
    parked: count,
    vectorHash: text,
    members: optional(field('a list of ids', isTexts)),
  },
  accepted: {
    atMs: amount,
    from: text,
    to: text,
    name: text,
    fromCluster: text,
    toCluster: text,
    fromReplica: text,
    toReplica: text,
    bytes: count,
  },
  phase: {
    atMs: amount,
    phase: oneOf('chaos', 'heal', 'audit'),
    away: optional(field('a list of names', isTexts)),
    deadlineMs: optional(amount),
  },
  fault: {
    atMs: amount,
    fault: text,
    detail: optional(text),
    node: optional(text),
    disk: optional(oneOf('damaged', 'rolled-back')),
  },
  idle: { atMs: amount, framesPerNodeSecond: amount, framesPerNodeSecondMax: amount },
}

/** Why this is no event, or `undefined` when it is one. */
export function problemWith(parsed: unknown): string | undefined {
  if (!isObject(parsed)) return 'no object'
  const { type, ...fields } = parsed
  if (typeof type !== 'string' || !Object.hasOwn(SHAPES, type)) return `no such type as ${JSON.stringify(type)}`
  return problemWithFields(fields, SHAPES[type as HistoryEvent['type']])
}

function problemWithFields(
  fields: Readonly<Record<string, unknown>>,
  shape: Readonly<Record<string, Field>>,
): string | undefined {
  for (const [name, { expected, isOptional, accepts }] of Object.entries(shape)) {
    const value = fields[name]
    if (value === undefined ? !isOptional : !accepts(value)) return `"${name}" is not ${expected}`
  }
  const stranger = Object.keys(fields).find((name) => !Object.hasOwn(shape, name))
  return stranger === undefined ? undefined : `no such field as "${stranger}"`
}

function fits(value: unknown, shape: Readonly<Record<string, Field>>): boolean {
  return isObject(value) && problemWithFields(value, shape) === undefined
}

function field(expected: string, accepts: (value: unknown) => boolean): Field {
  return { expected, isOptional: false, accepts }
}

function optional(required: Field): Field {
  return { ...required, isOptional: true }
}

function either(one: Field, other: Field): Field {
  return field(`${one.expected} or ${other.expected}`, (value) => one.accepts(value) || other.accepts(value))
}

function oneOf(...values: readonly (string | null)[]): Field {
  return field(values.map((value) => value ?? 'null').join(' or '), (value) => values.includes(value as string | null))
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}

function isDot(value: unknown): boolean {
  return Array.isArray(value) && value.length === 2 && typeof value[0] === 'string' && Number.isSafeInteger(value[1])
}
