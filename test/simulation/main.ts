import { runSeeds } from './run-seeds.ts'

// `pnpm test:simulation`: a thousand seeds, and with SEEDS, FIRST_SEED, NODES and SECONDS as many as one likes.

const REPORTS_SHOWN_MAX = 3
const PROGRESS_EVERY_MS = 5_000

function numberOf(name: string, usual: number): number {
  const text = process.env[name]
  const value = text === undefined ? usual : Number(text)
  if (!Number.isInteger(value) || value < 1) throw new Error(`${name} must be a whole number above 0`)
  return value
}

const first = numberOf('FIRST_SEED', 1)
const seeds = numberOf('SEEDS', 1_000)
const nodes = numberOf('NODES', 5)
const seconds = numberOf('SECONDS', 60)
const startedMs = performance.now()
let shownMs = startedMs

console.log(
  `Seeds ${first} to ${first + seeds - 1}: ${nodes} nodes, ${seconds} virtual seconds of faults, then healing.`,
)
const { runs, failures, unlike, convergedAfterMsMax, collections } = await runSeeds({
  first,
  seeds,
  nodes,
  seconds,
  onResult: ({ seed, violations }, done) => {
    const [found] = violations
    if (found !== undefined) console.log(`seed ${seed}: ${found.checker}: ${found.message.slice(0, 300)}`)
    if (performance.now() - shownMs < PROGRESS_EVERY_MS) return
    shownMs = performance.now()
    console.log(`${done} runs in ${Math.round((shownMs - startedMs) / 1_000)} s`)
  },
})
for (const { report } of failures.slice(0, REPORTS_SHOWN_MAX)) console.log(`\n${report}`)
if (unlike.length > 0) console.log(`Not the same twice: seeds ${unlike.join(', ')}`)
const isGood = failures.length === 0 && unlike.length === 0
console.log(
  `${isGood ? 'Nothing was found' : `Found something in ${failures.length} seeds, and ${unlike.length} ran differently twice`}: ` +
    `${runs} runs of ${seeds} seeds in ${Math.round((performance.now() - startedMs) / 1_000)} s; ` +
    `all agreed within ${(convergedAfterMsMax / 1_000).toFixed(1)} s of healing.`,
)
console.log(
  `Tombstones: gone from all disks in ${collections.complete} runs, held back by a node that stayed away in ` +
    `${collections.heldBack}, left for other reasons in ${collections.incomplete}.`,
)
process.exitCode = isGood ? 0 : 1
