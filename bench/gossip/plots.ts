import type { SpreadSummary } from '@grapevine/simulator/measures'
import type { DemersResult, DetectorResult, GossipResults, SpreadResult } from './results.ts'
import { svgOf, type Axis, type Series } from './svg-plot.ts'

/** The plots of docs/gossip.md by file name. */
export function plotsOf(results: GossipResults): ReadonlyMap<string, string> {
  return new Map([
    ['residue.svg', residue(results['b2-demers'])],
    ['traffic.svg', traffic(results['b2-demers'])],
    ['spread.svg', spreading('One write among 26,000 nodes', results['b1-spread'])],
    ['loss.svg', spreading('26,000 nodes, 5 % loss, 10 % crashed', results['b4-loss'])],
    ['detector.svg', detector(results['b13-detector'])],
  ])
}

/** Below it nothing can be seen in so many runs. */
const RESIDUE_MIN = 1e-6

function powers(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => Number(`1e${from + index}`))
}

function powerText(tick: number): string {
  return tick === 1 ? '1' : `10${superscript(Math.round(Math.log10(tick)))}`
}

function superscript(exponent: number): string {
  const digits = String(Math.abs(exponent)).replaceAll(/\d/g, (digit) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[Number(digit)] ?? '')
  return exponent < 0 ? `⁻${digits}` : digits
}

const RESIDUE_AXIS: Axis = {
  label: 'residue: the share of sites that never heard',
  from: RESIDUE_MIN,
  to: 1,
  scale: 'log',
  ticks: powers(-6, 0),
  tickText: powerText,
}

function residue({ tables }: DemersResult): string {
  return svgOf({
    title: 'Demers et al. 1987, 1,000 sites: residue against k',
    x: { label: 'k', from: 0.8, to: 7, scale: 'linear', ticks: [1, 2, 3, 4, 5] },
    y: RESIDUE_AXIS,
    series: tables.flatMap(({ name, paper, measured }, colour): Series[] => [
      { name, colour, drawn: 'line', points: measured.map((row, index) => [index + 1, row.residue]) },
      { name: 'as printed', colour, drawn: 'dots', points: paper.map((row, index) => [index + 1, row.residue]) },
    ]),
  })
}

function traffic({ tables, product }: DemersResult): string {
  const { quiet, busy } = product
  return svgOf({
    title: 'What a rumor costs, and whom it misses: 1,000 sites',
    x: { label: 'payloads per site', from: 0, to: 10, scale: 'linear', ticks: [0, 1, 2, 3, 4, 5, 6, 7] },
    y: RESIDUE_AXIS,
    series: [
      ...tables.map(({ name, measured }, colour): Series => ({
        name,
        colour,
        // Those of push lie on one line, e to the power of −m.
        drawn: colour === 1 ? 'dashes' : 'line',
        points: measured.map((row) => [row.traffic, row.residue]),
      })),
      {
        name: 'the product: none missed, so below the axis',
        colour: 3,
        drawn: 'dots',
        points: [quiet, busy].map(({ payloads, unreached }) => [payloads, unreached.at(-1) ?? 1]),
      },
    ],
  })
}

const UNREACHED_MIN = 1e-7

function spreading(title: string, { quiet, busy, push }: SpreadResult): string {
  const curve = ({ unreached }: SpreadSummary): Series['points'] =>
    unreached.flatMap((share, round) => (share >= UNREACHED_MIN ? [[round, share] as const] : []))
  return svgOf({
    title,
    x: { label: 'round', from: 0, to: 32, scale: 'linear', ticks: [0, 4, 8, 12, 16, 20, 24] },
    y: {
      label: 'share of live nodes without it, mean of the runs',
      from: UNREACHED_MIN,
      to: 1,
      scale: 'log',
      ticks: powers(-7, 0),
      tickText: powerText,
    },
    series: [
      { name: 'push, fanout 2', colour: 1, drawn: 'line', points: curve(push) },
      { name: 'product, busy', colour: 0, drawn: 'dashes', points: curve(busy) },
      { name: 'product, quiet', colour: 0, drawn: 'line', points: curve(quiet) },
    ],
  })
}

function detector({ byBlockedMs, seeds }: DetectorResult): string {
  const bars = (of: 'swim' | 'product'): Series['points'] =>
    byBlockedMs.map((row, index) => [index + 1, row[of].falsePositives])
  const most = Math.max(...byBlockedMs.flatMap(({ swim, product }) => [swim.falsePositives, product.falsePositives]))
  const step = 10 ** Math.floor(Math.log10(Math.max(most, 10)))
  const top = Math.ceil((most * 1.2) / step) * step
  return svgOf({
    title: `Healthy members declared dead, ${seeds} runs of 128 nodes, 32 of them slow`,
    x: {
      label: 'the slow ones are blocked for so long, run for 1 ms, and are blocked again',
      from: 0.4,
      to: byBlockedMs.length + 0.6,
      scale: 'linear',
      ticks: byBlockedMs.map((_, index) => index + 1),
      tickText: (tick) => `${(byBlockedMs[tick - 1]?.blockedMs ?? 0) / 1_000} s`,
    },
    y: {
      label: 'verdicts',
      from: 0,
      to: top,
      scale: 'linear',
      ticks: Array.from({ length: top / step + 1 }, (_, index) => index * step),
      tickText: (tick) => tick.toLocaleString('en-GB'),
    },
    series: [
      { name: 'plain SWIM', colour: 1, drawn: 'bars', points: bars('swim') },
      { name: 'the product', colour: 0, drawn: 'bars', points: bars('product') },
    ],
  })
}
