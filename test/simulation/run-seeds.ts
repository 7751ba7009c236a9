import type { TombstoneCount, Violation } from '@grapevine/simulator'
import { execFile, fork, type ChildProcess } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

export interface SeedJob {
  readonly seed: number
  readonly nodes: number
  readonly seconds: number
  /** For reports. */
  readonly commit: string
}

export interface SeedResult {
  readonly seed: number
  readonly traceHash: string
  readonly violations: readonly Violation[]
  /** All it takes to see it again; empty when nothing was found. */
  readonly report: string
  readonly convergedAfterMs: number
  readonly tombstones: TombstoneCount
}

export interface SeedsOptions {
  readonly first: number
  readonly seeds: number
  readonly nodes: number
  readonly seconds: number
  readonly processes?: number
  readonly onResult?: (result: SeedResult, done: number) => void
}

export interface SeedsOutcome {
  readonly runs: number
  readonly failures: readonly SeedResult[]
  /** Seeds that ran twice with different traces. */
  readonly unlike: readonly number[]
  readonly convergedAfterMsMax: number
  /** Of the runs in which something was deleted, once each. */
  readonly collections: Collections
}

/** In how many runs tombstones were all gone at the end, in how many a node that stayed away held them back, and the rest. */
export interface Collections {
  readonly complete: number
  readonly heldBack: number
  readonly incomplete: number
}

/** One seed in a hundred runs twice, in whatever process is free then, and must leave the same trace. */
const TWICE_EVERY = 100

/** Runs seeds in processes of their own, as many as there are cores. */
export async function runSeeds(options: SeedsOptions): Promise<SeedsOutcome> {
  const { first, seeds, nodes, seconds, processes = availableParallelism(), onResult = () => {} } = options
  const commit = await currentCommit()
  const once = Array.from({ length: seeds }, (_, index) => first + index)
  const twice = once.filter((seed, index) => index === 0 || seed % TWICE_EVERY === 0)
  const jobs = [...once, ...twice].map((seed): SeedJob => ({ seed, nodes, seconds, commit }))
  const runs = jobs.length
  const traces = new Map<number, string>()
  const failures: SeedResult[] = []
  const unlike: number[] = []
  let done = 0
  let convergedAfterMsMax = 0
  const collections = { complete: 0, heldBack: 0, incomplete: 0 }
  await inWorkers(Math.min(processes, jobs.length), jobs, (result) => {
    const { seed, traceHash, violations, convergedAfterMs, tombstones } = result
    const before = traces.get(seed)
    if (before !== undefined && before !== traceHash) unlike.push(seed)
    if (before === undefined && violations.length > 0) failures.push(result)
    if (before === undefined && tombstones.made > 0)
      collections[tombstones.left === 0 ? 'complete' : tombstones.areHeldBack ? 'heldBack' : 'incomplete']++
    traces.set(seed, traceHash)
    convergedAfterMsMax = Math.max(convergedAfterMsMax, convergedAfterMs)
    onResult(result, ++done)
  })
  return { runs, failures, unlike, convergedAfterMsMax, collections }
}

async function inWorkers(processes: number, jobs: SeedJob[], take: (result: SeedResult) => void): Promise<void> {
  await Promise.all(
    Array.from({ length: processes }, async () => {
      const worker = fork(join(import.meta.dirname, 'seed-worker.ts'), {
        execArgv: ['--conditions=@grapevine/source', '--disable-warning=ExperimentalWarning'],
      })
      try {
        for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) take(await ask(worker, job))
      } finally {
        worker.kill()
      }
    }),
  )
}

function ask(worker: ChildProcess, job: SeedJob): Promise<SeedResult> {
  return new Promise((resolve, reject) => {
    const end = (code: number | null): void => reject(new Error(`the process of seed ${job.seed} ended with ${code}`))
    worker.once('exit', end)
    worker.once('message', (result) => {
      worker.off('exit', end)
      resolve(result as SeedResult)
    })
    worker.send(job)
  })
}

/** Of the code that runs, as far as anybody knows. */
async function currentCommit(): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)('git', ['rev-parse', 'HEAD'], { cwd: import.meta.dirname })
    return stdout.trim()
  } catch {
    return 'unknown'
  }
}
