import type { DemersOptions } from '@grapevine/core'
import { spreadRumor, type DemersRow } from './demers-table.ts'

/** What the paper prints; what it leaves out, or we do not have, is not there. */
export interface PaperRow {
  readonly residue: number
  readonly traffic: number
  readonly averageDelay?: number
  readonly lastDelay?: number
}

export interface DemersTable {
  readonly name: string
  readonly options: Omit<DemersOptions, 'k'>
  /** For k = 1, 2, … */
  readonly paper: readonly PaperRow[]
}

/** Demers et al. 1987, tables 1 to 3: one rumor among this many sites. */
export const DEMERS_SITES = 1_000

export const DEMERS_TABLES: readonly DemersTable[] = [
  {
    name: 'push, feedback, counter',
    options: { exchange: 'push', loss: 'feedback', counting: 'counter' },
    paper: [
      { residue: 0.18, traffic: 1.7, averageDelay: 11, lastDelay: 16.8 },
      { residue: 0.037, traffic: 3.3, averageDelay: 12.1, lastDelay: 16.9 },
      { residue: 0.011, traffic: 4.5, averageDelay: 12.5, lastDelay: 17.4 },
      { residue: 0.0036, traffic: 5.6, averageDelay: 12.7, lastDelay: 17.5 },
      { residue: 0.0012, traffic: 6.7, averageDelay: 12.8, lastDelay: 17.7 },
    ],
  },
  {
    name: 'push, blind, coin',
    options: { exchange: 'push', loss: 'blind', counting: 'coin' },
    paper: [
      { residue: 0.96, traffic: 0.04, lastDelay: 38 },
      { residue: 0.2, traffic: 1.6 },
      { residue: 0.06, traffic: 2.8 },
      { residue: 0.021, traffic: 3.9 },
      { residue: 0.008, traffic: 4.9, lastDelay: 32 },
    ],
  },
  {
    name: 'pull, feedback, counter',
    options: { exchange: 'pull', loss: 'feedback', counting: 'counter' },
    paper: [
      { residue: 3.1e-2, traffic: 2.7, lastDelay: 17.6 },
      { residue: 5.8e-4, traffic: 4.5, lastDelay: 15.4 },
      { residue: 4e-6, traffic: 6.1, lastDelay: 14 },
    ],
  },
]

/** The mean of seeds 1 to `runs`. */
export function meanRow(options: DemersOptions, runs: number): DemersRow {
  const sum = { residue: 0, traffic: 0, averageDelay: 0, lastDelay: 0 }
  for (let seed = 1; seed <= runs; seed++) {
    const row = spreadRumor(DEMERS_SITES, options, seed)
    sum.residue += row.residue / runs
    sum.traffic += row.traffic / runs
    sum.averageDelay += row.averageDelay / runs
    sum.lastDelay += row.lastDelay / runs
  }
  return sum
}
