import type { HistoryEvent } from '../../src/index.ts'
import {
  applied,
  contents,
  exchange,
  frame,
  get,
  idOf,
  lost,
  opinion,
  phase,
  process,
  purges,
  put,
  queue,
  reads,
  refused,
  remove,
  row,
  stores,
  versionAt,
} from './events.ts'

/** The versions of the tale, in their order. */
export const X1: string = versionAt(101, 'a')
export const X2: string = versionAt(141, 'b')
export const Y1: string = versionAt(161, 'c')
export const Y2: string = versionAt(171, 'a')
export const Z2: string = versionAt(191, 'b')
export const X3: string = versionAt(201, 'c')
export const W1: string = versionAt(221, 'a')
export const Q1: string = versionAt(231, 'b')
export const Q2: string = versionAt(241, 'b')

export const HEAL_MS = 10_000
export const DEADLINE_MS = 70_000
/** When the last node is back, and by when all must agree since then. */
const BACK_MS = 12_000
export const LAST_DEADLINE_MS: number = BACK_MS + DEADLINE_MS - HEAL_MS
export const AUDIT_MS = 80_000

const ROWS = [row('w', W1, 'w1'), row('x', X3, 'x3'), row('y', Y2, null), row('z', Z2, 'z2')]

/**
 * A correct history of three nodes, small enough to read: anna has a session, bob has none. `x` is overwritten twice,
 * `y` is deleted, `q` deleted and purged, one write is refused and one ends as unknown; c crashes and comes back.
 * Each event has a name, so that an anomaly can say in words what is different.
 */
const TALE: Readonly<Record<string, HistoryEvent>> = {
  'a starts': process(0, 'a', 'started'),
  'b starts': process(0, 'b', 'started'),
  'c starts': process(0, 'c', 'started'),
  'a is ready': process(5, 'a', 'ready'),
  'b is ready': process(6, 'b', 'ready'),
  'c is ready': process(7, 'c', 'ready'),
  'a sees b': opinion(8, 'a', 'b', 'alive'),
  'a sees c': opinion(8, 'a', 'c', 'alive'),
  'b sees a': opinion(8, 'b', 'a', 'alive'),
  'b sees c': opinion(8, 'b', 'c', 'alive'),
  'c sees a': opinion(8, 'c', 'a', 'alive'),
  'c sees b': opinion(8, 'c', 'b', 'alive'),
  chaos: phase(10, 'chaos'),

  'anna puts x1': put(100, 1, ['anna', 'a'], 'x', 'x1', { session: true }),
  'a stores x1': stores(101, 'a', 'x', X1, 'x1', 1),
  'x1 is applied': applied(102, 1, X1),
  'a tells b': frame(103, 'a', 'b'),
  'b stores x1': stores(105, 'b', 'x', X1, 'x1', 1),
  'c stores x1': stores(106, 'c', 'x', X1, 'x1', 1),
  'bob gets x': get(120, 2, ['bob', 'b'], 'x'),
  'bob reads x1': reads(121, 2, 'x1', X1),
  'anna gets x': get(130, 3, ['anna', 'b'], 'x', { session: true }),
  'anna reads x1': reads(131, 3, 'x1', X1),

  'anna puts x2': put(140, 4, ['anna', 'b'], 'x', 'x2', { session: true, w: 2 }),
  'b stores x2': stores(141, 'b', 'x', X2, 'x2', 1, { before: X1 }),
  'c stores x2': stores(143, 'c', 'x', X2, 'x2', 1, { before: X1 }),
  'x2 is applied': applied(144, 4, X2, 2),
  'a stores x2': stores(150, 'a', 'x', X2, 'x2', 1, { before: X1 }),

  'bob puts y1': put(160, 5, ['bob', 'c'], 'y', 'y1'),
  'c stores y1': stores(161, 'c', 'y', Y1, 'y1', 1),
  'y1 is applied': applied(162, 5, Y1),
  'a stores y1': stores(165, 'a', 'y', Y1, 'y1', 1),
  'b stores y1': stores(165, 'b', 'y', Y1, 'y1', 1),
  'bob deletes y': remove(170, 6, ['bob', 'a'], 'y'),
  'a stores the tombstone of y': stores(171, 'a', 'y', Y2, null, 2, { before: Y1 }),
  'the delete of y is applied': applied(172, 6, Y2),
  'b stores the tombstone of y': stores(175, 'b', 'y', Y2, null, 2, { before: Y1 }),
  'c stores the tombstone of y': stores(176, 'c', 'y', Y2, null, 2, { before: Y1 }),

  'bob puts z1': put(180, 7, ['bob', 'a'], 'z', 'z1'),
  'z1 is refused': refused(181, 7),
  'bob puts z2': put(190, 8, ['bob', 'b'], 'z', 'z2', { w: 'all' }),
  'b stores z2': stores(191, 'b', 'z', Z2, 'z2', 2),
  'z2 ends as unknown': lost(195, 8),
  'a stores z2': stores(196, 'a', 'z', Z2, 'z2', 2),
  'c stores z2': stores(196, 'c', 'z', Z2, 'z2', 2),

  'bob replaces x2': put(200, 9, ['bob', 'c'], 'x', 'x3', { ifMatch: X2 }),
  'c stores x3': stores(201, 'c', 'x', X3, 'x3', 2, { before: X2 }),
  'x3 is applied': applied(202, 9, X3),
  'a stores x3': stores(205, 'a', 'x', X3, 'x3', 2, { before: X2 }),
  'b stores x3': stores(206, 'b', 'x', X3, 'x3', 2, { before: X2 }),
  'anna gets y': get(210, 10, ['anna', 'b'], 'y', { session: true }),
  'anna reads the tombstone of y': reads(211, 10, null, Y2),

  'anna puts w1': put(220, 11, ['anna', 'a'], 'w', 'w1', { session: true }),
  'a stores w1': stores(221, 'a', 'w', W1, 'w1', 3),
  'w1 is applied': applied(222, 11, W1),
  'b stores w1': stores(223, 'b', 'w', W1, 'w1', 3),
  'c stores w1': stores(223, 'c', 'w', W1, 'w1', 3),

  'bob puts q1': put(230, 12, ['bob', 'b'], 'q', 'q1'),
  'b stores q1': stores(231, 'b', 'q', Q1, 'q1', 3),
  'q1 is applied': applied(232, 12, Q1),
  'a stores q1': stores(233, 'a', 'q', Q1, 'q1', 3),
  'c stores q1': stores(234, 'c', 'q', Q1, 'q1', 3),
  'bob deletes q': remove(240, 13, ['bob', 'b'], 'q'),
  'b stores the tombstone of q': stores(241, 'b', 'q', Q2, null, 4, { before: Q1 }),
  'the delete of q is applied': applied(242, 13, Q2),
  'a stores the tombstone of q': stores(243, 'a', 'q', Q2, null, 4, { before: Q1 }),
  'c stores the tombstone of q': stores(244, 'c', 'q', Q2, null, 4, { before: Q1 }),

  'a and b are equal': exchange(300, 'a', 'b', 1),
  'writes wait at a': queue(310, 'a', 'writes', 12, 8_192),
  'c crashes': process(9_000, 'c', 'crashed'),
  'a sees c dead': opinion(9_500, 'a', 'c', 'dead'),
  'b sees c dead': opinion(9_600, 'b', 'c', 'dead'),

  healing: phase(HEAL_MS, 'heal', { away: [], deadlineMs: DEADLINE_MS }),
  'c starts again': process(BACK_MS, 'c', 'started'),
  'c is ready again': process(12_500, 'c', 'ready'),
  'c sees a again': opinion(12_600, 'c', 'a', 'alive'),
  'c sees b again': opinion(12_600, 'c', 'b', 'alive'),
  'a sees c again': opinion(13_000, 'a', 'c', 'alive'),
  'b sees c again': opinion(13_100, 'b', 'c', 'alive'),
  'a purges q': purges(20_000, 'a', 'q', Q2),
  'b purges q': purges(20_100, 'b', 'q', Q2),
  'c purges q': purges(20_200, 'c', 'q', Q2),
  'b and c are equal': exchange(60_000, 'b', 'c', 1),
  'all are idle': { type: 'idle', atMs: 75_000, framesPerNodeSecond: 3, framesPerNodeSecondMax: 10 },

  'the audit': phase(AUDIT_MS, 'audit'),
  'what a holds': contents(AUDIT_MS + 1, 'a', ROWS),
  'what b holds': contents(AUDIT_MS + 1, 'b', ROWS),
  'what c holds': contents(AUDIT_MS + 1, 'c', ROWS),
}

export type Change = (events: Map<string, HistoryEvent>) => void

/** The tale, with some things different. */
export function tale(...changes: readonly Change[]): readonly HistoryEvent[] {
  const events = new Map(Object.entries(TALE))
  for (const change of changes) change(events)
  return [...events.values()].toSorted((one, other) => one.atMs - other.atMs)
}

export function without(...names: readonly string[]): Change {
  return (events) => {
    for (const name of names) if (!events.delete(name)) throw new Error(`nothing in the tale is called "${name}"`)
  }
}

export function but(name: string, fields: Readonly<Record<string, unknown>>): Change {
  return (events) => {
    const event = events.get(name)
    if (event === undefined) throw new Error(`nothing in the tale is called "${name}"`)
    events.set(name, { ...event, ...fields })
  }
}

/** Events of the same time go behind those of the tale. */
export function and(...added: readonly HistoryEvent[]): Change {
  return (events) => {
    for (const event of added) {
      let number = events.size
      while (events.has(`added ${number}`)) number++
      events.set(`added ${number}`, event)
    }
  }
}

/** Rows of the audit with some replaced (or with `undefined` left out), and what follows from them. */
export function holding(
  node: string,
  changed: Readonly<Record<string, ReturnType<typeof row> | undefined>>,
  more: Parameters<typeof contents>[3] = {},
): Change {
  const kept = ROWS.filter(({ key }) => !Object.hasOwn(changed, key))
  const rows = [...kept, ...Object.values(changed).filter((changedRow) => changedRow !== undefined)]
  return (events) => void events.set(`what ${node} holds`, contents(AUDIT_MS + 1, node, rows, more))
}

/** c crashed for good, and all know it. */
export const C_STAYS_AWAY: readonly Change[] = [
  without('c starts again', 'c is ready again', 'c sees a again', 'c sees b again', 'a sees c again', 'b sees c again'),
  without('c purges q', 'b and c are equal', 'what c holds'),
  but('healing', { away: ['c'] }),
]

/** A node loses its directory and comes back, empty, as another replica. */
export function joinsAnew(atMs: number, node: 'a' | 'c', replica: string): Change {
  const others = ['a', 'b', 'c'].filter((other) => other !== node)
  return (events) => {
    and(
      process(atMs, node, 'wiped'),
      { type: 'process', atMs: atMs + 1, node, what: 'started' },
      process(atMs + 10, node, 'ready', replica),
      ...others.flatMap((other) => [
        opinion(atMs + 11, node, other, 'alive'),
        opinion(atMs + 11, other, node, 'alive', replica),
        opinion(atMs + 12, other, node, 'dead', node),
      ]),
    )(events)
    but(`what ${node} holds`, { replica: idOf(replica) })(events)
  }
}

/** anna's last write, with another version. */
export function w1As(version: string): Change {
  return (events) => {
    but('w1 is applied', { version })(events)
    for (const node of ['a', 'b', 'c']) {
      but(`${node} stores w1`, { version })(events)
      holding(node, { w: row('w', version, 'w1') })(events)
    }
  }
}

/** The same at all three nodes. */
export function everywhere(change: (node: string) => Change): Change {
  return (events) => {
    for (const node of ['a', 'b', 'c']) change(node)(events)
  }
}
