import { parseScenario, failureReport, simulate, type SimulationPlan } from '@grapevine/simulator'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Happenings } from './happenings.ts'
import { EXPECTATIONS } from './scenario-expectations.ts'
import { WEAR_DAYS_MIN, wearOf } from './uptime.ts'

// Every scenario with some seeds, judged by all checkers and by whether it did what it tells of. SEEDS runs more of
// them, FIRST_SEED others, SCENARIO only the one of that name, DAYS more of the long one.

const DIRECTORY = join(import.meta.dirname, 'scenarios')
const SEEDS = Number(process.env['SEEDS'] ?? 2)
const FIRST_SEED = Number(process.env['FIRST_SEED'] ?? 1)
const ONLY = process.env['SCENARIO']
/** Of `year-long-uptime`: a month takes seconds, the whole of it minutes. */
const DAYS = Math.max(WEAR_DAYS_MIN, Number(process.env['DAYS'] ?? 30))
const DAY_MS = 24 * 3_600_000
/** Enough to see that nothing happens; nodes that are awake for a month would take an hour. */
const UNEVENTFUL_MS = 60_000
const LONG = 'year-long-uptime'

const names = readdirSync(DIRECTORY)
  .map((file) => file.replace(/\.json$/, ''))
  .toSorted()
const planOf = (name: string): SimulationPlan => parseScenario(readFileSync(join(DIRECTORY, `${name}.json`), 'utf8'))

/** The same with its first days alone. */
function shortened(plan: SimulationPlan, days: number): SimulationPlan {
  const chaosMs = Math.min(plan.chaosMs, days * DAY_MS)
  const isWithin = ({ atMs }: { atMs: number }): boolean => atMs < chaosMs
  const { faults, workload } = plan
  return {
    ...plan,
    chaosMs,
    faults: faults.filter(isWithin),
    workload: { ...workload, operations: workload.operations.filter(isWithin) },
  }
}

/** The same cluster and clients in a world in which nothing goes wrong. */
function uneventful(plan: SimulationPlan): SimulationPlan {
  const nodes = plan.nodes.map(({ name, cluster }) => ({ name, ...(cluster !== undefined && { cluster }) }))
  const chaosMs = Math.min(plan.chaosMs, UNEVENTFUL_MS)
  return { ...plan, nodes, chaosMs, faults: [], network: {}, settings: {}, disk: {} }
}

it('has an expectation for each scenario, and a scenario for each expectation', () => {
  expect(names).toEqual(Object.keys(EXPECTATIONS).toSorted())
})

describe.each(names.filter((name) => ONLY === undefined || ONLY === name))('%s', (name) => {
  const plan = name === LONG ? shortened(planOf(name), DAYS) : planOf(name)
  const seeds = name === LONG ? [1] : Array.from({ length: SEEDS }, (_, index) => FIRST_SEED + index)

  it('tells its story', () => {
    expect(plan.description?.length).toBeGreaterThan(80)
    // What is to come is said in the file itself, and here, so that nobody takes it for proven.
    const notYet = /Not yet: (.*)$/.exec(plan.description ?? '')?.[1]
    if (notYet !== undefined) console.log(`not yet: ${name}: ${notYet}`)
  })

  it('would not pass for having happened in a world without faults', async () => {
    const run = new Happenings(await simulate({ seed: 1, plan: uneventful(plan) }))
    expect(() => EXPECTATIONS[name]?.(run)).toThrow(/expected/)
  })

  it.each(seeds)('holds, and really happens, with seed %i', async (seed) => {
    const result = await simulate({ seed, plan })
    expect(result.violations.length === 0 ? '' : failureReport(result, 'this commit')).toBe('')
    const run = new Happenings(result)
    EXPECTATIONS[name]?.(run)
    if (name === LONG) console.log(`${name}: ${JSON.stringify(wearOf(run))}`)
  })
})
