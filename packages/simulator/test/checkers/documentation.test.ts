import { readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { CHECKER_KINDS } from '../../src/index.ts'
import { ANOMALIES } from './anomalies.ts'
import { MUTATIONS } from './mutations.ts'
import { PERMITTED } from './permitted.ts'
import { table, withTables } from '../../../../test/support/tables.ts'

const PAGE = new URL('../../../../docs/checkers.md', import.meta.url)

const TABLES: Readonly<Record<string, string>> = {
  checkers: table(
    ['checker', 'guards', 'what holds in every history'],
    CHECKER_KINDS.map(({ name, guards, asserts }) => [`\`${name}\``, guards, asserts]),
  ),
  anomalies: table(
    ['#', 'planted', 'found by', 'and by'],
    ANOMALIES.map(({ story, foundBy, also = [] }, index) => [String(index + 1), story, foundBy, also.join(', ')]),
  ),
  mutations: table(
    ['spoilt', 'found by'],
    MUTATIONS.map(({ story, foundBy }) => [story, foundBy]),
  ),
  permitted: table(
    ['#', 'nobody complains when'],
    PERMITTED.map(({ story }, index) => [String(index + 1), story]),
  ),
}

describe('docs/checkers.md', () => {
  it('has the tables that the checkers and their tests give (`UPDATE_DOCS=1` writes them anew)', () => {
    const page = readFileSync(PAGE, 'utf8')
    const updated = withTables(page, TABLES)
    if (process.env['UPDATE_DOCS'] === '1') writeFileSync(PAGE, updated)
    else expect(page).toBe(updated)
  })
})
