// Writes bench/RESULTS.md from the results that are there. What the page says of other scenarios stays: results are not
// committed, and were measured on many a machine.
import { readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Machine } from './harness/machine.ts'
import { isReached, numberText, RESULTS, targetText, type Figure, type ScenarioResult } from './harness/results.ts'
import { SCENARIOS, type ScenarioName } from './harness/scenarios.ts'

const PAGE = resolve(import.meta.dirname, 'RESULTS.md')
/** Below it a median says little, and no figure is quoted. */
const ROUNDS_MIN = 5
const PLOT_COLUMNS = 40

const INTRODUCTION = `# Benchmark results

Written by \`pnpm bench report\`, each chapter from the last run of its scenario; do not edit. How it is measured, and how to run
it, is in [README.md](README.md).

Machines are shared and noisy, so what can be quoted is the **ratios**: both sides were measured in the same run, in turns,
and divided within each turn. Absolute figures belong to the machine beside them. Each figure is the median of all turns; the
range is the lowest and the highest turn.
`

const before = await readFile(PAGE, 'utf8').catch(() => '')
const results = await Promise.all(SCENARIOS.map(load))
const parts = SCENARIOS.map((name, index) => {
  const result = results[index]
  return result === undefined ? partOf(before, name) : { rows: targetRows(result), chapter: chapter(result) }
})
const chapters = parts.map((part) => part.chapter).filter((text) => text !== '')
const targets = table(
  ['scenario', 'figure', 'target', 'median', ''],
  parts.flatMap(({ rows }) => rows),
)
await writeFile(PAGE, [INTRODUCTION, `## Targets\n\n${targets}`, ...chapters].join('\n'))
const isNew = results.filter((result) => result !== undefined)
process.stdout.write(
  `${PAGE}: ${isNew.length} of ${SCENARIOS.length} scenarios are new, ${chapters.length} are there\n`,
)

/** What a page says of a scenario: its rows among the targets, and its chapter. */
interface Part {
  readonly rows: readonly string[]
  readonly chapter: string
}

function partOf(page: string, scenario: ScenarioName): Part {
  const [, ...texts] = page.split(/^(?=## )/m)
  const kept = texts.find((text) => text.startsWith(`## ${scenario}: `)) ?? ''
  return {
    rows: page.split('\n').filter((line) => line.startsWith(`| ${scenario} | `)),
    chapter: kept === '' ? '' : `${kept.trimEnd()}\n`,
  }
}

async function load(name: ScenarioName): Promise<ScenarioResult | undefined> {
  const text = await readFile(join(RESULTS, `${name}.json`), 'utf8').catch(() => undefined)
  return text === undefined ? undefined : JSON.parse(text)
}

function targetRows({ scenario, figures }: ScenarioResult): string[] {
  return figures.flatMap((one) =>
    one.target === undefined
      ? []
      : [row([scenario, one.name, targetText(one.target), `${numberText(one.median)} ${one.unit}`, verdictOf(one)])],
  )
}

function chapter(result: ScenarioResult): string {
  const { scenario, title, method, command, startedAt, settings, figures } = result
  const rows = figures.map((one) =>
    row([
      one.name,
      numberText(one.median),
      one.unit,
      one.samples.length > 1 ? `${numberText(one.low)} … ${numberText(one.high)}` : '',
      one.target === undefined ? '' : `${targetText(one.target)}: ${verdictOf(one)}`,
    ]),
  )
  return [
    `## ${scenario}: ${title}\n`,
    `\`\`\`\n${command}\n\`\`\`\n`,
    `${startedAt.slice(0, 10)}, ${settings.rounds} rounds. ${machineText(result.machine)}\n`,
    `${method.map((line) => `- ${line}`).join('\n')}\n`,
    table(['', 'median', '', 'range', 'target'], rows),
    plot(figures),
    ...remarksOn(result).map((remark) => `> ${remark}\n`),
  ].join('\n')
}

function machineText(machine: Machine): string {
  const { cpu, cores, memoryGiB, system, node, fileSystem, fsyncUs, loadBefore } = machine
  return (
    `${cores} × ${cpu}, ${memoryGiB} GiB, ${system}, Node ${node}, ${fileSystem}, an fsync takes ${fsyncUs} µs, ` +
    `load average before: ${numberText(loadBefore)}.`
  )
}

function remarksOn({ remarks, settings, machine, figures }: ScenarioResult): string[] {
  const missed = figures.filter((one) => isReached(one) === false)
  return [
    ...(settings.rounds < ROUNDS_MIN ? [`Fewer than ${ROUNDS_MIN} rounds: not to be quoted.`] : []),
    ...(machine.loadBefore > machine.cores / 2
      ? [
          'The machine was busy with something else: absolute figures, and times above all, are worse than they need be.',
        ]
      : []),
    ...(machine.fileSystem.startsWith('tmpfs') ? ['The data lay in memory: nothing here was durable.'] : []),
    ...missed.map((one) => `Missed: ${one.name}, by ${shortfall(one)}.${reason(one)}`),
    ...remarks,
  ]
}

function shortfall({ median, target }: Figure): string {
  if (target === undefined) return ''
  return `a factor of ${numberText(target.sense === 'at least' ? target.limit / median : median / target.limit)}`
}

function reason({ target }: Figure): string {
  return target?.whenMissed === undefined ? '' : ` ${target.whenMissed}`
}

/** One line a figure of the rate's unit, so that one sees at a glance who is where. */
function plot(figures: readonly Figure[]): string {
  const rates = figures.filter(({ unit, samples }) => unit.endsWith('/s') && samples.length > 1)
  if (rates.length < 2) return ''
  const most = Math.max(...rates.map(({ high }) => high))
  const width = Math.max(...rates.map(({ name }) => name.length))
  const lines = rates.map(({ name, low, median, high }) => {
    const [from, middle, to] = [low, median, high].map((value) => Math.round((value / most) * PLOT_COLUMNS))
    const bar = Array.from({ length: PLOT_COLUMNS + 1 }, (_, column) =>
      column === middle ? '●' : column >= (from ?? 0) && column <= (to ?? 0) ? '─' : column < (from ?? 0) ? '·' : ' ',
    )
    return `${name.padEnd(width)} ${bar.join('').trimEnd()}`
  })
  return `\`\`\`\n${lines.join('\n')}\n${' '.repeat(width)} 0${`${numberText(most)} ${rates[0]?.unit ?? ''}`.padStart(PLOT_COLUMNS)}\n\`\`\`\n`
}

function verdictOf(one: Figure): string {
  return isReached(one) === true ? 'reached' : '**missed**'
}

function table(head: readonly string[], rows: readonly string[]): string {
  return `${[row(head), row(head.map(() => '---')), ...rows].join('\n')}\n`
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}
