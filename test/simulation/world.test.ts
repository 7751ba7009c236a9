import { describe, expect, it } from 'vitest'
import {
  failureReport,
  minimise,
  parseScenario,
  simulate,
  type Checker,
  type HistoryEvent,
  type SimulationResult,
} from '@grapevine/simulator'

function run(scenario: object, seed = 1): Promise<SimulationResult> {
  const chaosMs = 12_000
  const plan = parseScenario(JSON.stringify({ nodes: 3, chaosMs, workload: { thinkMs: 200 }, ...scenario }))
  return simulate({ seed, plan })
}

function processes(history: readonly HistoryEvent[], node: string): string[] {
  return history.flatMap((event) => (event.type === 'process' && event.node === node ? [event.what] : []))
}

function contentsOf({ history }: SimulationResult): Extract<HistoryEvent, { type: 'contents' }>[] {
  return history.filter((event) => event.type === 'contents')
}

describe('a simulated cluster without faults', () => {
  it('agrees, forgets nothing and falls to idle', async () => {
    const result = await run({})
    expect(result.violations).toEqual([])
    expect(result.statistics.applied).toBeGreaterThan(30)
    expect(result.statistics.failed).toBeLessThan(result.statistics.applied)
    const contents = contentsOf(result)
    expect(contents).toHaveLength(3)
    for (const { entries, root, recomputedRoot } of contents) {
      expect(entries.length).toBeGreaterThan(10)
      expect(recomputedRoot).toBe(root)
    }
  })

  it('is the same again with the same seed, and another one with another', async () => {
    const [first, again, other] = [await run({}, 5), await run({}, 5), await run({}, 6)]
    expect(again.traceHash).toBe(first.traceHash)
    expect(again.history).toEqual(first.history)
    expect(other.traceHash).not.toBe(first.traceHash)
  })

  it('may be several clusters, which share nothing', async () => {
    const nodes = ['n1', 'n2', 'm1', 'm2'].map((name) => ({
      name,
      cluster: name[0],
      // Whoever is empty and reaches two clusters joins the one that answers first: m2 is to be a member by then.
      ...(name[0] === 'n' && { startsAtMs: 5_000 }),
      ...(name === 'm2' && { seeds: ['m1', 'n1'] }),
    }))
    const { violations, history } = await run({ nodes })
    expect(violations).toEqual([])
    const clusters = new Map(
      history.flatMap((event) => (event.type === 'contents' ? [[event.node, event.cluster]] : [])),
    )
    expect(clusters.get('n1')).toBe(clusters.get('n2'))
    expect(clusters.get('m1')).toBe(clusters.get('m2'))
    expect(clusters.get('n1')).not.toBe(clusters.get('m1'))
    const strangers = history.filter((event) => event.type === 'accepted' && event.from[0] !== event.to[0])
    expect(strangers.filter((event) => event.type === 'accepted' && event.name !== 'hello')).toEqual([])
  })
})

describe('a fault', () => {
  it.each([
    ['crash', { kind: 'crash', node: 'n2', forMs: 2_000 }, ['started', 'ready', 'crashed', 'started', 'ready']],
    [
      'power loss',
      { kind: 'power-loss', node: 'n2', forMs: 2_000 },
      ['started', 'ready', 'crashed', 'started', 'ready'],
    ],
    [
      'crash in a write',
      { kind: 'crash-in-write', node: 'n2', operations: 3, forMs: 2_000 },
      ['started', 'ready', 'crashed', 'started', 'ready'],
    ],
    ['stop', { kind: 'stop', node: 'n2', forMs: 4_000 }, ['started', 'ready', 'stopped', 'started', 'ready']],
    ['freeze', { kind: 'freeze', node: 'n2', forMs: 2_000 }, ['started', 'ready', 'frozen', 'thawed']],
    ['wipe', { kind: 'wipe', node: 'n2', forMs: 6_000 }, ['started', 'ready', 'crashed', 'wiped', 'started', 'ready']],
    [
      'hole in the log',
      { kind: 'tear-log', node: 'n2', forMs: 7_000 },
      ['started', 'ready', 'crashed', 'started', 'ended-itself', 'wiped', 'started'],
    ],
  ])('happens, and the cluster comes over it: %s', async (_, fault, expected) => {
    const result = await run({ faults: [{ atMs: 5_000, ...fault }] })
    expect(processes(result.history, 'n2').slice(0, expected.length)).toEqual(expected)
    expect(result.violations).toEqual([])
    expect(contentsOf(result)).toHaveLength(3)
  })

  it('may take a node to another address', async () => {
    const result = await run({ faults: [{ atMs: 5_000, kind: 'move', node: 'n1', forMs: 500 }] })
    expect(result.violations).toEqual([])
    expect(contentsOf(result)).toHaveLength(3)
  })

  it('of a link is survived, and seen in what became of its frames', async () => {
    const network = { loss: 0.2, duplicates: 0.2, reorder: 0.2, corruption: 0.1, lostResponses: 0.1, replay: 0.1 }
    const result = await run({ network })
    expect(result.violations).toEqual([])
    for (const fault of ['loss', 'twice', 'delay', 'corruption', 'again'])
      expect(result.statistics.faults[`frame-${fault}`]).toBeGreaterThan(3)
    expect(result.statistics.faults['response-loss']).toBeGreaterThan(3)
  })

  it('restores a backup, and nothing comes back that was deleted since', async () => {
    const operation = (atMs: number, action: string, key: string): object => ({
      atMs,
      node: 'n1',
      action,
      key,
      w: 'all',
    })
    const result = await run({
      chaosMs: 25_000,
      settings: { purgeIntervalMs: 1_000 },
      workload: {
        clients: 0,
        operations: [
          operation(5_000, 'put', 'gone'),
          operation(5_100, 'put', 'kept'),
          operation(9_000, 'delete', 'gone'),
        ],
      },
      faults: [{ atMs: 20_000, kind: 'restore', node: 'n3', of: 'n2', takenMs: 7_000 }],
    })
    expect(result.violations).toEqual([])
    const purged = result.history.filter((event) => event.type === 'purged' && event.atMs < 20_000)
    expect(purged).toHaveLength(3)
    expect(contentsOf(result).map(({ entries }) => entries.map(({ key }) => key))).toEqual([
      ['kept'],
      ['kept'],
      ['kept'],
    ])
  })

  it.each(['evict', 'leave'])('ends a membership, and the node comes back as another replica: %s', async (kind) => {
    const faults = [{ atMs: 5_000, kind, node: 'n2', ...(kind === 'evict' && { by: 'n1' }) }]
    const result = await run({ chaosMs: 20_000, faults })
    expect(processes(result.history, 'n2')).toEqual(['started', 'ready', 'ended-itself', 'wiped', 'started', 'ready'])
    expect(result.violations).toEqual([])
    const replicas = contentsOf(result).map(({ replica }) => replica)
    for (const { members } of contentsOf(result)) expect(members).toEqual(replicas.toSorted())
  })

  it('cuts one direction alone', async () => {
    const result = await run({ faults: [{ atMs: 4_000, kind: 'cut', from: 'n1', to: 'n2', oneWay: true }] })
    const between = result.history.filter(
      (event) => event.type === 'accepted' && event.atMs > 4_100 && event.atMs < 12_000,
    )
    const heard = (from: string, to: string): number =>
      between.filter((event) => event.type === 'accepted' && event.from === from && event.to === to).length
    expect(heard('n1', 'n2')).toBe(0)
    expect(heard('n2', 'n1')).toBeGreaterThan(5)
    expect(result.violations).toEqual([])
  })

  it('fills a disk: writes fail, and nothing acknowledged is lost', async () => {
    const result = await run({ faults: [{ atMs: 4_000, kind: 'disk-full', node: 'n1', forMs: 4_000 }] })
    const failed = result.history.flatMap((event) => (event.type === 'written' ? (event.code ?? []) : []))
    // The first one failed with the disk; it closed the database, and until there was room no other began.
    expect(failed.filter((code) => code === 'io_error' || code === 'not_ready').length).toBeGreaterThan(1)
    expect(result.statistics.faults['disk-full']).toBe(1)
    expect(result.violations).toEqual([])
  })

  it('leaves a minority away, and the others agree without it', async () => {
    const result = await run({ away: ['n3'] })
    expect(result.violations).toEqual([])
    expect(contentsOf(result).map(({ node }) => node)).toEqual(['n1', 'n2'])
  })

  it('that lets a row decay is mended once anybody asks for the row', async () => {
    const faults = [{ atMs: 8_000, kind: 'flip-bit', node: 'n2', row: 'e' }]
    const operations = [
      { atMs: 6_000, node: 'n1', action: 'put', key: 'k', w: 'all' },
      { atMs: 10_000, node: 'n2', action: 'get', key: 'k' },
    ]
    const result = await run({ faults, workload: { clients: 0, operations } })
    const damaged = result.history.filter((event) => event.type === 'fault' && event.disk === 'damaged')
    expect(damaged).toHaveLength(1)
    expect(contentsOf(result).map(({ corrupt }) => corrupt)).toEqual([0, 0, 0])
    expect(result.violations).toEqual([])
  })

  it('may be silence for months, at the price of nothing', async () => {
    const dayMs = 86_400_000
    const faults = [{ atMs: 5_000, kind: 'freeze', node: '*', forMs: 400 * dayMs }]
    const result = await run({ chaosMs: 400 * dayMs + 12_000, faults, workload: { clients: 0 } })
    expect(result.violations).toEqual([])
    expect(result.statistics.virtualMs).toBeGreaterThan(400 * dayMs)
    expect(result.statistics.events).toBeLessThan(20_000)
  })
})

it('parks what a clock stamped that leaped by an hour, and takes it in when its time has come', async () => {
  const hourMs = 3_600_000
  const result = await run({
    chaosMs: hourMs + 40_000,
    workload: { clients: 0, operations: [{ atMs: 10_000, node: 'n2', action: 'put', key: 'future' }] },
    faults: [
      { atMs: 8_000, kind: 'clock-step', node: 'n2', byMs: hourMs },
      { atMs: 25_000, kind: 'clock-step', node: 'n2', byMs: -hourMs },
      { atMs: 30_000, kind: 'freeze', node: '*', forMs: hourMs },
    ],
  })
  expect(result.violations).toEqual([])
  const stored = result.history.filter((event) => event.type === 'stored')
  const [first, ...later] = stored
  expect([first?.node, (first?.atMs ?? hourMs) < hourMs]).toEqual(['n2', true])
  expect(later.map(({ node }) => node).toSorted()).toEqual(['n1', 'n3'])
  expect(later.every(({ atMs }) => atMs > hourMs)).toBe(true)
})

/** Takes offence at any crash of one node. */
function dislikesCrashes(): readonly Checker[] {
  const violations: { checker: string; atMs: number; message: string; key: string }[] = []
  return [
    {
      name: 'no crash',
      see: (event) => {
        if (event.type === 'process' && event.what === 'crashed' && event.node === 'n2')
          violations.push({ checker: 'no crash', atMs: event.atMs, message: 'n2 crashed', key: 'hot-0' })
      },
      finish: () => violations,
    },
  ]
}

describe('a failing run', () => {
  const faults = [
    { atMs: 3_000, kind: 'freeze', node: 'n1', forMs: 500 },
    { atMs: 4_000, kind: 'crash', node: 'n2', forMs: 500 },
    { atMs: 4_500, kind: 'cut', from: 'n1', to: 'n3', forMs: 500 },
    { atMs: 5_000, kind: 'clock-step', node: 'n3', byMs: 100 },
  ]
  const plan = parseScenario(
    JSON.stringify({ nodes: 3, chaosMs: 6_000, network: { loss: 0.1 }, workload: { hotShare: 1, hotKeys: 1 }, faults }),
  )

  it('is made as small as it can be while it still fails', async () => {
    const { result, runs } = await minimise({ seed: 1, plan, checkers: dislikesCrashes }, 30)
    expect(result.plan.faults).toEqual([faults[1]])
    expect(result.plan.network).toEqual({})
    expect(result.plan.workload.clients).toBe(0)
    expect(result.plan.nodes.map(({ name }) => name)).toEqual(['n1', 'n2'])
    expect(runs).toBeLessThanOrEqual(30)
  })

  it('says all it takes to see it again', async () => {
    const result = await simulate({ seed: 1, plan, checkers: dislikesCrashes })
    const report = failureReport(result, 'commit abc')
    expect(report).toContain('seed 1')
    expect(report).toContain('commit abc')
    expect(report).toContain('n2 crashed')
    expect(report).toMatch(/n1 +n2 +n3\n/)
    expect(report).toMatch(/holds [0-9a-f-]+/)
    const line = report.split('\n').find((text) => text.startsWith('{'))
    const again = await simulate({ seed: 1, plan: parseScenario(line ?? ''), checkers: dislikesCrashes })
    expect(again.traceHash).toBe(result.traceHash)
  })
})
