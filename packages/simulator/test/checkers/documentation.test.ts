import { readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { CHECKER_KINDS } from '../../src/index.ts'
import { ANOMALIES } from './anomalies.ts'
import { MUTATIONS } from './mutations.ts'
import { PERMITTED } from './permitted.ts'

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
    const updated = withTables(page)
    if (process.env['UPDATE_DOCS'] === '1') writeFileSync(PAGE, updated)
    else expect(page).toBe(updated)
  })
})

function withTables(page: string): string {
  let updated = page
  for (const [name, rows] of Object.entries(TABLES)) {
    const [from, to] = [`<!-- table: ${name} -->\n`, `<!-- end: ${name} -->\n`]
    const start = updated.indexOf(from)
    const end = updated.indexOf(to)
    if (start < 0 || end < start) throw new Error(`the page has no place for the table "${name}"`)
    updated = updated.slice(0, start + from.length) + rows + updated.slice(end)
  }
  return updated
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`
  return line(head) + line(head.map(() => '---')) + rows.map(line).join('')
}
