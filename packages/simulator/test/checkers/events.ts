import type { ContentsRow, EventOf, HistoryEvent } from '../../src/index.ts'

/** Short ways to write events down. Replicas and writers are named by one digit, versions by when and by whom. */

export const CLUSTER: string = '1'.repeat(32)

export function idOf(digit: string): string {
  return digit.repeat(16)
}

/** The writer that a replica of the tales uses. */
export function writerOf(digit: string): string {
  return `${digit.repeat(15)}0`
}

export function versionAt(ms: number, replica: string, counter = 0): string {
  return `${ms.toString(16).padStart(12, '0')}${counter.toString(16).padStart(4, '0')}-${idOf(replica)}`
}

type Invoke = EventOf<'invoke'>

export function put(
  atMs: number,
  op: number,
  by: [client: string, node: string],
  key: string,
  value: string,
  more: Partial<Invoke> = {},
): HistoryEvent {
  return { type: 'invoke', atMs, op, client: by[0], node: by[1], action: 'put', key, value, ...more }
}

export function remove(
  atMs: number,
  op: number,
  by: [client: string, node: string],
  key: string,
  more: Partial<Invoke> = {},
): HistoryEvent {
  return { type: 'invoke', atMs, op, client: by[0], node: by[1], action: 'delete', key, ...more }
}

export function get(
  atMs: number,
  op: number,
  by: [client: string, node: string],
  key: string,
  more: Partial<Invoke> = {},
): HistoryEvent {
  return { type: 'invoke', atMs, op, client: by[0], node: by[1], action: 'get', key, ...more }
}

export function applied(atMs: number, op: number, version: string, acks = 1): HistoryEvent {
  return { type: 'written', atMs, op, outcome: 'applied', version, acks, members: 3 }
}

export function refused(atMs: number, op: number): HistoryEvent {
  return { type: 'written', atMs, op, outcome: 'not-applied', code: 'overloaded' }
}

export function lost(atMs: number, op: number): HistoryEvent {
  return { type: 'written', atMs, op, outcome: 'unknown', code: 'timeout' }
}

export function reads(atMs: number, op: number, value: string | null, version?: string): HistoryEvent {
  return { type: 'read', atMs, op, outcome: 'ok', value, ...(version !== undefined && { version }) }
}

type Stored = EventOf<'stored'>

/** `value` is `null` for a tombstone. The writer has the digit of the replica that gave the version. */
export function stores(
  atMs: number,
  node: string,
  key: string,
  version: string,
  value: string | null,
  seq: number,
  more: Partial<Stored> = {},
): HistoryEvent {
  return {
    type: 'stored',
    atMs,
    node,
    replica: idOf(node),
    key,
    version,
    dot: [writerOf(version.charAt(17)), seq],
    partition: 7,
    state: value === null ? 'tombstone' : 'value',
    ...(value !== null && { value }),
    ...more,
  }
}

export function purges(atMs: number, node: string, key: string, version: string): HistoryEvent {
  return { type: 'purged', atMs, node, key, version, frontier: version.slice(0, 16) }
}

export function process(
  atMs: number,
  node: string,
  what: EventOf<'process'>['what'],
  replica: string = node,
): HistoryEvent {
  const isKnown = what === 'started' || what === 'ready'
  return { type: 'process', atMs, node, what, ...(isKnown && { cluster: CLUSTER, replica: idOf(replica) }) }
}

export function opinion(
  atMs: number,
  node: string,
  of: string,
  state: EventOf<'opinion'>['state'],
  replica: string = of,
): HistoryEvent {
  return { type: 'opinion', atMs, node, of, ofReplica: idOf(replica), state }
}

export function exchange(
  atMs: number,
  node: string,
  peer: string,
  questions: number,
  more: Partial<EventOf<'exchange'>> = {},
): HistoryEvent {
  return {
    type: 'exchange',
    atMs,
    node,
    peer,
    result: questions > 1 ? 'repaired' : 'equal',
    questions,
    startedAtMs: atMs - 1,
    ...more,
  }
}

export function queue(atMs: number, node: string, name: string, length: number, lengthMax: number): HistoryEvent {
  return { type: 'queue', atMs, node, name, length, lengthMax }
}

export function frame(atMs: number, from: string, to: string, more: Partial<EventOf<'accepted'>> = {}): HistoryEvent {
  return {
    type: 'accepted',
    atMs,
    from,
    to,
    name: 'rumors',
    fromCluster: CLUSTER,
    toCluster: CLUSTER,
    fromReplica: idOf(from),
    toReplica: idOf(to),
    bytes: 200,
    ...more,
  }
}

export function damage(atMs: number, node: string, disk: 'damaged' | 'rolled-back'): HistoryEvent {
  return { type: 'fault', atMs, fault: disk === 'damaged' ? 'bit-flip' : 'old-backup', node, disk }
}

export function replay(atMs: number): HistoryEvent {
  return { type: 'fault', atMs, fault: 'replay', detail: 'old frames' }
}

export function phase(
  atMs: number,
  name: EventOf<'phase'>['phase'],
  more: Partial<EventOf<'phase'>> = {},
): HistoryEvent {
  return { type: 'phase', atMs, phase: name, ...more }
}

export function row(key: string, version: string, value: string | null): ContentsRow {
  const state = value === null ? 'tombstone' : 'value'
  return { key, version, state, hash: `hash of ${version}`, ...(value !== null && { value }) }
}

/** Root and vectors follow from the rows, as they do between replicas that have agreed. */
export function contents(
  atMs: number,
  node: string,
  entries: readonly ContentsRow[],
  more: Partial<EventOf<'contents'>> = {},
): HistoryEvent {
  const root = entries
    .map(({ key, version }) => `${key}@${version}`)
    .toSorted()
    .join(' ')
  return {
    type: 'contents',
    atMs,
    node,
    cluster: CLUSTER,
    replica: idOf(node),
    root,
    recomputedRoot: root,
    entries,
    corrupt: 0,
    parked: 0,
    vectorHash: 'v',
    ...more,
  }
}
