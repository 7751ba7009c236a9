// Runs seeds in a process with a bug in it until somebody objects.
import { parseScenario, simulate, type SimulationOptions } from '@grapevine/simulator'
import { PLANTED_BUGS, SEEDS_MAX } from './bugs.ts'

export interface Finding {
  /** The first seed in which one of the expected checkers objected. */
  readonly seed: number | undefined
  readonly checker?: string
  readonly message?: string
  /** Who else objected, in whatever seed up to then. */
  readonly others: readonly string[]
}

const bug = PLANTED_BUGS.find(({ name }) => name === process.env['PLANTED_BUG'])
if (bug === undefined) throw new Error('which bug?')
const { scenario, foundBy } = bug
const plan = scenario && { plan: parseScenario(JSON.stringify(scenario)) }
process.send?.(await search())

async function search(): Promise<Finding> {
  const others = new Set<string>()
  for (let seed = 1; seed <= SEEDS_MAX; seed++) {
    const options: SimulationOptions = { seed, ...plan }
    const { violations } = await simulate(options)
    for (const { checker } of violations) if (!foundBy.includes(checker)) others.add(checker)
    const found = violations.find(({ checker }) => foundBy.includes(checker))
    if (found !== undefined) return { seed, checker: found.checker, message: found.message, others: [...others] }
  }
  return { seed: undefined, others: [...others] }
}
