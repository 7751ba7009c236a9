// B13: whether slow members make the failure detector blame others, with Lifeguard and without.
import { runDetectors, type DetectorRun } from '@grapevine/simulator/measures'
import { saveGossip, type DetectorResult, type DetectorSummary } from './gossip/results.ts'
import { figure, numberText, print, ScenarioReport } from './harness/results.ts'
import { readSettings } from './harness/settings.ts'
import { quantile } from './harness/statistics.ts'

const BLOCKED_MS = [2_000, 4_000, 8_000]
const SCENARIO = { nodes: 128, slow: 32, runsMs: 1, crashes: 4, seconds: 50 }

const settings = readSettings({ rounds: 5 })
const scenario = settings.quick ? { ...SCENARIO, nodes: 32, slow: 8 } : SCENARIO
const seeds = settings.rounds

const report = new ScenarioReport(
  {
    scenario: 'b13-detector',
    title: `${scenario.nodes} failure detectors, ${scenario.slow} of them slow, with Lifeguard and without`,
    method: [
      'The product’s own FailureDetector in virtual time, with half a millisecond to one and a half between any two.',
      `The slow ones get no processor for ${BLOCKED_MS.map((ms) => ms / 1_000).join(', ')} s, then for 1 ms, again and again.`,
      `${scenario.crashes} healthy ones crash in each run. Seeds 1 to the number of rounds, for each of the times.`,
      'Plain SWIM is the same detector without what Lifeguard adds.',
    ],
  },
  settings,
)

const runs = new Map<string, DetectorRun[]>()
for (const blockedMs of BLOCKED_MS)
  for (let seed = 1; seed <= seeds; seed++)
    for (const lifeguard of [false, true]) {
      const run = await runDetectors({ ...scenario, seed, lifeguard, blockedMs })
      const key = keyOf(blockedMs, lifeguard)
      runs.set(key, [...(runs.get(key) ?? []), run])
      print(`  ${key}, seed ${seed}: ${run.falsePositives} false positives on ${run.victims} nodes\n`)
    }

const of = (lifeguard: boolean, times: readonly number[]): DetectorSummary =>
  summaryOf(times.flatMap((blockedMs) => runs.get(keyOf(blockedMs, lifeguard)) ?? []))
const result: DetectorResult = {
  scenario,
  seeds,
  byBlockedMs: BLOCKED_MS.map((blockedMs) => ({
    blockedMs,
    swim: of(false, [blockedMs]),
    product: of(true, [blockedMs]),
  })),
  swim: of(false, BLOCKED_MS),
  product: of(true, BLOCKED_MS),
}
const { swim, product } = result
report.add(
  figure('false positives, product ÷ plain SWIM', '×', [product.falsePositives / swim.falsePositives], {
    sense: 'at most',
    limit: 0.02,
  }),
  figure('detection p50, product ÷ plain SWIM', '×', [product.firstSeenMs.p50 / swim.firstSeenMs.p50], {
    sense: 'at most',
    limit: 1.2,
  }),
  figure('detection p99, product ÷ plain SWIM', '×', [product.firstSeenMs.p99 / swim.firstSeenMs.p99]),
  figure('plain SWIM, false positives', '', [swim.falsePositives]),
  figure('product, false positives', '', [product.falsePositives]),
  figure('plain SWIM, detection p50', 'ms', [swim.firstSeenMs.p50]),
  figure('product, detection p50', 'ms', [product.firstSeenMs.p50]),
  figure('plain SWIM, detection p99', 'ms', [swim.firstSeenMs.p99]),
  figure('product, detection p99', 'ms', [product.firstSeenMs.p99]),
  figure('product, crashes not seen', `of ${numberText(product.crashes)}`, [product.unseen], {
    sense: 'at most',
    limit: 0,
  }),
)
await report.finish()
if (!settings.quick) await saveGossip('b13-detector', result)

function keyOf(blockedMs: number, lifeguard: boolean): string {
  return `${lifeguard ? 'Lifeguard' : 'plain SWIM'}, blocked for ${blockedMs / 1_000} s`
}

function summaryOf(some: readonly DetectorRun[]): DetectorSummary {
  const sum = (count: (run: DetectorRun) => number): number => some.reduce((all, run) => all + count(run), 0)
  const first = some.flatMap(({ firstSeenMs }) => firstSeenMs)
  const all = some.flatMap(({ allSeenMs }) => allSeenMs)
  return {
    falsePositives: sum((run) => run.falsePositives),
    falsePositivesOfHealthy: sum((run) => run.falsePositivesOfHealthy),
    crashes: first.length,
    unseen: all.filter((ms) => ms === undefined).length,
    firstSeenMs: quantiles(first),
    allSeenMs: quantiles(all),
  }
}

function quantiles(times: readonly (number | undefined)[]): { p50: number; p99: number } {
  const sorted = times.filter((ms) => ms !== undefined).toSorted((a, b) => a - b)
  return { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99) }
}
