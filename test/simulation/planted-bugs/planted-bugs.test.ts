import { readFileSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { table, withTables } from '../../support/tables.ts'
import { NOT_YET, PLANTED_BUGS, SEEDS_MAX } from './bugs.ts'
import { findAll } from './find.ts'
import type { Finding } from './worker.ts'

const PAGE = new URL('../../../docs/checkers.md', import.meta.url)

it(`finds each of ${PLANTED_BUGS.length} planted bugs within ${SEEDS_MAX} seeds`, async () => {
  const findings = new Map<string, Finding>()
  await findAll(PLANTED_BUGS, ({ name }, finding) => findings.set(name, finding))
  for (const bug of NOT_YET) console.log(`not yet: ${bug}`)
  const missed = PLANTED_BUGS.filter(({ name }) => findings.get(name)?.seed === undefined)
  expect(missed.map(({ name }) => name)).toEqual([])
  expect(findings.size).toBe(PLANTED_BUGS.length)
})

it('has told all of them in docs/checkers.md (`UPDATE_DOCS=1` writes it anew)', () => {
  const bugs = PLANTED_BUGS.map(({ name, file, scenario, foundBy }) => [
    name,
    `\`${file.replace('packages/', '')}\``,
    scenario === undefined ? 'swarm' : 'its own',
    foundBy.join(', '),
  ])
  const page = readFileSync(PAGE, 'utf8')
  const updated = withTables(page, {
    bugs: table(['planted', 'in', 'runs', 'found by one of'], bugs),
    'later bugs': NOT_YET.map((bug) => `- ${bug}\n`).join(''),
  })
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(PAGE, updated)
  else expect(page).toBe(updated)
})
