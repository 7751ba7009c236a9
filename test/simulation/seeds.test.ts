import { expect, it } from 'vitest'
import { runSeeds } from './run-seeds.ts'

/** About a minute of computing; `pnpm test:simulation` runs a thousand. */
const SEEDS = 60

it(`holds in ${SEEDS} seeds of swarm faults, and leaves the same trace twice`, async () => {
  const { runs, failures, unlike, collections } = await runSeeds({ first: 1, seeds: SEEDS, nodes: 5, seconds: 60 })
  expect(failures.map(({ report }) => report)).toEqual([])
  expect(unlike).toEqual([])
  // Deletes really go, in most runs and not in some lucky one.
  expect(collections.complete).toBeGreaterThan(SEEDS / 2)
  expect(runs).toBeGreaterThan(SEEDS)
})
