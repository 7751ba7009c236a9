// B19: whether the disk stays bounded while keys come and go: put, delete, and each time another key.
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { applyAll, type Op } from './harness/batches.ts'
import { diskMiB } from './harness/disk-use.ts'
import { metricOf } from './harness/metric.ts'
import { BUCKET, keyName, newValue, VALUE_BYTES } from './harness/requests.ts'
import { figure, numberText, print, ScenarioReport } from './harness/results.ts'
import { readSettings } from './harness/settings.ts'
import { Workspace } from './harness/workspace.ts'
import { startGrapevine } from './peers/grapevine.ts'

/** How long the disk has to look the same before it counts as at rest: longer than a purge interval. */
const REST_SECONDS = 12
/** Cycles before the first look. Then the record of purges is full, which is what stays on the disk of an empty node. */
const WARM_UP = 100_000
/** How many keys are there before the first of them is deleted again. */
const AHEAD = 10_000
const PARTS = 10
const PURGED_SECONDS_MAX = 300

const settings = readSettings({ keys: 1_000_000 })
const { keys: cycles, directory, profile } = settings
const warmUp = settings.quick ? Math.ceil(cycles / PARTS) : WARM_UP

/** Puts run ahead of deletes, so that a key lives for a while; no key comes twice. */
function* cyclesFrom(first: number, count: number): Generator<Op> {
  const ahead = Math.min(AHEAD, Math.ceil(count / 2))
  for (let step = 0; step < count + ahead; step++) {
    if (step < count) yield { op: 'put', bucket: BUCKET, key: keyName(first + step), value: newValue() }
    if (step >= ahead) yield { op: 'delete', bucket: BUCKET, key: keyName(first + step - ahead) }
  }
}

const report = new ScenarioReport(
  {
    scenario: 'b19-cycles',
    title: `disk use after ${numberText(cycles)} puts and deletes, each of another key`,
    method: [
      `One node, all settings at their defaults. Values of ${VALUE_BYTES} random bytes. A key is deleted when up to ${numberText(AHEAD)} others have come.`,
      `Warm-up: ${numberText(warmUp)} cycles before the first look. Looked at ${PARTS} times while ${numberText(cycles)} more run, each time when no tombstone is left and the disk has come to rest.`,
      'Disk use is what all files in the data directory take, the log of LevelDB included, whatever it happens to hold.',
    ],
  },
  settings,
)
await using workspace = await Workspace.make(directory)
await using node = await startGrapevine({ directory: workspace.path, profile })
const dataDirectory = join(workspace.path, node.name)

/** Purged, and nothing more goes on. */
async function atRestMiB(): Promise<number> {
  const deadlineMs = performance.now() + PURGED_SECONDS_MAX * 1_000
  let [last, sinceMs] = [0, performance.now()]
  for (;;) {
    const [left, now] = [await metricOf(node, 'grapevine_tombstones'), await diskMiB(dataDirectory)]
    if (left > 0 || now !== last) [last, sinceMs] = [now, performance.now()]
    else if (performance.now() - sinceMs > REST_SECONDS * 1_000) return now
    if (performance.now() > deadlineMs) throw new Error(`${left} tombstones are left after ${PURGED_SECONDS_MAX} s`)
    await sleep(200)
  }
}

async function run(first: number, count: number): Promise<{ atWork: number; atRest: number }> {
  await applyAll([node.port], cyclesFrom(first, count))
  const atWork = await diskMiB(dataDirectory)
  return { atWork, atRest: await atRestMiB() }
}

let next = 0
const steps: { atWork: number; atRest: number }[] = []
for (let part = 0; part <= PARTS; part++) {
  const count = Math.max(1, Math.round(part === 0 ? warmUp : cycles / PARTS))
  const step = await run(next, count)
  next += count
  steps.push(step)
  print(`  after ${numberText(next)} cycles: ${numberText(step.atWork)} MiB, purged ${numberText(step.atRest)} MiB\n`)
}
const [warm, ...later] = steps
const last = later.at(-1)
if (warm === undefined || last === undefined) throw new Error('there are steps')
report.add(
  figure('at the end ÷ after the warm-up', '×', [last.atRest / warm.atRest], { sense: 'at most', limit: 1.2 }),
  figure('after the warm-up', 'MiB', [warm.atRest]),
  figure('at the end', 'MiB', [last.atRest]),
  figure(
    'at rest',
    'MiB',
    later.map(({ atRest }) => atRest),
  ),
  figure(
    'at work',
    'MiB',
    later.map(({ atWork }) => atWork),
  ),
  figure('keys left', 'keys', [await metricOf(node, 'grapevine_keys')], { sense: 'at most', limit: 0 }),
  figure('tombstones left', 'tombstones', [await metricOf(node, 'grapevine_tombstones')], {
    sense: 'at most',
    limit: 0,
  }),
)
await report.finish()
