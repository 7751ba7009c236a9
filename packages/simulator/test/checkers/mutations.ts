import type { ContentsRow, EventOf, HistoryEvent } from '../../src/index.ts'

/** A way to spoil a correct history in one place, so that a checker must notice. */
export interface Mutation {
  readonly story: string
  /** One of them must complain; others may, since one fault shows in more than one way. */
  readonly foundBy: string
  /** Every history that comes of spoiling this one in one place. Empty where there is nothing to spoil. */
  readonly spoil: (history: readonly HistoryEvent[]) => readonly Spoilt[]
}

type Spoilt = () => readonly HistoryEvent[]

export const MUTATIONS: readonly Mutation[] = [
  mutation('a row of the audit is left out', 'agreement', (history) => {
    const sound = soundContents(history)
    if (sound.length < 2) return []
    return sound.flatMap(({ event, index }) =>
      event.entries.map((_, row) => () => history.with(index, { ...event, entries: event.entries.toSpliced(row, 1) })),
    )
  }),
  mutation('a value of the audit is another one', 'nothing-invented', (history) =>
    all(history, 'contents').flatMap(({ event, index }) =>
      event.entries.flatMap((row, at) => {
        const changed: ContentsRow = { ...row, value: 'never put' }
        return row.state === 'value'
          ? [() => history.with(index, { ...event, entries: event.entries.with(at, changed) })]
          : []
      }),
    ),
  ),
  mutation('a root is another one', 'tree-equals-data', (history) =>
    soundContents(history).map(
      ({ event, index }) =>
        () =>
          history.with(index, { ...event, root: 'another' }),
    ),
  ),
  mutation('a value that was stored is not the one that was put', 'one-winner', (history) =>
    all(history, 'stored')
      .filter(({ event }) => event.state === 'value' && countStored(history, event.version) > 1)
      .map(
        ({ event, index }) =>
          () =>
            history.with(index, { ...event, value: 'never put' }),
      ),
  ),
  mutation('a write that was stored is said to be refused', 'nothing-refused-visible', (history) => {
    const values = new Set(all(history, 'stored').map(({ event }) => event.value))
    const shown = new Set(
      all(history, 'invoke').flatMap(({ event }) =>
        event.value !== undefined && values.has(event.value) ? [event.op] : [],
      ),
    )
    return all(history, 'written')
      .filter(({ event }) => shown.has(event.op))
      .map(
        ({ event: { atMs, op }, index }) =>
          () =>
            history.with(index, { type: 'written', atMs, op, outcome: 'not-applied' }),
      )
  }),
  mutation('a write has more acknowledgements than there are nodes', 'honest-acknowledgements', (history) =>
    appliedIn(history).map(
      ({ event, index }) =>
        () =>
          history.with(index, { ...event, acks: 9 }),
    ),
  ),
  mutation('no disk ever heard of an acknowledged write', 'honest-acknowledgements', (history) =>
    appliedIn(history).map(
      ({ event }) =>
        () =>
          history.filter((other) => other.type !== 'stored' || other.version < (event.version ?? '')),
    ),
  ),
  mutation('a number is used for another write', 'no-dot-twice', (history) => {
    const stored = all(history, 'stored')
    return stored.flatMap(({ event }) => {
      const other = stored.find(
        ({ event: { partition, version } }) => partition === event.partition && version !== event.version,
      )
      return other === undefined ? [] : [() => history.with(other.index, { ...other.event, dot: event.dot })]
    })
  }),
  mutation('a deleted value is stored again', 'nothing-deleted-returns', (history) =>
    overwritten(history)
      .filter(({ now }) => now.event.state === 'tombstone')
      .map(
        ({ now, before }) =>
          () =>
            history.toSpliced(now.index + 1, 0, {
              ...before,
              node: now.event.node,
              replica: now.event.replica,
              atMs: now.event.atMs,
            }),
      ),
  ),
  mutation('an overwritten value is stored again', 'nothing-durable-lost', (history) =>
    overwritten(history).map(
      ({ now, before }) =>
        () =>
          history.toSpliced(now.index + 1, 0, {
            ...before,
            node: now.event.node,
            replica: now.event.replica,
            atMs: now.event.atMs,
          }),
    ),
  ),
  mutation('a write is applied as a version that existed before', 'causality', (history) => {
    const coordinators = new Map(all(history, 'invoke').map(({ event }) => [event.op, event]))
    return appliedIn(history).flatMap(({ event, index }) => {
      const invoke = coordinators.get(event.op)
      const before = history.slice(
        0,
        history.findIndex((other) => other === invoke),
      )
      const known = before.findLast((other) => other.type === 'stored' && other.node === invoke?.node)
      const life = before.findLastIndex((other) => endsLife(other, invoke?.node))
      if (known?.type !== 'stored' || before.indexOf(known) < life) return []
      const stays = !history.slice(before.length, index).some((other) => endsLife(other, invoke?.node))
      return stays ? [() => history.with(index, { ...event, version: known.version })] : []
    })
  }),
  mutation('a session reads what it had left behind', 'session-guarantees', (history) => {
    const invokes = new Map(all(history, 'invoke').map(({ event }) => [event.op, event]))
    return all(history, 'read').flatMap(({ event, index }) => {
      const invoke = invokes.get(event.op)
      const seen = history.slice(0, index).some((other) => {
        const earlier = other.type === 'written' || other.type === 'read' ? invokes.get(other.op) : undefined
        const isOwn = earlier?.client === invoke?.client && earlier?.key === invoke?.key
        return isOwn && 'version' in other && other.version !== undefined
      })
      const isSpoilable =
        invoke?.session === true && seen && event.version !== undefined && typeof event.value === 'string'
      return isSpoilable
        ? [() => history.with(index, { ...event, version: `${'0'.repeat(16)}-${'f'.repeat(16)}` })]
        : []
    })
  }),
  mutation('a frame comes from another cluster', 'isolation', (history) =>
    all(history, 'accepted').map(
      ({ event, index }) =>
        () =>
          history.with(index, { ...event, fromCluster: '2'.repeat(32) }),
    ),
  ),
  mutation('equals needed three questions', 'one-question-between-equals', (history) =>
    all(history, 'exchange')
      .filter(({ event }) => event.result === 'equal' && isQuietAt(history, event.atMs))
      .map(
        ({ event, index }) =>
          () =>
            history.with(index, { ...event, questions: 3 }),
      ),
  ),
  mutation('the opinion of a node that is well, or gone, is not heard', 'membership', (history) => {
    const heal = history.findIndex((event) => event.type === 'phase' && event.phase === 'heal')
    return all(history, 'opinion')
      .filter(({ index, event }) => index > heal && event.state === 'alive')
      .map(
        ({ index }) =>
          () =>
            history.toSpliced(index, 1),
      )
  }),
]

interface Found<Event> {
  readonly event: Event
  readonly index: number
}

function mutation(story: string, foundBy: string, spoil: Mutation['spoil']): Mutation {
  return { story, foundBy, spoil }
}

function all<Type extends HistoryEvent['type']>(
  history: readonly HistoryEvent[],
  type: Type,
): readonly Found<EventOf<Type>>[] {
  return history.flatMap((event, index) => (event.type === type ? [{ event: event as EventOf<Type>, index }] : []))
}

function appliedIn(history: readonly HistoryEvent[]): readonly Found<EventOf<'written'>>[] {
  return all(history, 'written').filter(({ event }) => event.outcome === 'applied')
}

function countStored(history: readonly HistoryEvent[], version: string): number {
  return all(history, 'stored').filter(({ event }) => event.version === version).length
}

/** Of nodes whose disks nothing has damaged. */
function soundContents(history: readonly HistoryEvent[]): readonly Found<EventOf<'contents'>>[] {
  const damaged = new Set(all(history, 'fault').map(({ event }) => event.node))
  return all(history, 'contents').filter(({ event }) => !damaged.has(event.node))
}

/** What a node stored over something else, with an older value that was stored somewhere before. */
function overwritten(
  history: readonly HistoryEvent[],
): readonly { now: Found<EventOf<'stored'>>; before: EventOf<'stored'> }[] {
  const stored = all(history, 'stored')
  return stored.flatMap((now) => {
    const { key, version } = now.event
    const before = stored.find(({ event }) => event.key === key && event.state === 'value' && event.version < version)
    return before === undefined ? [] : [{ now, before: before.event }]
  })
}

function endsLife(event: HistoryEvent, node: string | undefined): boolean {
  return (event.type === 'fault' || (event.type === 'process' && event.what === 'wiped')) && event.node === node
}

/** Whether nobody has stored anything for so long that it shows in what nodes say of themselves. */
function isQuietAt(history: readonly HistoryEvent[], atMs: number): boolean {
  const stored = [...all(history, 'stored'), ...all(history, 'purged')]
  return stored.every(({ event }) => event.atMs > atMs || event.atMs < atMs - 5_000)
}
