import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { withTables } from '../../../../bench/gossip/page.ts'
import { plotsOf } from '../../../../bench/gossip/plots.ts'
import type { GossipResults } from '../../../../bench/gossip/results.ts'
import { DEMERS_TABLES, meanRow, plainPush, spread, summarize, type SpreadSummary } from '../../src/measures/index.ts'

const DOCS = resolve(import.meta.dirname, '../../../../docs')
const results: GossipResults = JSON.parse(await readFile(join(DOCS, 'gossip/results.json'), 'utf8'))

describe('docs/gossip.md', () => {
  it('has the tables that its results give', async () => {
    const page = await readFile(join(DOCS, 'gossip.md'), 'utf8')
    expect(withTables(page, results)).toBe(page)
  })

  it.each([...plotsOf(results)])('has %s as its results give it, and shows it', async (name, svg) => {
    expect(await readFile(join(DOCS, 'gossip', name), 'utf8')).toBe(svg)
    expect(await readFile(join(DOCS, 'gossip.md'), 'utf8')).toContain(`(gossip/${name})`)
  })
})

describe('the results it was made from', () => {
  const { quiet, busy, push } = results['b1-spread']
  const loss = { loss: 0.05, crashed: 0.1 }

  it.each([
    { name: 'quiet', told: quiet, run: (seed: number) => spread({ nodes: 26_000, seed, traffic: 'quiet' }) },
    { name: 'busy', told: busy, run: (seed: number) => spread({ nodes: 26_000, seed, traffic: 'busy' }) },
    { name: 'plain push', told: push, run: (seed: number) => plainPush({ nodes: 26_000, seed, fanout: 2 }) },
    {
      name: 'quiet, with loss and crashed nodes',
      told: results['b4-loss'].quiet,
      run: (seed: number) => spread({ nodes: 26_000, seed, traffic: 'quiet', ...loss }),
    },
  ])('are what a few runs find: $name', ({ told, run }) => {
    expectLike(summarize(4, run), told)
  })

  it('are what a few runs find: 1,000 nodes, and the first row of each of Demers’ tables', () => {
    const { product, tables } = results['b2-demers']
    const run = (seed: number) => spread({ nodes: 1_000, seed, traffic: 'quiet' })
    expectLike(summarize(100, run), product.quiet)
    for (const [index, { options }] of DEMERS_TABLES.entries()) {
      const row = meanRow({ ...options, k: 1 }, 50)
      const told = tables[index]?.measured[0]
      expect(Math.abs(row.residue / (told?.residue ?? 0) - 1)).toBeLessThan(0.15)
      expect(Math.abs(row.traffic - (told?.traffic ?? 0))).toBeLessThan(0.1)
    }
  })
})

function expectLike(found: SpreadSummary, told: SpreadSummary): void {
  expect(Math.abs(found.rounds.mean - told.rounds.mean)).toBeLessThan(1.5)
  expect(Math.abs(found.averageDelay - told.averageDelay)).toBeLessThan(0.6)
  expect(Math.abs(found.payloads / told.payloads - 1)).toBeLessThan(0.05)
}
