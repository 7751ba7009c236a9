import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { originsIn, withCode } from './code-in-pages.ts'

const TOP = resolve(import.meta.dirname, '../..')
const PAGES = ['docs/guide.md', 'docs/recipes.md']
const EXAMPLES = ['test/examples/guide', 'test/examples/recipes']

describe('code in the documentation', () => {
  it.each(PAGES)('is in %s what the tests run (`UPDATE_DOCS=1` writes it anew)', (name) => {
    const path = join(TOP, name)
    const page = readFileSync(path, 'utf8')
    const updated = withCode(page)
    if (process.env['UPDATE_DOCS'] === '1') writeFileSync(path, updated)
    else expect(page).toBe(updated)
  })

  it('leaves out no example', () => {
    const shown = new Set(PAGES.flatMap((name) => originsIn(readFileSync(join(TOP, name), 'utf8'))))
    const there = EXAMPLES.flatMap((folder) => readdirSync(join(TOP, folder)).map((file) => `${folder}/${file}`))
    expect([...shown].toSorted()).toEqual(there.toSorted())
  })
})
