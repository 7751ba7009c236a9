import type { CheckOptions, HistoryEvent } from '../../src/index.ts'
import {
  applied,
  contents,
  damage,
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
  remove,
  replay,
  row,
  stores,
  versionAt,
  writerOf,
} from './events.ts'
import {
  and,
  AUDIT_MS,
  but,
  C_STAYS_AWAY,
  DEADLINE_MS,
  everywhere,
  HEAL_MS,
  holding,
  joinsAnew,
  LAST_DEADLINE_MS,
  Q1,
  tale,
  without,
  X1,
  X2,
  X3,
  Y1,
  Y2,
  Z2,
  type Change,
} from './tale.ts'

/** Something that looks wrong and is permitted, planted in the tale. */
export interface Permitted {
  readonly story: string
  readonly history: readonly HistoryEvent[]
  readonly options?: CheckOptions
}

const V1 = versionAt(251, 'a')
const V2 = versionAt(252, 'b')

export const PERMITTED: readonly Permitted[] = [
  permitted(
    'a node that is cut off serves what it last heard of',
    but('b stores x3', { atMs: 5_000 }),
    and(get(4_000, 20, ['bob', 'b'], 'x'), reads(4_001, 20, 'x2', X2)),
  ),
  permitted(
    'a client without a session reads a version and then an older one elsewhere',
    but('b stores x3', { atMs: 400 }),
    and(
      get(300, 20, ['bob', 'a'], 'x'),
      reads(301, 20, 'x3', X3),
      get(302, 21, ['bob', 'b'], 'x'),
      reads(303, 21, 'x2', X2),
    ),
  ),
  permitted(
    'a read that began before a version was durable shows the one before it',
    and(get(200.5, 20, ['bob', 'c'], 'x'), reads(203, 20, 'x2', X2)),
  ),
  permitted(
    'a write that ended as unknown never shows',
    everywhere((node) => without(`${node} stores z2`)),
    everywhere((node) => holding(node, { z: undefined })),
  ),
  permitted(
    'a write that ended as unknown shows much later',
    everywhere((node) => but(`${node} stores z2`, { atMs: 8_000 })),
  ),
  permitted('a write that never ended shows', without('z2 ends as unknown')),
  permitted(
    'a delete that ended as unknown deletes',
    and(remove(250, 20, ['bob', 'a'], 'y'), lost(260, 20)),
    everywhere((node) => and(stores(400, node, 'y', V1, null, 4))),
    everywhere((node) => holding(node, { y: row('y', V1, null) })),
  ),
  permitted(
    'the only disk with an acknowledged write of one copy is wiped',
    and(put(250, 20, ['bob', 'a'], 'v', 'v1'), stores(251, 'a', 'v', V1, 'v1', 4), applied(252, 20, V1)),
    joinsAnew(14_000, 'a', 'e'),
  ),
  permitted(
    'the only node with an acknowledged write stays away',
    ...C_STAYS_AWAY,
    and(put(250, 20, ['bob', 'c'], 'v', 'v1'), stores(251, 'c', 'v', versionAt(251, 'c'), 'v1', 3)),
    and(applied(252, 20, versionAt(251, 'c'))),
  ),
  permitted(
    'a wiped node joins anew under another id, and hears old versions before new ones',
    joinsAnew(14_000, 'c', 'e'),
    and(
      stores(14_008, 'c', 'x', X1, 'x1', 1, { replica: idOf('e') }),
      stores(14_009, 'c', 'y', Y1, 'y1', 1, { replica: idOf('e') }),
      get(14_500, 20, ['bob', 'c'], 'x'),
      reads(14_501, 20, 'x1', X1),
      stores(15_000, 'c', 'x', X3, 'x3', 2, { replica: idOf('e'), before: X1 }),
      stores(15_000, 'c', 'y', Y2, null, 2, { replica: idOf('e'), before: Y1 }),
      frame(15_100, 'a', 'c', { toReplica: idOf('e') }),
    ),
  ),
  permitted(
    'a rolled back disk shows old versions and deleted values until its node finds out',
    and(damage(9_500, 'c', 'rolled-back')),
    and(get(12_700, 20, ['bob', 'c'], 'y'), reads(12_701, 20, 'y1', Y1)),
    and(get(12_800, 21, ['bob', 'c'], 'x'), reads(12_801, 21, 'x1', X1)),
    joinsAnew(14_000, 'c', 'e'),
  ),
  permitted(
    'a node that was rolled back without knowing it stamps another key with a version that it has forgotten',
    and(put(9_300, 20, ['bob', 'c'], 'v', 'v1'), stores(9_310, 'c', 'v', versionAt(9_310, 'c'), 'v1', 3)),
    and(
      stores(9_320, 'a', 'v', versionAt(9_310, 'c'), 'v1', 3),
      stores(9_320, 'b', 'v', versionAt(9_310, 'c'), 'v1', 3),
    ),
    and(applied(9_330, 20, versionAt(9_310, 'c')), damage(9_500, 'c', 'rolled-back')),
    and(
      put(12_700, 21, ['carl', 'c'], 'u', 'u1'),
      stores(12_701, 'c', 'u', versionAt(9_310, 'c'), 'u1', 1, { dot: [writerOf('d'), 1] }),
    ),
    and(lost(12_750, 21)),
    joinsAnew(14_000, 'c', 'e'),
    everywhere((node) => holding(node, { v: row('v', versionAt(9_310, 'c'), 'v1') })),
  ),
  permitted(
    'and the same key, whose readers are told both',
    and(put(9_300, 20, ['bob', 'c'], 'v', 'v1'), stores(9_310, 'c', 'v', versionAt(9_310, 'c'), 'v1', 3)),
    and(lost(9_330, 20), damage(9_500, 'c', 'rolled-back'), remove(12_800, 22, ['carl', 'c'], 'v')),
    and(stores(12_801, 'c', 'v', versionAt(9_310, 'c'), null, 1, { dot: [writerOf('d'), 1] })),
    and(applied(12_850, 22, versionAt(9_310, 'c')), get(12_900, 23, ['carl', 'c'], 'v')),
    and(reads(12_901, 23, null, versionAt(9_310, 'c'))),
    joinsAnew(14_000, 'c', 'e'),
  ),
  permitted(
    'a damaged disk hides a row, and its node and the others notice',
    and(damage(9_500, 'c', 'damaged'), { type: 'integrity-fault', atMs: 14_000, node: 'c', peer: 'a' }),
    holding('c', { w: undefined }, { corrupt: 1, root: 'old' }),
  ),
  permitted(
    'of two concurrent writes one loses',
    and(put(250, 20, ['bob', 'a'], 'v', 'v1'), put(250, 21, ['carl', 'b'], 'v', 'v2')),
    and(stores(251, 'a', 'v', V1, 'v1', 4), stores(252, 'b', 'v', V2, 'v2', 5)),
    and(applied(253, 20, V1), applied(253, 21, V2)),
    and(stores(254, 'a', 'v', V2, 'v2', 5, { before: V1 }), stores(254, 'c', 'v', V2, 'v2', 5)),
    everywhere((node) => holding(node, { v: row('v', V2, 'v2') })),
  ),
  permitted(
    'a delete loses to a concurrent put',
    and(remove(250, 20, ['bob', 'a'], 'x'), put(250, 21, ['carl', 'b'], 'x', 'x9')),
    and(stores(251, 'a', 'x', V1, null, 4, { before: X3 }), stores(252, 'b', 'x', V2, 'x9', 5, { before: X3 })),
    and(applied(253, 20, V1), applied(253, 21, V2)),
    and(stores(254, 'a', 'x', V2, 'x9', 5, { before: V1 }), stores(254, 'c', 'x', V2, 'x9', 5, { before: X3 })),
    everywhere((node) => holding(node, { x: row('x', V2, 'x9') })),
  ),
  permitted(
    'a deleted key is put again',
    and(put(250, 20, ['bob', 'a'], 'q', 'q2'), applied(253, 20, V1)),
    everywhere((node) => without(`${node} purges q`)),
    everywhere((node) => and(stores(251, node, 'q', V1, 'q2', 4))),
    everywhere((node) => holding(node, { q: row('q', V1, 'q2') })),
  ),
  permitted(
    'a purged key is put again',
    and(put(30_000, 20, ['bob', 'a'], 'q', 'q2'), applied(30_002, 20, versionAt(30_001, 'a'))),
    everywhere((node) => and(stores(30_001, node, 'q', versionAt(30_001, 'a'), 'q2', 4))),
    everywhere((node) => holding(node, { q: row('q', versionAt(30_001, 'a'), 'q2') })),
  ),
  permitted(
    'a value arrives where its tombstone has not been yet',
    but('b stores y1', { atMs: 173 }),
    and(get(174, 20, ['bob', 'b'], 'y'), reads(174.5, 20, 'y1', Y1)),
  ),
  permitted(
    'of two writes in one group only the second is stored',
    and(put(250, 20, ['bob', 'a'], 'v', 'v1'), put(250, 21, ['carl', 'a'], 'v', 'v2')),
    everywhere((node) => and(stores(252, node, 'v', versionAt(251, 'a', 1), 'v2', 5))),
    and(applied(253, 20, V1), applied(253, 21, versionAt(251, 'a', 1))),
    everywhere((node) => holding(node, { v: row('v', versionAt(251, 'a', 1), 'v2') })),
  ),
  permitted(
    'each of two nodes applies one write on the same condition',
    and(
      put(201, 20, ['carl', 'b'], 'x', 'x9', { ifMatch: X2 }),
      stores(202, 'b', 'x', versionAt(202, 'b'), 'x9', 5, { partition: 8 }),
    ),
    and(applied(203, 20, versionAt(202, 'b'))),
    without('b stores x3'),
    and(
      stores(207, 'a', 'x', versionAt(202, 'b'), 'x9', 5, { partition: 8 }),
      stores(207, 'c', 'x', versionAt(202, 'b'), 'x9', 5, { partition: 8 }),
    ),
    everywhere((node) => holding(node, { x: row('x', versionAt(202, 'b'), 'x9') })),
  ),
  permitted(
    'an expired value reads as nothing, and is purged',
    but('anna puts w1', { ttlMs: 1_000 }),
    and(get(2_000, 20, ['anna', 'b'], 'w', { session: true }), reads(2_001, 20, null, versionAt(221, 'a'))),
    and(get(2_010, 21, ['anna', 'b'], 'w', { session: true }), reads(2_011, 21, null)),
    everywhere((node) => and(purges(20_300, node, 'w', versionAt(221, 'a')))),
    everywhere((node) => holding(node, { w: undefined })),
  ),
  permitted(
    'what a node with a fast clock wrote is parked elsewhere, to the end',
    and(put(250, 20, ['bob', 'a'], 'v', 'v1'), stores(251, 'a', 'v', versionAt(9e8, 'a'), 'v1', 4)),
    and(applied(252, 20, versionAt(9e8, 'a'))),
    holding('a', { v: row('v', versionAt(9e8, 'a'), 'v1') }),
    holding('b', {}, { parked: 1, vectorHash: 'w' }),
    holding('c', {}, { parked: 1, vectorHash: 'w' }),
  ),
  permitted(
    'entries travel to a node as long as is permitted since it came back',
    but('c stores w1', { atMs: LAST_DEADLINE_MS }),
  ),
  permitted(
    'a parked entry is stored when its time has come, after the deadline',
    but('c stores w1', { atMs: LAST_DEADLINE_MS + 100 }),
    and(queue(LAST_DEADLINE_MS - 1, 'c', 'parked', 1, 10_000)),
  ),
  permitted(
    'a session that a node cannot satisfy is refused',
    but('b stores x3', { atMs: 400 }),
    and(get(300, 20, ['carl', 'a'], 'x', { session: true }), reads(301, 20, 'x3', X3)),
    and(get(302, 21, ['carl', 'b'], 'x', { session: true })),
    and({ type: 'read', atMs: 303, op: 21, outcome: 'failed', code: 'behind' }),
  ),
  permitted(
    'a session that deleted a key reads nothing once the frontier has passed the tombstone, before that is purged',
    but('bob deletes q', { session: true }),
    and(get(260, 20, ['bob', 'c'], 'q', { session: true }), reads(261, 20, null)),
  ),
  permitted(
    'a session that deleted a key reads nothing after the purge',
    but('bob deletes q', { session: true }),
    and(get(30_000, 20, ['bob', 'c'], 'q', { session: true }), reads(30_001, 20, null)),
  ),
  permitted(
    'two nodes become equal while they compare',
    and(exchange(206.5, 'a', 'b', 3, { result: 'equal', startedAtMs: 204 })),
  ),
  permitted(
    'two nodes compare while one of them has not yet been told that its last write is durable',
    and(exchange(209, 'a', 'b', 2, { result: 'equal', startedAtMs: 207.5 })),
  ),
  permitted('two nodes differ, and repair it', and(exchange(400, 'a', 'b', 6))),
  permitted(
    'a joiner throws an id away for the next one',
    and(
      { type: 'process', atMs: 14_000, node: 'd', what: 'started' },
      stores(14_001, 'd', 'x', X2, 'x2', 1, { replica: idOf('d') }),
      frame(14_002, 'a', 'd', { toReplica: idOf('e') }),
      stores(14_003, 'd', 'x', X1, 'x1', 1, { replica: idOf('e') }),
      process(15_000, 'd', 'ready', 'e'),
      stores(15_001, 'd', 'x', X3, 'x3', 2, { replica: idOf('e'), before: X1 }),
    ),
    everywhere((node) => and(opinion(15_002, node, 'd', 'alive', 'e'), opinion(15_002, 'd', node, 'alive'))),
    holding('d', {}, { replica: idOf('e') }),
  ),
  permitted(
    'an evicted node that is cut off goes on with what the others purged',
    ...C_STAYS_AWAY,
    without('c crashes', 'c stores the tombstone of q', 'c stores q1'),
    and(
      opinion(15_000, 'a', 'c', 'evicted'),
      opinion(15_000, 'b', 'c', 'evicted'),
      stores(60_000, 'c', 'q', Q1, 'q1', 3),
    ),
  ),
  permitted('a node crashes for good', ...C_STAYS_AWAY),
  permitted(
    'a node is cut off for good, and thinks what it likes of the others',
    ...C_STAYS_AWAY,
    without('c crashes'),
    and(opinion(20_000, 'c', 'a', 'dead'), opinion(20_100, 'c', 'b', 'dead')),
  ),
  permitted(
    'a frozen node wakes up, and the others think it dead until they hear from it',
    and(process(11_000, 'b', 'frozen'), opinion(17_000, 'a', 'b', 'dead'), process(25_000, 'b', 'thawed')),
    and(opinion(26_000, 'c', 'b', 'dead'), opinion(27_000, 'a', 'b', 'alive'), opinion(27_000, 'c', 'b', 'alive')),
  ),
  permitted(
    'an accusation that was under way when the faults ended is denied',
    and(opinion(HEAL_MS + 4_000, 'a', 'b', 'dead'), opinion(HEAL_MS + 5_000, 'a', 'b', 'alive')),
  ),
  permitted(
    'an accusation of long ago comes again, of an incarnation that a crash had lost, and is denied',
    and(replay(39_500), opinion(40_000, 'a', 'b', 'dead'), opinion(40_500, 'a', 'b', 'alive')),
  ),
  permitted(
    'a joiner names no cluster, and whoever knows only an address names no replica',
    and(frame(400, 'd', 'a', { name: 'join', fromCluster: '', toReplica: '' })),
  ),
  permitted(
    'another cluster keeps to itself in the same run',
    and({ type: 'process', atMs: 20, node: 'd', what: 'ready', cluster: '2'.repeat(32), replica: idOf('d') }),
    and(put(250, 20, ['dora', 'd'], 'x', 'x9'), stores(251, 'd', 'x', versionAt(251, 'd'), 'x9', 1)),
    and(applied(252, 20, versionAt(251, 'd'))),
    and(contents(AUDIT_MS + 1, 'd', [row('x', versionAt(251, 'd'), 'x9')], { cluster: '2'.repeat(32) })),
  ),
  {
    story: 'of real processes only what clients see is known',
    history: tale().filter(({ type }) => type !== 'stored' && type !== 'purged'),
    options: { diskIsSeen: false },
  },
  {
    story: 'with trees alone, entries agree and vectors do not',
    history: tale(but('what b holds', { vectorHash: 'w' })),
    options: { vectorsConverge: false },
  },
  permitted(
    'writes go on after faults ended once, and faults begin again',
    and(phase(30_000, 'chaos'), phase(30_500, 'heal', { away: [], deadlineMs: DEADLINE_MS })),
    and(process(30_100, 'b', 'frozen'), opinion(30_400, 'a', 'b', 'dead'), process(30_450, 'b', 'thawed')),
    and(opinion(31_000, 'a', 'b', 'alive')),
  ),
  permitted(
    'a write in doubt is stored where it was asked for only after a restart',
    but('b stores z2', { atMs: 7_000 }),
    but('a stores z2', { atMs: 7_100 }),
    but('c stores z2', { atMs: 7_100 }),
    and(process(5_000, 'b', 'crashed'), process(6_000, 'b', 'started'), process(6_500, 'b', 'ready')),
    and(opinion(6_600, 'b', 'a', 'alive'), opinion(6_600, 'b', 'c', 'alive')),
    and(get(6_900, 20, ['bob', 'b'], 'z'), reads(6_901, 20, 'z2', Z2)),
  ),
]

function permitted(story: string, ...changes: readonly Change[]): Permitted {
  return { story, history: tale(...changes) }
}
