// B17: what a node with many small keys takes of memory, and how soon it is back after kill -9.
import { setTimeout as sleep } from 'node:timers/promises'
import { join } from 'node:path'
import { BATCH_OPS, CONNECTIONS, fill } from './harness/fill.ts'
import { expectSuccess } from './harness/http-answers.ts'
import { ProbeConnection } from './harness/probe-connection.ts'
import { getRequest, keyName, VALUE_BYTES } from './harness/requests.ts'
import { figure, numberText, print, ScenarioReport } from './harness/results.ts'
import { readSettings } from './harness/settings.ts'
import { Workspace } from './harness/workspace.ts'
import { startGrapevine, type GrapevineNode } from './peers/grapevine.ts'

const REST_SECONDS = 5

const settings = readSettings({ keys: 1_000_000, rounds: 5 })
const { keys, rounds, profile, directory, quick } = settings

interface MemorySample {
  readonly resident: number
  readonly anonymous: number
  readonly mapped: number
  readonly peak: number
}

async function memoryOf({ child }: GrapevineNode): Promise<MemorySample> {
  return {
    resident: await child.memoryMiB('VmRSS'),
    anonymous: await child.memoryMiB('RssAnon'),
    mapped: await child.memoryMiB('RssFile'),
    peak: await child.memoryMiB('VmHWM'),
  }
}

/** Any key must be there. */
async function check({ port }: GrapevineNode): Promise<void> {
  using connection = await ProbeConnection.open(port)
  for (let probe = 0; probe < 100; probe++) {
    const answer = await connection.ask(getRequest(keyName(Math.floor(Math.random() * keys))))
    expectSuccess(answer)
    if (answer.body.length !== VALUE_BYTES) throw new Error('a value of another length')
  }
}

const report = new ScenarioReport(
  {
    scenario: 'b17-memory',
    title: `memory of a node with ${numberText(keys)} keys of 16 B with ${VALUE_BYTES} B values, and its start after kill -9`,
    method: [
      `Filled by batches of ${BATCH_OPS} over ${CONNECTIONS} connections, all settings at their defaults.`,
      'Resident memory as the kernel counts it: what the process allocated, and pages of files that it maps.',
      'The start runs from launching the process to the first 200 of /readyz, with kill -9 before each.',
    ],
  },
  settings,
)
await using workspace = await Workspace.make(directory)

print('  an empty node …\n')
const emptyStarts: number[] = []
let emptyMemory: MemorySample | undefined
{
  await using empty = await startGrapevine({ directory: join(workspace.path, 'empty') })
  for (let round = 0; round < rounds; round++) emptyStarts.push(await empty.crashAndRestart())
  emptyMemory = await memoryOf(empty)
}

await using node = await startGrapevine({ directory: join(workspace.path, 'full'), profile })
print(`  filling ${numberText(keys)} keys …\n`)
const fillSeconds = await fill(node.port, keys)
const filled = await memoryOf(node)
await sleep((quick ? 0.2 : 1) * REST_SECONDS * 1000)
const rested = await memoryOf(node)
await check(node)

const starts: number[] = []
const started: MemorySample[] = []
for (let round = 0; round < rounds; round++) {
  starts.push(await node.crashAndRestart())
  await check(node)
  started.push(await memoryOf(node))
  print(`  ${round + 1}/${rounds} ready ${numberText(starts.at(-1) ?? NaN)} ms after kill -9\n`)
}

report.add(
  figure('resident after filling, at rest', 'MiB', [rested.resident], { sense: 'at most', limit: 300 }),
  figure('of that allocated', 'MiB', [rested.anonymous]),
  figure('of that mapped files', 'MiB', [rested.mapped]),
  figure('resident, peak while filling', 'MiB', [filled.peak], { sense: 'at most', limit: 300 }),
  figure(
    'resident after a start',
    'MiB',
    started.map(({ resident }) => resident),
  ),
  figure('resident, empty node', 'MiB', [emptyMemory.resident]),
  figure('ready after kill -9', 'ms', starts, { sense: 'at most', limit: 1_000 }),
  figure('ready after kill -9, empty node', 'ms', emptyStarts),
  figure('filling', 'entries/s', [keys / fillSeconds]),
)
await report.finish()
