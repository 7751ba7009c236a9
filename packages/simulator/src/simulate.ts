import { audit, vectorHashesIn } from './audit.ts'
import { DEFAULT_SETTINGS } from '@grapevine/replica'
import { allCheckers } from './checkers/all-checkers.ts'
import type { CheckOptions } from './checkers/checker-kind.ts'
import { HealingDeadline } from './checkers/healing-deadline.ts'
import { collectionMs } from './checkers/tombstones-collected.ts'
import type { Checker, HistoryEvent, Violation } from './history/history.ts'
import { Injector } from './inject.ts'
import type { Machine } from './machine.ts'
import type { SimulationPlan } from './plan.ts'
import { Recorder } from './recorder.ts'
import { SeededRandom } from './seeded-random.ts'
import { drawPlan } from './swarm.ts'
import { Trace } from './trace.ts'
import { Workload } from './workload.ts'
import { World } from './world.ts'

export interface SimulationOptions {
  readonly seed: number
  /** How many nodes the drawn plan has; 5 unless it is said. */
  readonly nodes?: number
  /** How long chaos lasts in the drawn plan. */
  readonly seconds?: number
  /** What is to happen. Without it the seed draws one. */
  readonly plan?: SimulationPlan
  /** Who judges the run: made anew for each. */
  readonly checkers?: (options: CheckOptions) => readonly Checker[]
  /** Ends the run early, by its reason as an error. */
  readonly signal?: AbortSignal
}

export interface Statistics {
  /** True time, from the start to the end of the run. */
  readonly virtualMs: number
  readonly events: number
  readonly frames: number
  readonly bytes: number
  readonly applied: number
  readonly failed: number
  readonly reads: number
  readonly starts: number
  /** From the end of the faults until all agreed; undefined when they never did. */
  readonly convergedAfterMs: number | undefined
  readonly faults: Readonly<Record<string, number>>
  readonly tombstones: TombstoneCount
  /** Questions that nodes refused, by the reason they gave. */
  readonly refused: Readonly<Record<string, number>>
}

/** What became of deletes. */
export interface TombstoneCount {
  /** Tombstones that any disk ever held. */
  readonly made: number
  /** Those of them that are on some disk at the audit. */
  readonly left: number
  /** Whether a node stayed away, for which they have to wait. */
  readonly areHeldBack: boolean
}

export interface SimulationResult {
  readonly seed: number
  /** With the seed, all it takes to run the same again. */
  readonly plan: SimulationPlan
  /** SHA-256 over everything that happened, in order. */
  readonly traceHash: string
  readonly violations: readonly Violation[]
  readonly statistics: Statistics
  readonly history: readonly HistoryEvent[]
}

/** P3: within 6 anti-entropy intervals … */
const CONVERGENCE_INTERVALS = 6
/** … from when the last node is back: it opens its store, looks for the others, and may have to join anew. */
const COMING_BACK_MS = 20_000
/** By when nobody is in doubt any more; later than checkers give nodes to see each other alive again. */
const OPINIONS_MS = 35_000
/** How long we look at the traffic of those who agree. */
const IDLE_MS = 8_000
/** As in the replica's upkeep. */
const CLOCKS_INTERVAL_MS = 10_000
/** Whether who is away knows a node that has just joined is asked for so often. */
const INTRODUCTION_INTERVAL_MS = 5_000
/** Between two looks at the roots while they heal. */
const LOOK_MS = 500

/**
 * Runs a cluster in virtual time: chaos, in which faults and clients do what the plan says; healing, without faults and
 * clients; and an audit of every disk. One number decides everything.
 */
export async function simulate(options: SimulationOptions): Promise<SimulationResult> {
  const { seed, nodes = 5, seconds = 60, checkers = allCheckers } = options
  const plan = options.plan ?? drawPlan({ seed, nodes, seconds })
  const random = new SeededRandom(seed)
  const trace = new Trace()
  const { driftMs, pullIntervalMs, purgeIntervalMs } = { ...DEFAULT_SETTINGS, ...plan.settings }
  const recorder = new Recorder(trace, checkers({ driftMs, purgeIntervalMs, vectorsConverge: pullIntervalMs > 0 }))
  const world = new World({ plan, random: random.stream('world'), trace, recorder, signal: options.signal })
  const injector = new Injector(world, plan.chaosMs)
  const workload = new Workload(world, plan.workload, random.stream('workload'))

  recorder.write({ type: 'phase', atMs: 0, phase: 'chaos' })
  injector.schedule(plan)
  workload.start()
  await world.run(plan.chaosMs)

  workload.stop()
  const { intervalMs, deadlineMs } = deadlineOf(world)
  const away = awayIn(world, plan.away)
  recorder.write({ type: 'phase', atMs: world.nowMs, phase: 'heal', away: [...away], deadlineMs })
  injector.mendAll(away)
  const healingMs = world.nowMs
  const hasHealed = nowAndThen(world, Math.min(LOOK_MS, intervalMs), () => doAgree(world, away))
  const deadline = new HealingDeadline(healingMs, deadlineMs)
  do {
    await world.run(deadline.atMs, hasHealed)
    deadline.started(world.lastStartMs)
  } while (world.nowMs < deadline.atMs && !doAgree(world, away))
  const convergedAfterMs = doAgree(world, away) ? world.nowMs - healingMs : undefined
  if (convergedAfterMs === undefined)
    recorder.violation({
      checker: 'convergence',
      atMs: world.nowMs,
      message: `the replicas do not agree ${Math.round((world.nowMs - healingMs) / 1_000)} s after the last fault`,
    })
  else {
    world.evictForgotten()
    await measureIdle(world)
    // By then every tombstone has to be gone, if nobody is away who holds them back.
    await world.run(world.nowMs + collectionMs(purgeIntervalMs), () => !mayPurge(world, away))
    recorder.fault(world.nowMs, 'replay', 'when all is over', true)
    world.network.replayArchived(REPLAYED_AT_THE_END, world.nowMs)
    await world.run(world.nowMs + REPLAY_MS)
    // A purge that is under way reaches the nodes one after the other, and so does what an old rumor told one of them. And a node that
    // was rolled back may have heard only now, from a frame of its own former run, and has to join anew.
    const haveSettled = (): boolean => doAgree(world, away) && (pullIntervalMs === 0 || haveSeenTheSame(world, away))
    await world.run(world.nowMs + 2 * COMING_BACK_MS, nowAndThen(world, LOOK_MS, haveSettled))
  }

  recorder.write({ type: 'phase', atMs: world.nowMs, phase: 'audit' })
  audit(world)
  return {
    seed,
    plan,
    violations: recorder.finish(),
    traceHash: trace.digest(),
    history: recorder.events,
    statistics: {
      virtualMs: Math.round(world.nowMs),
      events: world.queue.handled,
      frames: world.network.frames,
      bytes: world.network.bytes,
      applied: workload.applied,
      failed: workload.failed,
      reads: workload.reads,
      starts: world.machines.reduce((sum, { starts }) => sum + starts, 0),
      convergedAfterMs,
      faults: countsOf(recorder.faults),
      tombstones: { ...countTombstones(recorder.events), areHeldBack: away.size > 0 },
      refused: countsOf(world.network.refused),
    },
  }
}

function countTombstones(events: readonly HistoryEvent[]): { made: number; left: number } {
  const made = new Set(
    events.flatMap((event) => (event.type === 'stored' && event.state === 'tombstone' ? [event.version] : [])),
  )
  const rows = events.flatMap((event) => (event.type === 'contents' ? event.entries : []))
  const left = new Set(rows.flatMap(({ state, version }) => (state === 'tombstone' ? [version] : [])))
  return { made: made.size, left: left.size }
}

function countsOf(counts: ReadonlyMap<string, number>): Readonly<Record<string, number>> {
  return Object.fromEntries([...counts].toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

/** Old questions that come again when all is over: enough that each kind is among them. */
const REPLAYED_AT_THE_END = 100
/** They come within a second, and have been pulled from everybody two seconds later. */
const REPLAY_MS = 3_000

/** Whether somebody holds a tombstone, and nobody is away who holds it back. */
function mayPurge({ machines }: World, away: ReadonlySet<string>): boolean {
  if (away.size > 0) return false
  return machines.some(({ running }) => (running?.replica?.status().report.totals.tombstones ?? 0) > 0)
}

/**
 * Of the nodes that are meant to stay away, those that may. Whoever never came in is not missed, but waited for: a founder
 * waits for every seed (frontier.md R12). And without the last member nobody could let the others in.
 */
function awayIn(world: World, planned: readonly string[]): ReadonlySet<string> {
  const mayLeave = world.machines.filter((machine) => machine.wasMember && !world.isNeeded(machine))
  return new Set(mayLeave.map(({ name }) => name).filter((name) => planned.includes(name)))
}

function deadlineOf(world: World): { intervalMs: number; deadlineMs: number } {
  const { antiEntropyIntervalMs, repairBytesPerSecond } = world.settings
  // Whatever anybody holds may have to be sent to everybody.
  let bytes = 0
  for (const { disk } of world.machines) for (const row of disk.rows.values()) bytes += row.length
  const repairMs = (bytes / repairBytesPerSecond) * 1_000
  return {
    intervalMs: antiEntropyIntervalMs,
    deadlineMs: world.nowMs + COMING_BACK_MS + CONVERGENCE_INTERVALS * antiEntropyIntervalMs + repairMs,
  }
}

/** Whether everybody who is meant to be here is a member, and those of each cluster have one root. */
function doAgree(world: World, away: ReadonlySet<string>): boolean {
  const roots = new Map<string, string>()
  for (const machine of world.machines) {
    const { name, cluster, running } = machine
    if (away.has(name)) continue
    // It will find that out, and come back as another replica.
    if (world.isFenced(machine, away)) return false
    const status = running?.replica?.status()
    if (status === undefined || !status.ready) return false
    const { root } = status.report
    if ((roots.get(cluster) ?? root) !== root) return false
    roots.set(cluster, root)
  }
  return true
}

/** Whether those of each cluster who are meant to be here have the same vectors. What is parked is not seen yet. */
function haveSeenTheSame(world: World, away: ReadonlySet<string>): boolean {
  const hashes = vectorHashesIn(world)
  const here = world.machines.filter(({ name, running }) => !away.has(name) && running?.replica?.status().parked === 0)
  const pairs = here.map((machine) => `${machine.cluster} ${hashes.get(machine)}`)
  return new Set(pairs).size === new Set(here.map(({ cluster }) => cluster)).size
}

/** Looks each so many milliseconds of virtual time, since it takes more than a moment of real time. */
function nowAndThen(world: World, eachMs: number, holds: () => boolean): () => boolean {
  let lookedAtMs = 0
  return () => {
    if (world.nowMs - lookedAtMs < eachMs) return false
    lookedAtMs = world.nowMs
    return holds()
  }
}

/** Whether somebody is suspected, or somebody who runs is not seen alive. */
function isInDoubt({ running }: Machine, here: ReadonlySet<string>): boolean {
  const members = running?.replica?.members() ?? []
  return members.some(({ state, replica }) => state === 'suspect' || (state !== 'alive' && here.has(replica)))
}

/** What is said while there is nothing to say. */
async function measureIdle(world: World): Promise<void> {
  const { probe, pullIntervalMs, antiEntropyIntervalMs, purgeIntervalMs } = world.settings
  // Whom somebody still suspects is asked for by all.
  const here = new Set(world.machines.flatMap(({ running }) => running?.replica?.identity.replica ?? []))
  await world.run(world.nowMs + OPINIONS_MS, () => !world.machines.some((machine) => isInDoubt(machine, here)))
  // Rounds that began before, and news of who is back, are still on their way.
  await world.run(world.nowMs + IDLE_MS)
  const before = world.network.frames
  const forMs = Math.max(IDLE_MS, antiEntropyIntervalMs)
  await world.run(world.nowMs + forMs)
  const nodes = world.machines.filter(({ running }) => running !== undefined).length
  const perSecond = (world.network.frames - before) / nodes / (forMs / 1_000)
  // Three probes, a pull, a publication, an exchange, two looks at clocks and one at each other member's frontier while
  // somebody is away, each asked and answered; as much again for bad luck.
  const questions =
    3 / probe.intervalMs +
    (pullIntervalMs > 0 ? 1 / pullIntervalMs : 0) +
    2 / antiEntropyIntervalMs +
    2 / CLOCKS_INTERVAL_MS +
    nodes / purgeIntervalMs +
    (world.machines.length - nodes) / INTRODUCTION_INTERVAL_MS
  world.recorder.write({
    type: 'idle',
    atMs: world.nowMs,
    framesPerNodeSecond: Math.round(perSecond * 100) / 100,
    framesPerNodeSecondMax: Math.round(questions * 1_000 * 2 * 2 * 100) / 100,
  })
}
