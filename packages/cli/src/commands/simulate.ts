import type { SimulationPlan, SimulationResult } from '@grapevine/simulator'
import { randomInt } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import type { Call, Command } from '../command.ts'
import { CommandError, EXIT } from '../exit-code.ts'
import { countText, plural, spanText } from '../output/numbers.ts'
import { printDocument, tell } from '../output/print.ts'
import type { Style } from '../output/style.ts'
import { tableLines, type Column } from '../output/table.ts'
import { loadSimulator } from '../simulator-module.ts'
import { UsageError } from '../usage-error.ts'
import { softwareVersion } from '../version.ts'

const SEED_MAX = 2 ** 47
const NODES_MAX = 64
const SECONDS_MAX = 3_600

export const simulate: Command = {
  name: 'simulate',
  summary: 'Run a cluster in virtual time, with faults that a seed draws',
  usage: 'simulate [--nodes N] [--seed S] [--seconds T] [--scenario FILE] [--history FILE] [--minimise]',
  details:
    'One seed decides time, loss, order, disks, crashes and clocks, so the same seed is the same run, anywhere. Exits 6\nwhen anything was found wrong, and then says all it takes to see it again. The format of scenarios is in\ndocs/simulator.md.',
  flags: {
    nodes: { type: 'string', value: 'N', help: `How many nodes, 1 to ${NODES_MAX} (5)` },
    seed: { type: 'string', value: 'S', help: 'Which run (one that nobody has seen)' },
    seconds: { type: 'string', value: 'T', help: 'Virtual seconds of faults, before all heals (60)' },
    scenario: { type: 'string', value: 'FILE', help: 'What is to happen, instead of what the seed draws' },
    history: { type: 'string', value: 'FILE', help: 'Write all that happened there, as JSON lines' },
    minimise: { type: 'boolean', help: 'When something is wrong, look for less that still shows it' },
  },
  examples: ['grapevine simulate', 'grapevine simulate --nodes 5 --seed 42 -o json'],
  takes: { least: 0, most: 0 },
  async run(call) {
    const { simulate: run, minimise, failureReport } = await loadSimulator()
    const nodes = call.flags.count('nodes', 1, NODES_MAX)
    const seconds = call.flags.count('seconds', 5, SECONDS_MAX)
    const plan = await scenarioOf(call)
    if (plan !== undefined && (nodes !== undefined || seconds !== undefined))
      throw new UsageError('A scenario says itself how many nodes there are and how long it lasts.')
    const options = {
      seed: call.flags.count('seed', 0, SEED_MAX) ?? randomInt(SEED_MAX),
      signal: call.signal,
      ...(nodes !== undefined && { nodes }),
      ...(seconds !== undefined && { seconds }),
      ...(plan !== undefined && { plan }),
    }
    const first = await run(options)
    const isWrong = first.violations.length > 0
    const result = isWrong && call.flags.has('minimise') ? (await minimise(options)).result : first
    const { seed, traceHash, violations, history } = result
    const file = call.flags.text('history')
    if (file !== undefined) await writeFile(file, history.map((event) => `${JSON.stringify(event)}\n`).join(''))
    await printDocument(call, { seed, traceHash, violations }, (style) => simulationText(result, style))
    if (isWrong) await tell(call, `\n${failureReport(result, `grapevine ${softwareVersion()}`)}`)
    return isWrong ? EXIT.divergence : EXIT.good
  },
}

async function scenarioOf(call: Call): Promise<SimulationPlan | undefined> {
  const file = call.flags.text('scenario')
  if (file === undefined) return undefined
  const { parseScenario, ScenarioError } = await loadSimulator()
  let json: string
  try {
    json = await readFile(file, 'utf8')
  } catch (error) {
    throw new CommandError(`${file} cannot be read.`, { cause: error, exitCode: EXIT.usage })
  }
  try {
    return parseScenario(json)
  } catch (error) {
    if (error instanceof ScenarioError) throw new UsageError(`${file}: ${error.message}.`)
    throw error
  }
}

export function simulationText(
  { seed, plan, traceHash, violations, statistics }: SimulationResult,
  style: Style,
): string {
  const { virtualMs, frames, applied, failed, reads, starts, convergedAfterMs, faults } = statistics
  const injected = Object.entries(faults).map(([kind, times]) => ({ kind, times }))
  const verdict =
    violations.length === 0
      ? style.good('Everything held.')
      : style.bad(`${plural(violations.length, 'thing')} went wrong.`)
  const agreed =
    convergedAfterMs === undefined
      ? 'They did not agree in time.'
      : `When the faults ended, all agreed after ${spanText(convergedAfterMs)}.`
  return [
    `${verdict}\n\n`,
    `Seed ${seed}: ${plural(plan.nodes.length, 'node')} for ${spanText(virtualMs)} of virtual time, `,
    `${plural(starts, 'start')}, ${plural(frames, 'frame')}.\n`,
    `Clients made ${plural(applied, 'write')} and ${plural(reads, 'read')}; ${countText(failed)} were refused or lost. ${agreed}\n\n`,
    injected.length === 0 ? 'No faults.\n' : tableLines(FAULT_COLUMNS, injected, style),
    `\nTrace ${traceHash}\n`,
  ].join('')
}

const FAULT_COLUMNS: readonly Column<{ kind: string; times: number }>[] = [
  { title: 'FAULT', text: ({ kind }) => kind },
  { title: 'TIMES', text: ({ times }) => countText(times), align: 'right' },
]
