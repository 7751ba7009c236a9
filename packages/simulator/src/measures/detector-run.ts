import type { MemberEvent, ReplicaId } from '@grapevine/core'
import { DetectorWorld, type DetectorProcess } from './detector-world.ts'
import { diceOf } from './dice.ts'

export interface DetectorRunOptions {
  readonly nodes: number
  readonly seed: number
  /** False for SWIM as it was before. */
  readonly lifeguard: boolean
  /** Nodes that again and again do not get the processor for {@link blockedMs}, and then do for {@link runsMs}. */
  readonly slow: number
  readonly blockedMs: number
  readonly runsMs: number
  /** Healthy nodes that crash without a word, at moments of their own. */
  readonly crashes: number
  readonly seconds: number
}

export interface DetectorRun {
  /** Verdicts `dead` on nodes that were neither slow nor crashed: one for each who came to think so. */
  readonly falsePositives: number
  /** Of these, the ones of healthy nodes. */
  readonly falsePositivesOfHealthy: number
  /** Healthy nodes that somebody took to be dead. */
  readonly victims: number
  /** From each crash until the first healthy node thought so; `undefined` when none did before the end. */
  readonly firstSeenMs: readonly (number | undefined)[]
  /** Until all healthy nodes thought so. */
  readonly allSeenMs: readonly (number | undefined)[]
}

/** Until all have heard of all, and ask at moments of their own. */
const WARM_UP_MS = 5_000
/** So long before the end nobody crashes any more, since it could not be seen in time. */
const DETECTION_MS_MAX = 25_000

/**
 * Lifeguard's scenario (Dadgar et al. 2018, §V): some members are slow, and a good detector blames none of the others.
 * The slow ones stop all at once and run all at once, as they do when one busy machine carries them.
 */
export async function runDetectors(options: DetectorRunOptions): Promise<DetectorRun> {
  const { nodes, seed, lifeguard, slow, blockedMs, runsMs, crashes, seconds } = options
  const dice = diceOf(seed, 'detector-run')
  const verdicts = new Verdicts()
  const world = new DetectorWorld({ nodes, seed, lifeguard, onChange: (by, event) => verdicts.note(by, event) })
  const { timers } = world
  const endMs = WARM_UP_MS + seconds * 1_000
  const slowOnes = world.processes.slice(0, slow)
  const doomed = world.processes.slice(slow, slow + crashes)
  const healthy = world.processes.slice(slow + crashes)

  const blockAll = (): void => {
    for (const process of slowOnes) process.block()
    timers.after(blockedMs, () => {
      for (const process of slowOnes) process.unblock()
    })
    timers.after(blockedMs + runsMs, blockAll)
  }
  timers.after(WARM_UP_MS, blockAll)
  const crashedMs = doomed.map((process) => {
    const atMs = WARM_UP_MS + dice.next() * Math.max(0, seconds * 1_000 - DETECTION_MS_MAX)
    timers.after(atMs, () => process.crash())
    return atMs
  })
  await timers.runUntil(endMs)

  const isHealthy = new Set(healthy.map(({ replica }) => replica))
  const wrong = verdicts.all.filter(({ of }) => isHealthy.has(of))
  const seenMs = doomed.map(({ replica }, index) =>
    verdicts.firstByEach(replica, isHealthy).map((atMs) => atMs - (crashedMs[index] ?? 0)),
  )
  return {
    falsePositives: wrong.length,
    falsePositivesOfHealthy: wrong.filter(({ by }) => isHealthy.has(by)).length,
    victims: new Set(wrong.map(({ of }) => of)).size,
    firstSeenMs: seenMs.map((times) => times[0]),
    allSeenMs: seenMs.map((times) => times[healthy.length - 1]),
  }
}

interface Verdict {
  readonly by: ReplicaId
  readonly of: ReplicaId
  readonly atMs: number
}

/** Every time that somebody came to think that a member is dead. */
class Verdicts {
  readonly all: Verdict[] = []

  note(by: DetectorProcess, { kind, member }: MemberEvent): void {
    if (kind === 'dead') this.all.push({ by: by.replica, of: member.replica, atMs: by.monotonicMs() })
  }

  /** When each of these first thought so of one, in order. */
  firstByEach(of: ReplicaId, these: ReadonlySet<ReplicaId>): number[] {
    const first = new Map<ReplicaId, number>()
    for (const verdict of this.all)
      if (verdict.of === of && these.has(verdict.by) && !first.has(verdict.by)) first.set(verdict.by, verdict.atMs)
    return [...first.values()]
  }
}
