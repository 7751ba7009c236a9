import type { SpreadSummary } from '@grapevine/simulator/measures'
import type { DemersResult, DetectorResult, DetectorSummary, GossipResults, SpreadResult } from './results.ts'

const NO_VALUE = '–'

/** The page with its tables made anew; what stands between them is written by hand. */
export function withTables(page: string, results: GossipResults): string {
  const tables: Readonly<Record<string, string>> = {
    spread: spreadTable(results['b1-spread']),
    million: spreadTable(results['b3-million']),
    loss: spreadTable(results['b4-loss']),
    demers: demersTable(results['b2-demers']),
    detector: detectorTable(results['b13-detector']),
  }
  return page.replaceAll(/(<!-- table: (\w+) -->\n)[^]*?(<!-- end -->)/g, (_all, open: string, name: string, close) => {
    const made = tables[name]
    if (made === undefined) throw new Error(`there is no table ${name}`)
    return `${open}${made}\n${close}`
  })
}

function spreadTable({ quiet, busy, push }: SpreadResult): string {
  const row = (name: string, { rounds, payloads, comparisons, incomplete, runs }: SpreadSummary): string[] => [
    name,
    fixed(rounds.mean, 1),
    String(rounds.p99),
    String(rounds.max),
    fixed(payloads, payloads < 2 ? 4 : 1),
    comparisons === 0 ? NO_VALUE : fixed(comparisons, 1),
    `${incomplete} of ${count(runs)}`,
  ]
  return table(
    ['', 'rounds', 'p99', 'most', 'payloads a node', 'comparisons a node', 'incomplete'],
    [row('product, quiet', quiet), row('product, busy', busy), row('push, fanout 2', push)],
  )
}

function demersTable({ tables, product }: DemersResult): string {
  const pair = (measured: number, printed: number | undefined, show: (value: number) => string): string =>
    `${show(measured)} (${printed === undefined ? NO_VALUE : printed})`
  const rows = tables.flatMap(({ name, paper, measured }) =>
    measured.map((row, index) => [
      `${name}, k = ${index + 1}`,
      pair(row.residue, paper[index]?.residue, (share) => share.toPrecision(2)),
      pair(row.traffic, paper[index]?.traffic, (payloads) => fixed(payloads, 2)),
      pair(row.averageDelay, paper[index]?.averageDelay, (cycles) => fixed(cycles, 1)),
      pair(row.lastDelay, paper[index]?.lastDelay, (cycles) => fixed(cycles, 1)),
    ]),
  )
  const ours = (['quiet', 'busy'] as const).map((traffic) => {
    const { incomplete, runs, payloads, averageDelay, rounds } = product[traffic]
    return [
      `**product, ${traffic}**`,
      incomplete === 0 ? `0 in ${count(runs)} runs` : `${incomplete} of ${count(runs)} runs`,
      fixed(payloads, 3),
      fixed(averageDelay, 1),
      `${fixed(rounds.mean, 1)}, at most ${rounds.max}`,
    ]
  })
  return table(['', 'residue', 'traffic m', 't_avg', 't_last'], [...rows, ...ours])
}

function detectorTable({ byBlockedMs, swim, product }: DetectorResult): string {
  const row = (
    name: string,
    { falsePositives, firstSeenMs, allSeenMs, crashes, unseen }: DetectorSummary,
  ): string[] => [
    name,
    count(falsePositives),
    `${seconds(firstSeenMs.p50)} / ${seconds(firstSeenMs.p99)}`,
    `${seconds(allSeenMs.p50)} / ${seconds(allSeenMs.p99)}`,
    `${crashes - unseen} of ${crashes}`,
  ]
  return table(
    ['', 'false positives', 'first to see, p50 / p99', 'all have seen, p50 / p99', 'crashes seen by all'],
    [
      ...byBlockedMs.flatMap(({ blockedMs, ...both }) => [
        row(`blocked for ${blockedMs / 1_000} s, plain SWIM`, both.swim),
        row(`blocked for ${blockedMs / 1_000} s, product`, both.product),
      ]),
      row('**all, plain SWIM**', swim),
      row('**all, product**', product),
    ],
  )
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

function fixed(value: number, digits: number): string {
  return value.toFixed(digits)
}

function count(value: number): string {
  return value.toLocaleString('en-GB')
}

function seconds(ms: number): string {
  return `${fixed(ms / 1_000, 1)} s`
}
