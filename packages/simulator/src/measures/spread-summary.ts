import type { Spread } from './spread.ts'

export interface SpreadSummary {
  readonly runs: number
  /** Until the last live node had it. */
  readonly rounds: { readonly mean: number; readonly p99: number; readonly max: number }
  /** Rounds until a node had it, on average over nodes and runs. */
  readonly averageDelay: number
  /** Per live node, as all below, on average over the runs. */
  readonly payloads: number
  readonly duplicates: number
  readonly wasted: number
  readonly comparisons: number
  /** Runs in which a live node never had it. */
  readonly incomplete: number
  /** The share of live nodes without it after each round, on average over the runs. */
  readonly unreached: readonly number[]
}

export function summarize(runs: number, run: (seed: number) => Spread): SpreadSummary {
  const rounds: number[] = []
  const unreached: number[] = []
  let [payloads, duplicates, wasted, comparisons, incomplete] = [0, 0, 0, 0, 0]
  for (let seed = 1; seed <= runs; seed++) {
    const one = run(seed)
    const share = 1 / (one.live * runs)
    rounds.push(one.rounds)
    for (const [round, reached] of one.reached.entries())
      unreached[round] = (unreached[round] ?? 0) + (one.live - reached) * share
    payloads += (one.pushes + one.pulledPayloads) * share
    duplicates += one.duplicates * share
    wasted += one.wasted * share
    comparisons += one.comparisons * share
    if (!one.isComplete) incomplete++
  }
  rounds.sort((a, b) => a - b)
  return {
    runs,
    rounds: {
      mean: rounds.reduce((sum, count) => sum + count, 0) / runs,
      p99: rounds[Math.ceil(runs * 0.99) - 1] ?? 0,
      max: rounds.at(-1) ?? 0,
    },
    // Whoever has it after t rounds and not before waited t rounds, hence the sum over all rounds of who waits.
    averageDelay: unreached.reduce((sum, share) => sum + share, 0),
    payloads,
    duplicates,
    wasted,
    comparisons,
    incomplete,
    unreached,
  }
}
