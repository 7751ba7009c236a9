import type { CheckOptions, HistoryEvent } from '../../src/index.ts'
import {
  applied,
  exchange,
  frame,
  get,
  idOf,
  opinion,
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
  writerOf,
} from './events.ts'
import {
  and,
  but,
  C_STAYS_AWAY,
  everywhere,
  holding,
  joinsAnew,
  LAST_DEADLINE_MS,
  Q1,
  tale,
  w1As,
  W1,
  without,
  X1,
  X2,
  X3,
  Y1,
  Y2,
  type Change,
} from './tale.ts'

/** Something wrong, planted in the tale. */
export interface Anomaly {
  /** What is wrong, as a sentence. */
  readonly story: string
  readonly foundBy: string
  /** Others that the same thing is wrong for, too. Nobody else may complain. */
  readonly also?: readonly string[]
  readonly history: readonly HistoryEvent[]
  readonly options?: CheckOptions
}

/** When nothing of the tale happens any more, but before it heals. */
const LATE = versionAt(251, 'a')

export const ANOMALIES: readonly Anomaly[] = [
  {
    story: 'time goes back',
    foundBy: 'well-formed',
    history: [exchange(300, 'a', 'b', 1), ...tale()],
  },
  anomaly('an operation ends twice', 'well-formed', [], and(applied(102, 1, X1))),
  anomaly('an operation is asked for twice', 'well-formed', [], and(get(250, 2, ['bob', 'a'], 'x'))),
  anomaly('a read ends as a write', 'well-formed', [], and(get(250, 20, ['bob', 'a'], 'x'), refused(251, 20))),
  anomaly('a put has no value', 'well-formed', ['nothing-invented'], but('bob puts z2', { value: undefined })),
  anomaly('a write is applied as no version', 'well-formed', [], but('w1 is applied', { version: undefined })),
  anomaly(
    'a value is read without its version',
    'well-formed',
    ['nothing-durable-lost'],
    but('bob reads x1', { version: undefined }),
  ),
  anomaly(
    'a stored value has no bytes',
    'well-formed',
    ['nothing-invented', 'one-winner'],
    but('c stores w1', { value: undefined }),
  ),
  anomaly('a live node shows nothing at the audit', 'well-formed', [], without('what b holds')),
  anomaly('two puts have the same value', 'well-formed', [], and(put(250, 20, ['bob', 'a'], 'x', 'x1'))),

  anomaly(
    'one node has lost a key that all had',
    'agreement',
    ['nothing-acknowledged-forgotten', 'nothing-durable-lost'],
    holding('c', { w: undefined }),
  ),
  anomaly(
    'a write that ended as unknown is on two nodes of three',
    'agreement',
    [],
    without('c stores z2'),
    holding('c', { z: undefined }),
  ),
  anomaly(
    'one node lacks a tombstone, and the value as well',
    'agreement',
    ['nothing-acknowledged-forgotten'],
    without('b stores the tombstone of y', 'b stores y1', 'anna gets y', 'anna reads the tombstone of y'),
    holding('b', { y: undefined }),
  ),
  anomaly(
    'one node still has the version before',
    'agreement',
    ['nothing-acknowledged-forgotten'],
    without('b stores x3'),
    holding('b', { x: row('x', X2, 'x2') }),
  ),
  anomaly(
    'a write that is durable on one node never reaches the others',
    'agreement',
    ['nothing-acknowledged-forgotten'],
    and(put(250, 20, ['bob', 'a'], 'v', 'v1'), stores(251, 'a', 'v', LATE, 'v1', 4), applied(252, 20, LATE)),
    holding('a', { v: row('v', LATE, 'v1') }),
  ),
  anomaly('equal entries have unequal roots', 'agreement', [], but('what c holds', { root: 'r', recomputedRoot: 'r' })),
  anomaly('equal entries come with unequal vectors', 'agreement', [], but('what b holds', { vectorHash: 'w' })),

  anomaly(
    'an acknowledged put was on every disk, and is on none',
    'nothing-acknowledged-forgotten',
    ['nothing-durable-lost'],
    everywhere((node) => holding(node, { w: undefined })),
  ),
  anomaly(
    'an acknowledged put was never stored',
    'nothing-acknowledged-forgotten',
    ['honest-acknowledgements'],
    and(put(250, 20, ['bob', 'a'], 'v', 'v1'), applied(252, 20, LATE)),
  ),
  anomaly(
    'an acknowledged overwrite is gone, and all hold the version before it',
    'nothing-acknowledged-forgotten',
    ['honest-acknowledgements'],
    without('a stores x3', 'b stores x3', 'c stores x3'),
    everywhere((node) => holding(node, { x: row('x', X2, 'x2') })),
  ),
  anomaly(
    'of two nodes that acknowledged together, one is wiped and the other forgets',
    'nothing-acknowledged-forgotten',
    ['nothing-durable-lost'],
    and(
      put(250, 20, ['bob', 'a'], 'v', 'v1', { w: 2 }),
      stores(251, 'a', 'v', LATE, 'v1', 4),
      stores(252, 'b', 'v', LATE, 'v1', 4),
      applied(253, 20, LATE, 2),
    ),
    joinsAnew(14_000, 'a', 'e'),
  ),

  anomaly(
    'a write is acknowledged before it is durable',
    'honest-acknowledgements',
    [],
    but('w1 is applied', { atMs: 220 }),
  ),
  anomaly(
    'a write is applied with fewer acknowledgements than it asked for',
    'honest-acknowledgements',
    [],
    but('x2 is applied', { acks: 1 }),
  ),
  anomaly('one of three passes for a quorum', 'honest-acknowledgements', [], but('anna puts w1', { w: 'quorum' })),
  anomaly(
    'two nodes are said to hold what one has made durable',
    'honest-acknowledgements',
    [],
    but('c stores x2', { atMs: 146 }),
  ),
  anomaly(
    'others have made a write durable, but its coordinator has not',
    'honest-acknowledgements',
    [],
    but('a stores w1', { atMs: 230 }),
    but('w1 is applied', { atMs: 225 }),
  ),

  anomaly(
    'a node stores an older version over a newer one',
    'nothing-durable-lost',
    [],
    and(stores(300, 'a', 'x', X2, 'x2', 1), stores(301, 'a', 'x', X3, 'x3', 2)),
  ),
  anomaly(
    'a node stores an older version over one that the record did not know of',
    'nothing-durable-lost',
    [],
    but('c stores z2', { before: versionAt(199, 'b') }),
  ),
  anomaly(
    'after a crash a node shows what it held before its last durable write',
    'nothing-durable-lost',
    [],
    and(get(15_000, 20, ['bob', 'c'], 'x'), reads(15_001, 20, 'x2', X2)),
  ),
  anomaly(
    'after a crash a node shows nothing where it had a value',
    'nothing-durable-lost',
    [],
    and(get(15_000, 20, ['bob', 'c'], 'x'), reads(15_001, 20, null)),
  ),
  anomaly(
    'a durable write is missing after a crash, and comes back from the others',
    'nothing-durable-lost',
    [],
    (events) => {
      const held = events.get('what c holds')
      if (held?.type !== 'contents') throw new Error('the tale ends with contents')
      const entries = held.entries.filter(({ key }) => key !== 'x')
      events.set('what c holds when it starts', { ...held, atMs: 12_100, entries })
    },
  ),

  anomaly(
    'a refused value is read',
    'nothing-refused-visible',
    [],
    and(get(300, 20, ['bob', 'a'], 'z'), reads(301, 20, 'z1', versionAt(299, 'a'))),
  ),
  anomaly(
    'a value is stored, and then its write is refused',
    'nothing-refused-visible',
    [],
    but('z2 ends as unknown', refused(197, 8)),
  ),
  anomaly(
    'a refused value is what all agree on',
    'nothing-refused-visible',
    [],
    everywhere((node) => holding(node, { z: row('z', versionAt(299, 'a'), 'z1') })),
  ),
  anomaly(
    'a refused delete leaves a tombstone',
    'nothing-refused-visible',
    [],
    and(remove(250, 20, ['bob', 'a'], 'y'), refused(253, 20)),
    everywhere((node) => and(stores(251, node, 'y', LATE, null, 4))),
    everywhere((node) => holding(node, { y: row('y', LATE, null) })),
  ),

  anomaly(
    'a value is read that nobody put',
    'nothing-invented',
    [],
    and(get(300, 20, ['bob', 'a'], 'u'), reads(301, 20, 'u0', versionAt(299, 'a'))),
  ),
  anomaly(
    'a value appears under another key',
    'nothing-invented',
    [],
    and(get(300, 20, ['bob', 'a'], 'u'), reads(301, 20, 'w1', versionAt(299, 'a'))),
  ),
  anomaly(
    'a value is stored before anybody put it',
    'nothing-invented',
    ['ordered-updates', 'causality'],
    but('anna puts w1', { atMs: 221.5 }),
  ),
  anomaly(
    'a tombstone appears for a key that nobody deleted',
    'nothing-invented',
    ['nothing-refused-visible'],
    and(stores(300, 'a', 'u', LATE, null, 9), purges(400, 'a', 'u', LATE)),
  ),

  anomaly(
    'a replayed frame brings a deleted value back',
    'nothing-deleted-returns',
    ['nothing-durable-lost'],
    and(stores(300, 'b', 'y', Y1, 'y1', 1), stores(301, 'b', 'y', Y2, null, 2)),
  ),
  anomaly(
    'a deleted value is read where its tombstone was durable',
    'nothing-deleted-returns',
    ['nothing-durable-lost'],
    and(get(300, 20, ['bob', 'b'], 'y'), reads(301, 20, 'y1', Y1)),
  ),
  anomaly(
    'a node that purged a tombstone takes the older value in again, until it is deleted anew',
    'nothing-deleted-returns',
    [],
    and(stores(30_000, 'a', 'q', Q1, 'q1', 3), remove(30_100, 20, ['bob', 'a'], 'q')),
    everywhere((node) => and(stores(30_101, node, 'q', versionAt(30_101, 'a'), null, 4))),
    and(applied(30_102, 20, versionAt(30_101, 'a'))),
    everywhere((node) => and(purges(40_000, node, 'q', versionAt(30_101, 'a')))),
  ),
  anomaly(
    'a joiner takes in a value whose tombstone was purged before',
    'nothing-deleted-returns',
    [],
    and(process(30_000, 'd', 'started'), process(30_001, 'd', 'ready')),
    everywhere((node) => and(opinion(30_002, node, 'd', 'alive'), opinion(30_002, 'd', node, 'alive'))),
    and(stores(30_003, 'd', 'q', Q1, 'q1', 3), purges(40_000, 'd', 'q', Q1)),
    holding('d', {}),
  ),
  anomaly(
    'a deleted value is what all agree on',
    'nothing-deleted-returns',
    ['nothing-acknowledged-forgotten', 'nothing-durable-lost'],
    everywhere((node) => holding(node, { y: row('y', Y1, 'y1') })),
  ),
  anomaly(
    'a delete was acknowledged and stored nowhere',
    'nothing-deleted-returns',
    ['nothing-acknowledged-forgotten', 'honest-acknowledgements'],
    without('anna gets y', 'anna reads the tombstone of y'),
    everywhere((node) => without(`${node} stores the tombstone of y`)),
    everywhere((node) => holding(node, { y: row('y', Y1, 'y1') })),
  ),

  anomaly(
    'one version has two values',
    'one-winner',
    [],
    and(put(90, 20, ['bob', 'a'], 'x', 'x0')),
    but('bob reads x1', { value: 'x0' }),
  ),
  anomaly(
    'one version is a tombstone here and a value there',
    'one-winner',
    [],
    but('b stores the tombstone of y', { state: 'value', value: 'y1' }),
  ),
  anomaly(
    'one version names entries of two keys',
    'one-winner',
    [],
    and(put(250, 20, ['bob', 'a'], 'v', 'v1'), get(300, 21, ['bob', 'a'], 'v'), reads(301, 21, 'v1', W1)),
  ),
  anomaly('one version has two hashes', 'one-winner', ['agreement'], (events) => {
    const held = events.get('what c holds')
    if (held?.type !== 'contents') throw new Error('the tale ends with contents')
    events.set('what c holds', { ...held, entries: held.entries.map((entry) => ({ ...entry, hash: 'another' })) })
  }),
  anomaly('the version of a value reads as nothing', 'one-winner', [], but('bob reads x1', { value: null })),

  anomaly(
    'two writes of one partition bear the same number',
    'no-dot-twice',
    [],
    everywhere((node) => but(`${node} stores w1`, { dot: [writerOf('a'), 2] })),
  ),
  anomaly(
    'a number is issued again by a node that lost count, for another key',
    'no-dot-twice',
    [],
    everywhere((node) => but(`${node} stores x3`, { dot: [writerOf('c'), 1] })),
  ),
  anomaly(
    'two replicas use one writer id',
    'no-dot-twice',
    [],
    everywhere((node) => but(`${node} stores x3`, { dot: [writerOf('a'), 9], partition: 8 })),
  ),

  anomaly(
    'a write gets a smaller version than its coordinator held',
    'ordered-updates',
    ['causality'],
    and(put(250, 20, ['bob', 'a'], 'x', 'x9'), applied(252, 20, versionAt(150, 'a'))),
  ),
  anomaly(
    'a write gets a smaller version than its session had read',
    'ordered-updates',
    ['session-guarantees', 'causality'],
    but('b stores x3', { atMs: 400 }),
    and(get(300, 20, ['carl', 'a'], 'x', { session: true }), reads(301, 20, 'x3', X3)),
    and(put(310, 21, ['carl', 'b'], 'x', 'x9', { session: true }), stores(311, 'b', 'x', versionAt(199, 'b'), 'x9', 9)),
    and(applied(312, 21, versionAt(199, 'b'))),
  ),
  anomaly(
    'one node applies two writes on the same condition',
    'ordered-updates',
    [],
    and(put(250, 20, ['bob', 'c'], 'x', 'x4', { ifMatch: X2 }), applied(253, 20, versionAt(251, 'c'))),
    everywhere((node) => and(stores(251, node, 'x', versionAt(251, 'c'), 'x4', 3, { before: X3 }))),
    everywhere((node) => holding(node, { x: row('x', versionAt(251, 'c'), 'x4') })),
  ),

  anomaly(
    'a write on a condition gets a smaller version than the one it replaced',
    'ordered-updates',
    ['causality'],
    but('b stores x3', { atMs: 400 }),
    and(put(250, 20, ['bob', 'b'], 'x', 'x4', { ifMatch: X3 }), stores(251, 'b', 'x', versionAt(199, 'b'), 'x4', 9)),
    and(applied(252, 20, versionAt(199, 'b'))),
  ),
  anomaly(
    'a session does not see its own write on another node',
    'session-guarantees',
    [],
    but('b stores x1', { atMs: 135 }),
    but('bob reads x1', { value: null, version: undefined }),
    but('anna reads x1', { value: null, version: undefined }),
  ),
  anomaly(
    'a session reads one version and then an older one elsewhere',
    'session-guarantees',
    [],
    but('b stores x3', { atMs: 400 }),
    and(get(300, 20, ['carl', 'a'], 'x', { session: true }), reads(301, 20, 'x3', X3)),
    and(get(302, 21, ['carl', 'b'], 'x', { session: true }), reads(303, 21, 'x2', X2)),
  ),
  anomaly(
    'a session writes twice, and the second write loses to the first',
    'session-guarantees',
    ['ordered-updates', 'causality'],
    but('x2 is applied', { version: versionAt(99, 'b') }),
  ),

  anomaly(
    'a write is dated before what its coordinator held of other keys',
    'causality',
    [],
    w1As(versionAt(190, 'a')),
  ),
  anomaly(
    'a session reads one key, and its write to another is older than what it read',
    'causality',
    [],
    but('a stores z2', { atMs: 390 }),
    but('a stores x3', { atMs: 400 }),
    and(get(212, 20, ['anna', 'c'], 'x', { session: true }), reads(213, 20, 'x3', X3)),
    w1As(versionAt(180, 'a')),
  ),
  anomaly(
    'a writer gives a later number an earlier version',
    'causality',
    [],
    everywhere((node) => but(`${node} stores q1`, { dot: [writerOf('b'), 6] })),
  ),

  anomaly(
    'the tree is not that of the rows',
    'tree-equals-data',
    [],
    but('what b holds', { recomputedRoot: 'another' }),
  ),
  anomaly(
    'a row is corrupt, and nothing damaged the disk',
    'tree-equals-data',
    [],
    but('what b holds', { corrupt: 1 }),
  ),

  anomaly(
    'two equal nodes need five questions to find it out',
    'one-question-between-equals',
    [],
    and(exchange(50_000, 'a', 'b', 5, { result: 'equal' })),
  ),
  anomaly(
    'two nodes are found equal without a question',
    'one-question-between-equals',
    [],
    but('a and b are equal', { questions: 0 }),
  ),

  anomaly(
    'an entry is taken in twenty seconds before its time',
    'bounded-drift',
    [],
    but('b stores x1', { wallMs: -20_000 }),
  ),
  anomaly('a queue is longer than it may be', 'bounded-queues', [], and(queue(320, 'a', 'writes', 8_193, 8_192))),

  anomaly('one node does not see a crash', 'membership', [], ...C_STAYS_AWAY, without('b sees c dead')),
  anomaly(
    'a crash is suspected and no more',
    'membership',
    [],
    ...C_STAYS_AWAY,
    but('a sees c dead', { state: 'suspect' }),
  ),
  anomaly(
    'a crash is seen after twelve seconds',
    'membership',
    [],
    ...C_STAYS_AWAY,
    but('c crashes', { atMs: 11_000 }),
    but('a sees c dead', { atMs: 23_000 }),
    but('b sees c dead', { atMs: 14_000 }),
  ),
  anomaly(
    'a node whose process is gone is seen alive again',
    'membership',
    [],
    ...C_STAYS_AWAY,
    and(opinion(40_000, 'b', 'c', 'alive')),
  ),
  anomaly(
    'a node that runs is declared dead while there are no faults',
    'membership',
    [],
    and(opinion(40_000, 'a', 'b', 'dead'), opinion(40_500, 'a', 'b', 'alive')),
  ),
  anomaly('a node that came back is thought dead to the end', 'membership', [], without('a sees c again')),
  anomaly('a node that came back does not find one of the others', 'membership', [], without('c sees b again')),

  anomaly(
    'one node does not know another one as a member',
    'same-members',
    [],
    everywhere((node) => but(`what ${node} holds`, { members: ['a', 'b', 'c'].map(idOf) })),
    but('what b holds', { members: ['a', 'b'].map(idOf) }),
  ),
  anomaly(
    'all know a member that no node is any more',
    'same-members',
    [],
    everywhere((node) => but(`what ${node} holds`, { members: ['a', 'b', 'c', 'd'].map(idOf) })),
  ),
  {
    ...anomaly('a tombstone stays, and nobody holds it back', 'tombstones-collected', []),
    options: { purgeIntervalMs: 10_000 },
  },

  anomaly(
    'a frame of another cluster is taken in',
    'isolation',
    [],
    and(frame(400, 'd', 'a', { fromCluster: '2'.repeat(32) })),
  ),
  anomaly(
    'a frame for another replica is taken in',
    'isolation',
    [],
    and(frame(400, 'b', 'a', { toReplica: idOf('d') })),
  ),
  anomaly(
    'a wiped node takes in an answer to the replica that it was',
    'isolation',
    [],
    joinsAnew(14_000, 'c', 'e'),
    and(frame(14_005, 'a', 'c')),
  ),

  anomaly(
    'entries still travel after the deadline',
    'convergence-in-time',
    [],
    but('c stores w1', { atMs: LAST_DEADLINE_MS + 1 }),
  ),
  anomaly(
    'a node does not get ready while all is well',
    'convergence-in-time',
    [],
    without('c is ready again', 'what c holds'),
  ),
  anomaly('traffic does not fall to idle', 'convergence-in-time', [], but('all are idle', { framesPerNodeSecond: 11 })),

  anomaly(
    'equal vectors come with unequal roots, and no disk was damaged',
    'no-integrity-fault',
    [],
    and({ type: 'integrity-fault', atMs: 400, node: 'a', peer: 'b' }),
  ),
]

function anomaly(story: string, foundBy: string, also: readonly string[], ...changes: readonly Change[]): Anomaly {
  return { story, foundBy, ...(also.length > 0 && { also }), history: tale(...changes) }
}
