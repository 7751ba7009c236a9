import { plainPush, spread, summarize, type SpreadOptions, type SpreadSummary } from '@grapevine/simulator/measures'
import { figure, numberText, print, type Figure, type Target } from '../harness/results.ts'
import type { SpreadResult } from './results.ts'

export type Faults = Pick<SpreadOptions, 'loss' | 'crashed'>

/** Those who have heard push to so many in each round. */
const PLAIN_FANOUT = 2

export function measureSpread(nodes: number, runs: number, faults: Faults = {}): SpreadResult {
  const product = (traffic: SpreadOptions['traffic']): SpreadSummary =>
    shown(
      traffic,
      summarize(runs, (seed) => spread({ nodes, seed, traffic, ...faults })),
    )
  return {
    nodes,
    quiet: product('quiet'),
    busy: product('busy'),
    push: shown(
      `push, fanout ${PLAIN_FANOUT}`,
      summarize(runs, (seed) => plainPush({ nodes, seed, fanout: PLAIN_FANOUT, ...faults })),
    ),
  }
}

function shown(name: string, summary: SpreadSummary): SpreadSummary {
  const { rounds, payloads, comparisons, incomplete } = summary
  print(
    `  ${name}: rounds mean ${numberText(rounds.mean)}, p99 ${rounds.p99}, max ${rounds.max}, payloads ` +
      `${payloads.toFixed(4)}, comparisons ${numberText(comparisons)}, incomplete ${incomplete}\n`,
  )
  return summary
}

export interface SpreadLimits {
  readonly rounds: number
  /** Payloads beyond one a node. */
  readonly overheadPercent: number
}

/** One write in a quiet cluster is what the targets are about; the busy one is held to the same. */
export function spreadFigures({ quiet, busy, push }: SpreadResult, limits: SpreadLimits): Figure[] {
  const atMost = (limit: number): Target => ({ sense: 'at most', limit })
  return [
    ...(['quiet', 'busy'] as const).flatMap((traffic) => {
      const summary = { quiet, busy }[traffic]
      return [
        figure(`${traffic}, rounds p99`, 'rounds', [summary.rounds.p99], atMost(limits.rounds)),
        figure(`${traffic}, payloads beyond one a node`, '%', [beyondOne(summary)], atMost(limits.overheadPercent)),
        figure(`${traffic}, comparisons`, 'a node', [summary.comparisons]),
        figure(`${traffic}, incomplete runs`, `of ${summary.runs}`, [summary.incomplete], atMost(0)),
      ]
    }),
    figure('push with fanout 2, rounds', 'rounds, mean', [push.rounds.mean]),
    figure('push with fanout 2, payloads beyond one a node', '%', [beyondOne(push)]),
  ]
}

/** Below nothing when nobody got it twice, since the first one needs none. */
function beyondOne({ payloads }: SpreadSummary): number {
  return (payloads - 1) * 100
}

export const SPREAD_METHOD: readonly string[] = [
  'Rounds that all see the state at their start; a push and a pull take one each. Seeds 1 to the number of rounds given.',
  'Whom to tell, how far, who pulls when and who wakes whom is decided by `packages/core`, as in production.',
  'Quiet: the only write for a long time. Busy: every node always has fresh news of something, and pulls quickly.',
  'Plain push stops when the last node has heard, which nobody could know in a real cluster.',
]
