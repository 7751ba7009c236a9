import { failureReport, simulate } from '@grapevine/simulator'
import type { SeedJob, SeedResult } from './run-seeds.ts'

/** Runs one seed after the other, as it is told to. */
process.on('message', ({ seed, nodes, seconds, commit }: SeedJob) => {
  void run(seed, nodes, seconds, commit).then((result) => process.send?.(result))
})

const NO_TOMBSTONES = { made: 0, left: 0, areHeldBack: false }

async function run(seed: number, nodes: number, seconds: number, commit: string): Promise<SeedResult> {
  try {
    const result = await simulate({ seed, nodes, seconds })
    const { traceHash, violations, statistics } = result
    const report = violations.length === 0 ? '' : failureReport(result, `commit ${commit}`)
    return {
      seed,
      traceHash,
      violations,
      report,
      convergedAfterMs: statistics.convergedAfterMs ?? 0,
      tombstones: statistics.tombstones,
    }
  } catch (error) {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
    const violations = [{ checker: 'the simulator itself', atMs: 0, message }]
    return { seed, traceHash: '', violations, report: message, convergedAfterMs: 0, tombstones: NO_TOMBSTONES }
  }
}
