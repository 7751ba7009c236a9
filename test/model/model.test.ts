import { readFileSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { SeededRandom } from '../../packages/simulator/src/seeded-random.ts'
import { table, withTables } from '../support/tables.ts'
import { explore, walk, type Exploration, type Failure } from './explorer.ts'
import { RULES, type Rule } from './rules.ts'
import { SEARCHES, WIDE } from './scopes.ts'
import { modelOf } from './store-world.ts'

const PAGE = new URL('../../docs/model.md', import.meta.url)
/** `STEPS_MORE=2` looks further where the normal test stops. */
const STEPS_MORE = Number(process.env['STEPS_MORE'] ?? 0)
/** A search without a rule ends at its first fault; it has to come before this. */
const STATES_WITHOUT_RULE_MAX = 200_000
const STATES_MAX = 20_000_000
/** Runs drawn by chance in each wide scope: `WALKS=100000` for a night. */
const WALKS = Number(process.env['WALKS'] ?? 300)
const STEPS_PER_WALK = 60

const explored = new Map<string, Exploration>()
const found = new Map<Rule, Failure & { states: number; scope: string }>()

for (const { scope, steps = Number.POSITIVE_INFINITY, drops } of SEARCHES) {
  it(`finds no fault: ${scope.name}`, () => {
    const exploration = explore(modelOf(scope, new Set()), { states: STATES_MAX, depth: steps + STEPS_MORE })
    explored.set(scope.name, exploration)
    expect(exploration.failure).toBeUndefined()
    if (steps === Number.POSITIVE_INFINITY) expect(exploration.exhausted).toBe(true)
  })

  it.each(drops)(`finds a fault without the rule "%s": ${scope.name}`, (rule) => {
    const { failure, states } = explore(modelOf(scope, new Set([rule])), {
      states: STATES_WITHOUT_RULE_MAX,
      depth: Number.POSITIVE_INFINITY,
    })
    if (failure === undefined) throw new Error(`nothing is wrong in ${states} states without "${rule}"`)
    console.log(`without "${rule}": ${failure.fault}\n${failure.run.map((step) => `  ${step}\n`).join('')}`)
    found.set(rule, { ...failure, states, scope: scope.name })
  })
}

it.each(WIDE)(`finds no fault in ${WALKS} runs: $name`, (scope) => {
  const model = modelOf(scope, new Set())
  for (let seed = 1; seed <= WALKS; seed++) {
    const failure = walk(model, STEPS_PER_WALK, new SeededRandom(seed))
    if (failure !== undefined) throw new Error(`seed ${seed}: ${failure.fault}\n${failure.run.join('\n')}`)
  }
})

it('has left out each of its rules', () => {
  expect([...found.keys()].toSorted()).toEqual(Object.keys(RULES).toSorted())
})

it.skipIf(STEPS_MORE > 0)('has told all of it in docs/model.md (`UPDATE_DOCS=1` writes it anew)', () => {
  const page = readFileSync(PAGE, 'utf8')
  const updated = withTables(page, {
    scopes: table(
      ['scope', 'states', 'how far'],
      [...explored].map(([name, { states, depth, exhausted }]) => [
        name,
        states.toLocaleString('en'),
        exhausted ? `all, the farthest ${depth} steps away` : `all runs of up to ${depth} steps`,
      ]),
    ),
    walks: WIDE.map(({ name }) => `- ${name}\n`).join(''),
    'dropped rules': table(
      ['rule', 'without it', 'found after', 'shortest run', 'what is wrong then'],
      [...found].map(([rule, { states, run, fault }]) => [
        rule,
        RULES[rule],
        `${states.toLocaleString('en')} states`,
        `${run.length} steps: ${run.join('; ')}`,
        fault,
      ]),
    ),
  })
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(PAGE, updated)
  else expect(page).toBe(updated)
})
