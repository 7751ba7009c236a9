import { readFileSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { table, withTables } from '../../../test/support/tables.ts'
import { optionsTable } from '../src/index.ts'
import { testServer } from './serve.ts'

const PAGE = new URL('../../../docs/operating.md', import.meta.url)

/** As a scrape shows them, without those of the process, which come and go. What has no value yet has its help all the same. */
async function metricsTable(): Promise<string> {
  const { body } = await testServer().app.inject('/metrics')
  const types = new Map(Array.from(body.matchAll(/^# TYPE (\S+) (\S+)$/gm), ([, name = '', type = '']) => [name, type]))
  const rows = Array.from(
    body.matchAll(/^# HELP (grapevine_(?!nodejs|process)\S+) (.*)$/gm),
    ([, name = '', help = '']) => [`\`${name}\``, types.get(name) ?? '', help.replaceAll('|', '\\|')],
  )
  return table(
    ['metric', 'type', ''],
    rows.toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1)),
  )
}

it('docs/operating.md has the options and metrics that there are (`UPDATE_DOCS=1` writes them anew)', async () => {
  const page = readFileSync(PAGE, 'utf8')
  const updated = withTables(page, { options: `${optionsTable()}\n`, metrics: await metricsTable() })
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(PAGE, updated)
  else expect(page).toBe(updated)
})

it('docs/operating.md names no metric that is not there', async () => {
  const { body } = await testServer().app.inject('/metrics')
  const [byHand = ''] = readFileSync(PAGE, 'utf8').split('<!-- table: metrics')
  const named = byHand.match(/grapevine_[a-z_]*[a-z]/g) ?? []
  expect(named.length).toBeGreaterThan(5)
  for (const name of new Set(named)) expect(body).toContain(`# HELP ${name} `)
})
