import { expect } from 'vitest'
import type { Happenings, Span } from './happenings.ts'
import { expectUnworn } from './uptime.ts'

/**
 * For each scenario, by the name of its file: that it did what it tells of. Checkers find what went wrong, and are as
 * content with a run in which nothing happened; this is how such a run fails.
 */
export const EXPECTATIONS: Readonly<Record<string, (run: Happenings) => void>> = {
  'kv679-rollback'(run) {
    expect(run.faults('rollback').filter(({ disk }) => disk === 'rolled-back')).toHaveLength(1)
    for (const key of ['cart', 'user', 'order']) {
      const [first, again] = run.stored('n2', key)
      expect(first?.atMs).toBeLessThan(12_000)
      expect(run.stored('n1', key)[0]?.version).toBe(first?.version)
      // It has forgotten, counts from the same number, and yet it is another dot.
      expect(again?.before).toBeUndefined()
      expect(again?.dot[1]).toBe(first?.dot[1])
      expect(again?.dot[0]).not.toBe(first?.dot[0])
      expect(run.rowsOf(key).map((row) => row?.version)).toEqual(Array(3).fill(again?.version))
    }
    expect(run.stored('n2', 'other-1').at(-1)?.version).toBe(run.writesTo('other-1').at(-1)?.outcome?.version)
  },

  'kv679-wiped'(run) {
    expect(run.lifeOf('n2', { fromMs: 10_000 })).toEqual(['crashed', 'wiped', 'started', 'ready'])
    expect(run.replicasOf('n2')).toHaveLength(2)
    for (const key of ['cart', 'user', 'order']) {
      const [first, again] = run.writesTo(key).map(({ outcome }) => outcome)
      expect([first?.acks, again?.outcome]).toEqual([3, 'applied'])
      expect(run.stored('n2', key).map(({ version }) => version)).toEqual([
        first?.version,
        first?.version,
        again?.version,
      ])
      expect(run.rowsOf(key).map((row) => row?.version)).toEqual(Array(3).fill(again?.version))
    }
  },

  doomstone(run) {
    for (const key of ['a', 'b', 'c', 'd']) {
      const atN3 = run.stored('n3', key).map(({ state, atMs }) => [state, atMs > 25_000])
      expect(atN3).toEqual([
        ['value', false],
        ['tombstone', true],
      ])
      // And the tombstone is gone as well by now, everywhere.
      expect(run.rowsOf(key)).toEqual(Array(3).fill(undefined))
      expect(purgersOf(run, key)).toBe(3)
    }
    // Nobody writes any more, so these are the old values.
    const replayed = run.of('accepted', { fromMs: 35_000, toMs: 60_000 }).filter(({ name }) => name === 'rumors')
    expect(replayed.filter(({ to }) => to === 'n3').length).toBeGreaterThan(0)
    expect(replayed.filter(({ to }) => to === 'n2').length).toBeGreaterThan(0)
  },

  'zombie-by-absence'(run) {
    const backMs = 10_000 + 30 * DAY_MS
    expect(run.lifeOf('n3', { fromMs: 9_000 })).toEqual(['crashed', 'started', 'ready'])
    expect(run.of('process', { fromMs: backMs }).filter(({ what }) => what === 'started')).toHaveLength(1)
    for (const key of ['a', 'b', 'c']) {
      expect(run.stored('n3', key, { fromMs: backMs }).map(({ state }) => state)).toEqual(['tombstone'])
      // And the tombstone is gone as well by now, everywhere.
      expect(run.rowsOf(key)).toEqual(Array(3).fill(undefined))
      expect(purgersOf(run, key)).toBe(3)
    }
    const last = run.writesTo('d').at(-1)?.outcome
    expect(run.rowsOf('d').map((row) => row?.version)).toEqual(Array(3).fill(last?.version))
  },

  'zombie-with-wrong-clock'(run) {
    const rightMs = 30 * DAY_MS + 60_000
    expect(run.parkedAt('n3', { fromMs: 30 * DAY_MS, toMs: rightMs })).toBeGreaterThan(0)
    for (const key of ['a', 'b', 'c']) {
      const atN3 = run.stored('n3', key, { fromMs: 10_000 })
      expect(atN3.map(({ state, atMs }) => [state, atMs > rightMs])).toEqual([['tombstone', key === 'c']])
      // And the tombstone is gone as well by now, everywhere.
      expect(run.rowsOf(key)).toEqual(Array(3).fill(undefined))
      expect(purgersOf(run, key)).toBe(3)
    }
    const [before = '', after = ''] = versionsOf(run, 'd')
    expect(after > before).toBe(true)
    expect(run.rowsOf('d').map((row) => row?.version)).toEqual(Array(3).fill(after))
  },

  'address-of-another-cluster'(run) {
    expect(run.result.statistics.refused['wrong-cluster'] ?? 0).toBeGreaterThan(10)
    expect(run.of('accepted').filter(({ from, to, name }) => from[0] !== to[0] && name !== 'hello')).toEqual([])
    expect([...run.clusters().values()]).toEqual([
      ['a1', 'a2', 'a3'],
      ['b1', 'b2', 'b3'],
    ])
    for (const node of ['a2', 'b2', 'a3', 'b3'])
      expect(run.lifeOf(node, { fromMs: 12_000 })).toEqual(['crashed', 'started', 'ready'])
    expect(run.accepted('a1', 'a2', { fromMs: 16_000, toMs: 29_000 }).length).toBeGreaterThan(5)
    // The other one is of every run: when all is over, old questions are asked again.
    expect(run.faults('replay').filter(({ detail }) => detail !== 'when all is over')).toHaveLength(1)
  },

  'mass-restart'(run) {
    for (const node of NODES.slice(0, 5)) {
      const life = run.lifeOf(node, { fromMs: 12_000 })
      expect(life.filter((what) => what === 'crashed')).toHaveLength(4)
      expect(life.at(-1)).toBe('ready')
    }
    const lives = NODES.slice(0, 5).map((node) => run.lifeOf(node, { fromMs: 12_000 }).join(' '))
    // Somebody was in the middle of coming back.
    expect(lives.join('\n')).toContain('crashed started crashed')
    for (const from of NODES.slice(0, 5))
      for (const to of NODES.slice(0, 5))
        if (from !== to) expect(run.accepted(from, to, { fromMs: 32_000, toMs: 45_000 }).length).toBeGreaterThan(0)
    expect(appliedAt(run, '*', { fromMs: 32_000 })).toBeGreaterThan(10)
  },

  'power-loss-under-load'(run) {
    const crashes = run.of('process').filter(({ what }) => what === 'crashed')
    expect(crashes).toHaveLength(7)
    // Clients were in the middle of a write, and do not know.
    expect(run.writes().filter(({ outcome }) => outcome?.outcome === 'unknown').length).toBeGreaterThan(0)
    for (const node of ['n1', 'n2', 'n3']) expect(appliedAt(run, node, { fromMs: 32_000 })).toBeGreaterThan(5)
  },

  'disk-full-one'(run) {
    const full = { fromMs: 13_000, toMs: 23_000 }
    expect(appliedAt(run, 'n2', full)).toBe(0)
    expect(run.writes(full).filter(({ invoke }) => invoke.node === 'n2').length).toBeGreaterThan(5)
    for (const node of ['n1', 'n3']) {
      expect(appliedAt(run, node, full)).toBeGreaterThan(5)
      expect(run.readsAt(node, full).every(({ outcome }) => outcome === 'ok')).toBe(true)
    }
    expect(appliedAt(run, 'n2', { fromMs: 27_000 })).toBeGreaterThan(5)
    expect(run.lifeOf('n2', { fromMs: 12_000 })).toEqual(['ready'])
  },

  'disk-full-all'(run) {
    const full = { fromMs: 13_000, toMs: 23_000 }
    expect(appliedAt(run, '*', full)).toBe(0)
    expect(run.writes(full).length).toBeGreaterThan(50)
    for (const node of ['n1', 'n2', 'n3']) expect(appliedAt(run, node, { fromMs: 27_000 })).toBeGreaterThan(5)
  },

  'one-way-cut-three': oneWayCut,
  'one-way-cut-five': oneWayCut,

  'restored-backup'(run) {
    expect(run.faults('rollback').filter(({ disk }) => disk === 'rolled-back')).toHaveLength(1)
    // Mostly it is told at the first contact that its directory is older than itself, and joins anew, as another replica. What an
    // exchange brings before may close the gap first: then it has everything again before it promises anything.
    const noticed = run.of('process').find(({ reason }) => reason === 'rolled_back')
    expect([undefined, 'n2']).toContain(noticed?.node)
    expect(run.replicasOf('n2')).toHaveLength(noticed === undefined ? 1 : 2)
    expect(run.stored('n2', 'new').map(({ atMs }) => atMs > 22_000)).toEqual([false, true])
    for (const key of ['a', 'b']) {
      const [first, ...later] = run.stored('n2', key).map(({ state }) => state)
      expect(first).toBe('value')
      // Coming back it hears of the delete once more, unless all others have purged it by then.
      expect([1, 2]).toContain(later.length)
      expect(new Set(later)).toEqual(new Set(['tombstone']))
      // And the tombstone is gone as well by now, everywhere.
      expect(run.rowsOf(key)).toEqual(Array(3).fill(undefined))
      expect(purgersOf(run, key)).toBeGreaterThan(1)
    }
    for (const key of ['c', 'd', 'new'])
      expect(run.rowsOf(key).map((row) => row?.version)).toEqual(
        Array(3).fill(run.writesTo(key).at(-1)?.outcome?.version),
      )
  },

  'restored-snapshot'(run) {
    expect(run.faults('restore')).toHaveLength(2)
    // Only from the snapshot: n3 was never heard again before it came back empty.
    for (const node of ['n1', 'n2'])
      expect(run.stored(node, 'tail').map(({ atMs }) => [atMs > 16_000, atMs < 20_000])).toEqual([[true, true]])
    for (const key of ['a', 'b']) {
      for (const node of ['n1', 'n2'])
        expect(run.stored(node, key).map(({ state }) => state)).toEqual(['value', 'tombstone'])
      expect(run.of('purged', { toMs: 45_000 }).filter((event) => event.key === key)).toHaveLength(2)
      expect(run.rowsOf(key)).toEqual(Array(3).fill(undefined))
    }
    for (const key of ['c', 'tail'])
      expect(run.rowsOf(key).map((row) => row?.version)).toEqual(
        Array(3).fill(run.writesTo(key).at(-1)?.outcome?.version),
      )
  },

  'flipped-bit-in-frame'(run) {
    // A kind that is new takes part in this as soon as it is ever asked.
    const asked = new Set(run.of('accepted').map(({ name }) => name))
    // Only when an exchange comes upon a leaf that it cannot explain, which hangs on what else was lost.
    asked.delete('sound-leaf')
    expect([...asked].toSorted()).toEqual(QUESTIONS_ASKED.toSorted())
    const damaged = new Set(run.faults('frame-corruption').map(({ detail = '' }) => detail.replace(/^\S+ /, '')))
    expect([...damaged].toSorted()).toEqual(
      [...QUESTIONS_ASKED, ...QUESTIONS_ASKED.map((name) => `${name} answer`)].toSorted(),
    )
  },

  bridge(run) {
    const cut = { fromMs: 12_100, toMs: 112_000 }
    for (const left of ['n1', 'n2'])
      for (const right of ['n4', 'n5']) {
        expect(run.accepted(left, right, cut)).toEqual([])
        expect(run.accepted(right, left, cut)).toEqual([])
      }
    for (const node of NODES.slice(0, 5)) {
      expect(run.stored(node, 'left', cut)).toHaveLength(1)
      expect(run.stored(node, 'right', cut)).toHaveLength(1)
    }
    expect(run.declaredDead()).toEqual([])
  },

  'flapping-link'(run) {
    expect(run.faults('cut')).toHaveLength(30)
    expect(run.result.statistics.faults['frame-cut'] ?? 0).toBeGreaterThan(5)
    expect(run.declaredDead()).toEqual([])
    // Not one change of opinion per flap.
    const changes = run.of('opinion', { fromMs: 10_000, toMs: 42_000 })
    expect(changes.length).toBeLessThan(30)
  },

  'flapping-node'(run) {
    expect(run.faults('cut')).toHaveLength(60)
    expect(run.result.statistics.faults['frame-cut'] ?? 0).toBeGreaterThan(15)
    expect(run.declaredDead()).toEqual([])
  },

  'slow-node'(run) {
    const slow = { fromMs: 11_000, toMs: 38_000 }
    expect(medianMs(run, 'n3', slow)).toBeGreaterThan(200)
    expect(medianMs(run, 'n1', slow)).toBeLessThan(20)
    expect(run.declaredDead()).toEqual([])
  },

  'paused-node'(run) {
    expect(run.lifeOf('n2', { fromMs: 10_000 })).toEqual(['frozen', 'thawed', 'frozen', 'thawed', 'frozen', 'thawed'])
    // It slept, and so knows nothing of the others …
    for (const other of ['n1', 'n3', 'n4']) {
      expect(run.opinions('n2', other)).not.toContain('dead')
      // … who were right about it for a while.
      expect(run.opinions(other, 'n2')).toContain('dead')
      expect(run.opinions(other, 'n2').at(-1)).toBe('alive')
      // Three seconds kill nobody.
      expect(run.opinions(other, 'n2', { toMs: 20_000 })).not.toContain('dead')
    }
  },

  'hole-in-log'(run) {
    expect(run.lifeOf('n2', { fromMs: 15_000 })).toEqual([
      'crashed',
      'started',
      'ended-itself: data_missing',
      'wiped: set aside',
      'started',
      'ready',
    ])
    expect(run.replicasOf('n2')).toHaveLength(2)
  },

  'bit-flip-at-rest'(run) {
    const [first, second] = run.writesTo('only').map(({ outcome }) => outcome?.version)
    expect(run.faults('flip-bit').filter(({ disk }) => disk === 'damaged')).toHaveLength(1)
    expect(run.of('accepted').some(({ from, name }) => from === 'n2' && name === 'held-entry')).toBe(true)
    const [mended, later] = run.readsAt('n2')
    expect(mended).toMatchObject({ outcome: 'ok', version: first })
    expect(later).toMatchObject({ outcome: 'ok', version: second })
    expect(run.of('contents').map(({ corrupt }) => corrupt)).toEqual([0, 0, 0])
  },

  'cloned-directory'(run) {
    expect(run.lifeOf('n4', { fromMs: 11_000 }).slice(0, 5)).toEqual([
      'started',
      'ended-itself: wrong_name',
      'wiped: set aside',
      'started',
      'ready',
    ])
    const [original, ...others] = run.replicasOf('n2')
    const [own, ...changed] = run.replicasOf('n4')
    expect([others, changed]).toEqual([[], []])
    expect(own).not.toBe(original)
    const writesAt = (node: string): readonly string[] =>
      run.writes().flatMap(({ invoke, outcome }) => (invoke.node === node ? [outcome?.outcome ?? 'none'] : []))
    expect(writesAt('n2')).toEqual(Array(6).fill('applied'))
    expect(writesAt('n4').slice(-3)).toEqual(Array(3).fill('applied'))
    for (const { invoke, outcome } of run.writes())
      if (outcome?.outcome === 'applied')
        expect(run.rowsOf(invoke.key).map((row) => row?.version)).toEqual(Array(4).fill(outcome.version))
  },

  'clock-hours-ahead'(run) {
    const stampedMs = 2 * HOUR_MS
    const [ahead] = run.writesTo('ahead')
    const version = ahead?.outcome?.version ?? ''
    for (const node of ['n1', 'n2']) {
      expect(run.parkedAt(node)).toBeGreaterThanOrEqual(2)
      expect(run.stored(node, 'ahead', { toMs: stampedMs })).toEqual([])
      expect(run.stored(node, 'ahead').map((stored) => stored.version)).toEqual([version])
      expect(run.stored(node, 'gone').map(({ state }) => state)).toEqual(['value', 'tombstone', 'value'])
    }
    expect(run.readsAt('n1')[0]).toMatchObject({ outcome: 'ok', value: null })
    // What came in from the future does not take the others' clocks along.
    expect((run.writesTo('old')[1]?.outcome?.version ?? '') < version).toBe(true)
    expect(run.rowsOf('gone').map((row) => row?.version)).toEqual(
      Array(3).fill(run.writesTo('gone').at(-1)?.outcome?.version),
    )
  },

  'clock-hours-behind'(run) {
    expect(run.parkedAt('n3', { fromMs: 16_000, toMs: 40_000 })).toBeGreaterThan(0)
    expect(run.stored('n3', 'fresh').map(({ atMs }) => atMs > 40_000)).toEqual([true])
    const [first = '', second = ''] = versionsOf(run, 'key')
    expect(second > first).toBe(true)
    expect(run.rowsOf('key').map((row) => row?.version)).toEqual(Array(3).fill(second))
  },

  'clock-leaps'(run) {
    const whileFrozen = run
      .of('stored', { fromMs: 9_500, toMs: 13_000 })
      .filter(({ node, version, replica }) => node === 'n2' && version.endsWith(replica))
    // With the clock standing still, versions rise by their counter alone.
    const walls = new Set(whileFrozen.map(({ version }) => version.slice(0, 12)))
    expect(whileFrozen.length).toBeGreaterThan(walls.size)
    expect(run.faults('clock-step')).toHaveLength(13)
  },

  'second-founder'(run) {
    expect(run.lifeOf('n2')).toEqual(['started', 'ended-itself: cluster_exists', 'started', 'ready'])
    expect([...run.clusters().values()]).toEqual([['n1', 'n2', 'n3']])
  },

  'shared-seed'(run) {
    expect(run.result.statistics.refused['wrong-cluster'] ?? 0).toBeGreaterThan(0)
    expect([...run.clusters().values()]).toEqual([
      ['n1', 'n2', 'n3'],
      ['m1', 'm2'],
    ])
    expect(run.of('accepted').filter(({ from, to, name }) => from[0] !== to[0] && name !== 'hello')).toEqual([])
  },

  'lost-answers'(run) {
    expect(run.result.statistics.faults['response-loss'] ?? 0).toBeGreaterThan(20)
    const inDoubt = run.writes().filter(({ outcome }) => outcome?.outcome === 'unknown')
    expect(inDoubt.length).toBeGreaterThan(0)
    // In doubt, and yet done.
    const kept = new Set(run.of('stored').map(({ value }) => value))
    expect(inDoubt.some(({ invoke }) => invoke.value !== undefined && kept.has(invoke.value))).toBe(true)
  },

  'sponsor-dies'(run) {
    const life = run.lifeOf('n3')
    expect(life.slice(0, 4)).toEqual(['started', 'ended-itself: sponsor_lost', 'wiped: set aside', 'started'])
    expect(life.at(-1)).toBe('ready')
    // It had got some of the data by then, under an id that it does not bear any more.
    const [lostMs = 0] = run.of('process').flatMap(({ what, atMs }) => (what === 'ended-itself' ? atMs : []))
    const had = run.of('stored', { toMs: lostMs }).filter(({ node }) => node === 'n3')
    expect(had.length).toBeGreaterThan(0)
    expect(run.replicasOf('n3')).not.toContain(had[0]?.replica)
    const [readyMs = 0] = run
      .of('process')
      .flatMap(({ what, node, atMs }) => (node === 'n3' && what === 'ready' ? atMs : []))
    expect(appliedAt(run, 'n3', { toMs: readyMs - 1_000 })).toBe(0)
    expect(appliedAt(run, 'n3', { fromMs: readyMs })).toBeGreaterThan(0)
  },

  'sync-errors'(run) {
    expect(run.faults('sync-error')).toHaveLength(5)
    const inDoubt = run.of('written').filter(({ outcome, code }) => outcome === 'unknown' && code === 'io_error')
    expect(inDoubt.length).toBeGreaterThan(0)
    for (const node of ['n1', 'n2', 'n3']) expect(appliedAt(run, node, { fromMs: 33_000 })).toBeGreaterThan(5)
  },

  'trees-alone'(run) {
    // At the end old frames come again, and those of the joins are among them.
    const toMs = run.of('fault').find(({ fault }) => fault === 'replay')?.atMs ?? Infinity
    expect(run.of('accepted', { fromMs: 8_000, toMs }).filter(({ name }) => name === 'missed-entries')).toEqual([])
    expect(run.of('accepted', { fromMs: 8_000 }).filter(({ name }) => name === 'swap-entries').length).toBeGreaterThan(
      0,
    )
    expect(run.of('exchange').filter(({ result }) => result === 'repaired').length).toBeGreaterThan(0)
    expect(run.result.statistics.faults['frame-loss'] ?? 0).toBeGreaterThan(50)
  },

  'seeds-down'(run) {
    expect(run.lifeOf('n1', { fromMs: 12_000, toMs: 41_000 })).toEqual(['crashed'])
    for (const node of ['n2', 'n3'])
      expect(run.lifeOf(node, { fromMs: 14_000 })).toEqual(['crashed', 'started', 'ready'])
    expect(run.stored('n3', 'without-seed', { toMs: 41_000 })).toHaveLength(1)
  },

  'year-long-uptime': expectUnworn,
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const NODES = ['n1', 'n2', 'n3', 'n4', 'n5']

/** What nodes ask each other without being told to; reports and classic pull gossip are for operators. */
const QUESTIONS_ASKED = [
  'gossip',
  'hello',
  'indirect-probe',
  'join',
  'leaf-entries',
  'missed-entries',
  'newest-entry',
  'probe',
  'publish',
  'push-pull',
  'rumor-notice',
  'rumors',
  'swap-entries',
  'time',
  'tree-nodes',
  'vector-hash',
]

function oneWayCut(run: Happenings): void {
  const cut = { fromMs: 12_100, toMs: 42_000 }
  expect(run.accepted('n1', 'n2', cut)).toEqual([])
  expect(run.accepted('n2', 'n1', cut).length).toBeGreaterThan(10)
  expect(run.stored('n2', 'from-n1', cut)).toHaveLength(1)
  expect(run.stored('n1', 'from-n2', cut)).toHaveLength(1)
  expect(run.declaredDead()).toEqual([])
}

/** Of the writes to a key that were applied, in the order in which they were asked for. */
/** How many nodes dropped a tombstone of this key. */
function purgersOf(run: Happenings, key: string): number {
  const purged = run.of('purged').filter((row) => row.key === key)
  return new Set(purged.map(({ node }) => node)).size
}

function versionsOf(run: Happenings, key: string): readonly string[] {
  return run.writesTo(key).flatMap(({ outcome }) => outcome?.version ?? [])
}

function appliedAt(run: Happenings, node: string, span: Span): number {
  return run
    .writes(span)
    .filter(({ invoke, outcome }) => (node === '*' || invoke.node === node) && outcome?.outcome === 'applied').length
}

/** How long writes at a node took, in the middle, that waited for nobody else. */
function medianMs(run: Happenings, node: string, span: Span): number {
  const durations = run
    .writes(span)
    .flatMap(({ invoke, outcome }) =>
      invoke.node === node && invoke.w === 1 && outcome?.outcome === 'applied' ? [outcome.atMs - invoke.atMs] : [],
    )
    .toSorted((a, b) => a - b)
  return durations[durations.length >>> 1] ?? Number.NaN
}
