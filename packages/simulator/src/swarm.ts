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
/** Of the runs, those with values that expire. */
const TTL_CHANCE = 0.4
/** Short ones let a run see tombstones go many times; the usual one is among them. */
const PURGE_INTERVALS_MS = [1_000, 3_000, 10_000]
/** With half of all faults off in any run, each has room to do its worst (Groce et al. 2012, swarm testing). */
const FAULT_CHANCE = 0.5

/**
 * A plan that a seed decides. Each kind of fault is on or off for the whole run, and as strong as the seed says: a run
 * with a little of everything finds less than many runs with much of a few.
 *
 * Left to scenarios are the faults from which a cluster does not recover by itself: disks cloned or damaged at rest, and
 * clocks beyond the permitted drift.
 */
export function drawPlan({ seed, nodes, seconds }: SwarmOptions): SimulationPlan {
  const random = new SeededRandom(seed).stream('plan')
  const names = Array.from({ length: nodes }, (_, index) => `n${index + 1}`)
  const chaosMs = seconds * 1_000
  return withSleep(random.stream('sleep'), {
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
    settings: { purgeIntervalMs: random.stream('purge').pick(PURGE_INTERVALS_MS) },
    network: drawNetwork(random.stream('network')),
    networkFromMs: random.stream('network-from').pick([0, FIRST_FAULT_MS * 2, FIRST_FAULT_MS * 2]),
    disk: { readMs: round(random.between(0.02, 0.5)), writeMs: round(random.between(0.2, 8)) },
    workload: drawWorkload(random.stream('workload')),
    faults: drawFaults(random, names, chaosMs),
    away: drawAway(random.stream('away'), names),
  })
}

/** In one run of six … */
const SLEEP_CHANCE = 0.16
/** … all machines sleep for a minute to hours, at whatever moment: who was away before is away for so much longer. */
const SLEEP_MS = [60_000, 2 * 3_600_000] as const

function withSleep(random: SeededRandom, plan: SimulationPlan): SimulationPlan {
  if (!random.chance(SLEEP_CHANCE)) return plan
  const [least, most] = SLEEP_MS
  const atMs = Math.round(random.between(FIRST_STORY_MS, plan.chaosMs))
  const forMs = Math.round(least * (most / least) ** random.next())
  const later = (ms: number): number => (ms < atMs ? ms : ms + forMs)
  const faults = plan.faults.map((fault): TimedFault => {
    const shifted = { ...fault, atMs: later(fault.atMs) }
    if (shifted.kind === 'restore') return { ...shifted, takenMs: later(shifted.takenMs) }
    if (shifted.kind === 'rollback') return { ...shifted, toMs: later(shifted.toMs), ...lasting(fault, later) }
    return { ...shifted, ...lasting(fault, later) }
  })
  const sleep: TimedFault = { atMs, kind: 'freeze', node: '*', forMs }
  return {
    ...plan,
    chaosMs: plan.chaosMs + forMs,
    faults: [...faults, sleep].toSorted((a, b) => a.atMs - b.atMs),
  }
}

/** Whatever would end during the sleep or behind it ends so much later. */
function lasting(fault: TimedFault, later: (ms: number) => number): { forMs?: number } {
  if (!('forMs' in fault) || fault.forMs === undefined) return {}
  return { forMs: later(fault.atMs + fault.forMs) - later(fault.atMs) }
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
    ttlShare: random.stream('ttl').chance(TTL_CHANCE) ? 0.3 : 0,
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

/** Makes faults that belong together, the first of them at a moment that is drawn elsewhere. */
type Story = (random: SeededRandom, node: string, other: string, atMs: number) => readonly TimedFault[]

/** Who is gone for so long that others go on without it: the median. */
const ABSENCE_MS = 15_000
const STORY_CHANCE = 0.3
/** Later than the first faults: whoever is evicted or rolled back has to have been a member. */
const FIRST_STORY_MS = 8_000

const STORIES: readonly (readonly [name: string, times: number, draw: Story])[] = [
  // A member that lives, and hears of it.
  ['evict', 2, (_, node, by, atMs) => [{ atMs, kind: 'evict', node, by }]],
  // One that is away, comes back with its old data, and often only after what was deleted meanwhile is gone.
  [
    'evict-absent',
    2,
    (random, node, by, atMs) => {
      const forMs = absenceMs(random)
      const evicted: TimedFault = { atMs: atMs + within(random, forMs), kind: 'evict', node, by }
      return [{ atMs, kind: random.pick(['crash', 'power-loss', 'freeze']), node, forMs }, evicted]
    },
  ],
  // One that lives, takes writes, and does not hear of it.
  [
    'evict-cut-off',
    2,
    (random, node, by, atMs) => {
      const forMs = absenceMs(random)
      const evicted: TimedFault = { atMs: atMs + within(random, forMs), kind: 'evict', node, by }
      const isOneWay = random.chance(0.3)
      const back: TimedFault = { atMs, kind: 'cut', from: '*', to: node, forMs }
      return [{ atMs, kind: 'cut', from: node, to: '*', forMs }, ...(isOneWay ? [] : [back]), evicted]
    },
  ],
  ['leave', 2, (_, node, __, atMs) => [{ atMs, kind: 'leave', node }]],
  // For long, and nobody gives it up.
  ['absence', 2, (random, node, _, atMs) => [{ atMs, kind: 'crash', node, forMs: absenceMs(random) }]],
  // A backup of any age.
  [
    'rollback',
    2,
    (random, node, _, atMs) => {
      const toMs = Math.round(random.between(FIRST_FAULT_MS, atMs))
      return [{ atMs, kind: 'rollback', node, toMs, forMs: downMs(random) }]
    },
  ],
  // A snapshot of any age and of anybody, taken into the cluster.
  [
    'restore',
    2,
    (random, node, of, atMs) => {
      const takenMs = Math.round(random.between(FIRST_FAULT_MS, atMs))
      return [{ atMs, kind: 'restore', node, of, takenMs }]
    },
  ],
]

function absenceMs(random: SeededRandom): number {
  return Math.round(random.longTail(ABSENCE_MS))
}

function within(random: SeededRandom, forMs: number): number {
  return Math.round(random.next() * forMs)
}

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
  for (const [name, times, draw] of STORIES) {
    const own = random.stream('fault', name)
    if (!own.chance(STORY_CHANCE)) continue
    for (let time = own.index(times); time >= 0; time--) {
      const atMs = Math.round(own.between(FIRST_STORY_MS, chaosMs))
      const node = own.pick(names)
      const others = names.filter((other) => other !== node)
      if (others.length > 0) faults.push(...draw(own, node, own.pick(others), atMs))
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
