import { SeededRandom } from './seeded-random.ts'
import { USUAL_WORKLOAD, type Fault, type SimulationPlan, type TimedFault, type WorkloadPlan } from './plan.ts'
import type { LinkQuality } from './simulated-network.ts'

export interface SwarmOptions {
  readonly seed: number
  readonly nodes: number
  readonly seconds: number
}

/** Before, the cluster comes together. */
const FIRST_FAULT_MS = 3_000
/**
 * Clocks are off by less than the permitted drift of 10 s, and now and then two are further apart than that: then what
 * one of them stamps is parked by the other. When the clocks are right again, it comes into its time within seconds.
 */
const CLOCK_MS_MAX = 6_000
/** With half of all faults off in any run, each has room to do its worst (Groce et al. 2012, swarm testing). */
const FAULT_CHANCE = 0.5

/**
 * A plan that a seed decides. Each kind of fault is on or off for the whole run, and as strong as the seed says: a run
 * with a little of everything finds less than many runs with much of a few.
 *
 * Left to scenarios are the faults from which a cluster does not recover by itself: disks rolled back, cloned or
 * damaged at rest, and clocks beyond the permitted drift.
 */
export function drawPlan({ seed, nodes, seconds }: SwarmOptions): SimulationPlan {
  const random = new SeededRandom(seed).stream('plan')
  const names = Array.from({ length: nodes }, (_, index) => `n${index + 1}`)
  const chaosMs = seconds * 1_000
  return {
    nodes: names.map((name) => {
      const node = random.stream('node', name)
      return {
        name,
        startsAtMs: Math.round(node.next() * 1_000),
        clockOffsetMs: Math.round(node.between(-CLOCK_MS_MAX, CLOCK_MS_MAX)),
        clockDriftPpm: Math.round(node.between(-200, 200)),
      }
    }),
    chaosMs,
    settings: {},
    network: drawNetwork(random.stream('network')),
    networkFromMs: random.stream('network-from').pick([0, FIRST_FAULT_MS * 2, FIRST_FAULT_MS * 2]),
    disk: { readMs: round(random.between(0.02, 0.5)), writeMs: round(random.between(0.2, 8)) },
    workload: drawWorkload(random.stream('workload')),
    faults: drawFaults(random, names, chaosMs),
    away: drawAway(random.stream('away'), names),
  }
}

function drawNetwork(random: SeededRandom): Partial<LinkQuality> {
  const quality: Record<string, number> = { latencyMs: round(random.longTail(2)) }
  const sometimes = (name: keyof LinkQuality, max: number): void => {
    const value = random.next() * max
    if (random.chance(FAULT_CHANCE)) quality[name] = round(value)
  }
  sometimes('loss', 0.3)
  sometimes('duplicates', 0.2)
  sometimes('reorder', 0.3)
  sometimes('reorderMs', 2_000)
  sometimes('corruption', 0.05)
  sometimes('lostResponses', 0.2)
  sometimes('replay', 0.1)
  sometimes('replayAfterMs', 40_000)
  if (random.chance(0.2)) quality['bytesPerSecond'] = Math.round(random.between(50_000, 1_000_000))
  return quality
}

function drawWorkload(random: SeededRandom): WorkloadPlan {
  return {
    ...USUAL_WORKLOAD,
    clients: 1 + random.index(6),
    thinkMs: Math.round(random.longTail(500)),
    keys: random.pick([5, 50, 500]),
    hotShare: round(random.next()),
    hotKeys: 1 + random.index(4),
    deleteShare: round(random.between(0, 0.6)),
    readShare: round(random.between(0.1, 0.5)),
    quorumShare: round(random.between(0, 0.5)),
    allShare: round(random.between(0, 0.2)),
    preconditionShare: round(random.between(0, 0.4)),
    sessionShare: random.stream('sessions').pick([0, 0.5, 1]),
    valueBytesMax: random.pick([20, 200, 2_000, 20_000]),
  }
}

/** A minority, and seldom. */
function drawAway(random: SeededRandom, names: readonly string[]): string[] {
  const most = Math.floor((names.length - 1) / 2)
  return random.chance(0.2) && most > 0 ? [random.pick(names)] : []
}

/** Makes faults of one kind, at a moment that is drawn elsewhere. */
type Draw = (random: SeededRandom, node: string, other: string) => Fault

const KINDS: readonly (readonly [name: string, times: number, draw: Draw])[] = [
  ['crash', 6, (random, node) => ({ kind: 'crash', node, forMs: downMs(random) })],
  [
    'crash-in-write',
    6,
    (random, node) => ({ kind: 'crash-in-write', node, operations: 1 + random.index(20), forMs: downMs(random) }),
  ],
  ['power-loss', 4, (random, node) => ({ kind: 'power-loss', node, forMs: downMs(random) })],
  ['mass-restart', 1, (random) => ({ kind: 'power-loss', node: '*', forMs: downMs(random) })],
  ['stop', 3, (random, node) => ({ kind: 'stop', node, forMs: 2_000 + downMs(random) })],
  ['freeze', 6, (random, node) => ({ kind: 'freeze', node, forMs: Math.round(random.longTail(4_000)) })],
  ['wipe', 2, (random, node) => ({ kind: 'wipe', node, forMs: 3_000 + downMs(random) })],
  ['move', 3, (random, node) => ({ kind: 'move', node, forMs: downMs(random) })],
  ['disk-full', 3, (random, node) => ({ kind: 'disk-full', node, forMs: Math.round(random.longTail(4_000)) })],
  ['sync-error', 4, (_, node) => ({ kind: 'sync-error', node })],
  [
    'slow-disk',
    3,
    (random, node) => ({
      kind: 'slow-disk',
      node,
      speed: { readMs: round(random.between(1, 20)), writeMs: round(random.between(20, 300)) },
      forMs: 10_000,
    }),
  ],
  ['isolate', 4, (random, node) => ({ kind: 'cut', from: node, to: '*', forMs: Math.round(random.longTail(8_000)) })],
  ['cut', 6, (random, from, to) => ({ kind: 'cut', from, to, forMs: Math.round(random.longTail(10_000)) })],
  [
    'one-way-cut',
    6,
    (random, from, to) => ({ kind: 'cut', from, to, oneWay: true, forMs: Math.round(random.longTail(10_000)) }),
  ],
  [
    'slow-link',
    4,
    (random, from, to) => ({
      kind: 'degrade',
      from,
      to,
      quality: {
        latencyMs: Math.round(random.longTail(300)),
        bytesPerSecond: Math.round(random.between(2_000, 50_000)),
      },
      forMs: 10_000,
    }),
  ],
  ['replay', 4, (random) => ({ kind: 'replay', frames: 1 + random.index(60) })],
  [
    'clock-step',
    4,
    (random, node) => ({ kind: 'clock-step', node, byMs: Math.round(random.between(-CLOCK_MS_MAX, CLOCK_MS_MAX)) }),
  ],
  ['clock-freeze', 2, (random, node) => ({ kind: 'clock-freeze', node, forMs: Math.round(random.longTail(3_000)) })],
  ['pause-rumors', 2, (_, node) => ({ kind: 'pause', node, what: 'rumors', forMs: 15_000 })],
  ['pause-anti-entropy', 2, (_, node) => ({ kind: 'pause', node, what: 'anti-entropy', forMs: 15_000 })],
]

function drawFaults(random: SeededRandom, names: readonly string[], chaosMs: number): TimedFault[] {
  const faults: TimedFault[] = []
  for (const [name, timesMax, draw] of KINDS) {
    // A stream of its own: a kind more does not change what the others do.
    const own = random.stream('fault', name)
    if (!own.chance(FAULT_CHANCE)) continue
    const times = 1 + own.index(timesMax)
    for (let time = 0; time < times; time++) {
      const atMs = Math.round(own.between(FIRST_FAULT_MS, chaosMs))
      const node = own.pick(names)
      const others = names.filter((other) => other !== node)
      const other = others.length === 0 ? node : own.pick(others)
      faults.push({ atMs, ...draw(own, node, other) })
    }
  }
  return faults.toSorted((a, b) => a.atMs - b.atMs)
}

function downMs(random: SeededRandom): number {
  return Math.round(random.longTail(3_000))
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000
}
