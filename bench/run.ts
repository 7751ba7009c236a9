// Runs scenarios, one after the other, each in a process of its own.
//
//   node bench/run.ts NAME [FLAG ...]     b10-put, b10 or put
//   node bench/run.ts all [FLAG ...]      all of them, then the report
//   node bench/run.ts report              bench/RESULTS.md from what was measured last
//   node bench/run.ts gossip              docs/gossip.md, its tables and plots, likewise
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { findScenario, SCENARIOS } from './harness/scenarios.ts'

process.exitCode = main(process.argv.slice(2))

function main([name = '', ...flags]: readonly string[]): number {
  if (name === 'report' || name === 'gossip') return runFile(name, flags)
  if (name === 'all') {
    for (const scenario of SCENARIOS) {
      const status = runFile(scenario, flags)
      if (status !== 0) return status
    }
    return flags.includes('--quick') ? 0 : runFile('report', [])
  }
  const scenario = findScenario(name)
  if (scenario !== undefined) return runFile(scenario, flags)
  process.stderr.write(`pnpm bench NAME [--help], where NAME is one of ${SCENARIOS.join(', ')}, all, report, gossip\n`)
  return 2
}

function runFile(name: string, flags: readonly string[]): number {
  const file = join(import.meta.dirname, `${name}.ts`)
  const { status, signal } = spawnSync(process.execPath, [file, ...flags], { stdio: 'inherit' })
  if (signal !== null) process.stderr.write(`${name} was ended by ${signal}\n`)
  return status ?? 1
}
