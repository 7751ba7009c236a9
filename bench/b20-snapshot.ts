// B20: a snapshot of many keys while they are written to. It is of one moment, another node begins from it, and writes go on.
import { hlcText, etagOf } from '@grapevine/core'
import { readSnapshot, systemHash } from '@grapevine/server'
import { spawn } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { rm, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fill } from './harness/fill.ts'
import type { HttpAnswer } from './harness/http-answers.ts'
import { BUCKET, keyName, newValue, putRequest } from './harness/requests.ts'
import { figure, numberText, print, ScenarioReport } from './harness/results.ts'
import { ratios, takeTurns } from './harness/rounds.ts'
import { readSettings } from './harness/settings.ts'
import { latencyOf, type Latency } from './harness/statistics.ts'
import { SteadyWrites, type SteadyResult } from './harness/steady-writes.ts'
import { Workspace } from './harness/workspace.ts'
import { startGrapevine, type GrapevineNode } from './peers/grapevine.ts'

const GRAPEVINE = resolve(import.meta.dirname, '../packages/cli/bin/grapevine.js')
/** What was asked for. `--connections` is of no use here, and so tells the rate in hundreds of writes a second. */
const WRITES_PER_SECOND_DEFAULT = 5_000
const HLC_DIGITS = 16

const settings = readSettings({ keys: 1_000_000, seconds: 15, connections: WRITES_PER_SECOND_DEFAULT / 100 })
const { keys, rounds, seconds, warmupSeconds, profile, directory } = settings
const writesPerSecond = settings.connections * 100

/** Versions that the node gave to writes of each key, as entity tags, which sort as versions do. */
const written = new Map<string, string[]>()
let latencies: number[] = []

function noteAnswer(request: Buffer, { head, status }: HttpAnswer, sinceDueMs: number): void {
  latencies.push(sinceDueMs)
  if (status !== 204) return
  const etag = /\r\netag: *"([^"]+)"/i.exec(head)?.[1]
  const key = request.toString('latin1', 0, 80).split(' ', 2)[1]?.split('/').at(-1)
  if (etag === undefined || key === undefined) throw new Error(`an answer without a version:\n${head}`)
  const versions = written.get(key)
  if (versions === undefined) written.set(key, [etag])
  else versions.push(etag)
}

interface Sample {
  readonly write: Latency
  readonly load: SteadyResult
  readonly snapshot: { readonly seconds: number; readonly bytes: number } | undefined
}

async function loaded<T>(node: GrapevineNode, during: () => Promise<T>): Promise<[Latency, SteadyResult, T]> {
  const request = (): Buffer => putRequest(keyName(Math.floor(Math.random() * keys)), newValue())
  await using writes = await SteadyWrites.start([node.port], writesPerSecond, request, noteAnswer)
  await sleep(warmupSeconds * 1000)
  latencies = []
  const result = await during()
  const write = latencyOf(Float64Array.from(latencies))
  return [write, await writes.stop(), result]
}

/** By the command itself, in a process of its own, as an operator does it. */
async function save(node: GrapevineNode, file: string): Promise<{ seconds: number; bytes: number }> {
  const startedMs = performance.now()
  const args = [GRAPEVINE, 'snapshot', 'save', file, '--endpoint', node.url]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  const code = await new Promise((ended) => child.once('exit', ended))
  if (code !== 0) throw new Error(`grapevine snapshot save ended with ${String(code)}`)
  return { seconds: (performance.now() - startedMs) / 1000, bytes: (await stat(file)).size }
}

/**
 * Compares a snapshot with all that was answered: of every key the last version up to the stated moment, and no later one.
 * Of a key that was not written meanwhile the version of its filling is not known here, and only has to be older than that.
 */
async function check(file: string): Promise<{ readonly root: string; readonly entries: number }> {
  let promise = ''
  let root = ''
  let entries = 0
  let isWhole = false
  const missing = new Set(written.keys())
  for await (const part of readSnapshot(createReadStream(file), systemHash)) {
    if (part.kind === 'manifest') {
      promise = hlcText(part.manifest.promise)
      root = Buffer.from(part.manifest.root, 'latin1').toString('hex')
    } else if (part.kind === 'end') isWhole = part.end.isWhole
    else if (part.kind === 'entries')
      for (const { address, version } of part.entries) {
        entries++
        const key = address.slice(BUCKET.length + 1)
        missing.delete(key)
        const found = etagOf(version)
        if (found.slice(0, HLC_DIGITS) > promise) throw new Error(`${key} is of after the stated moment`)
        const last = (written.get(key) ?? [])
          .filter((etag) => etag.slice(0, HLC_DIGITS) <= promise)
          .toSorted()
          .at(-1)
        // A write that was sent before the moment and answered after it is known here as well: all are answered by now.
        if (last !== undefined && last !== found)
          throw new Error(`${key} is ${found} and was ${last} at the stated moment`)
      }
  }
  if (!isWhole || missing.size > 0 || entries !== keys)
    throw new Error(`the snapshot lacks something: ${entries} entries`)
  return { root, entries }
}

/** Another node, another directory: what it has then must hash to what the snapshot says. */
async function open(file: string, inDirectory: string, root: string): Promise<number> {
  const startedMs = performance.now()
  await using node = await startGrapevine({ directory: inDirectory, flags: ['--restore', file] })
  const ready = (performance.now() - startedMs) / 1000
  const response = await fetch(`${node.url}/v1/admin/divergence`)
  const body: unknown = await response.json()
  if (!JSON.stringify(body).includes(root))
    throw new Error(`another node came to another root: ${JSON.stringify(body)}`)
  return ready
}

const report = new ScenarioReport(
  {
    scenario: 'b20-snapshot',
    title: `a snapshot of ${numberText(keys)} keys during ${numberText(writesPerSecond)} writes/s`,
    method: [
      `One node with ${numberText(keys)} keys of 16 B with 100 B values; ${numberText(writesPerSecond)} PUT/s at a fixed rate (open loop), random keys.`,
      'Alone: the load without anything else. Saving: while `grapevine snapshot save` runs, on the same machine, and checks all that it gets.',
      'Time of a PUT runs from when it was due, so that waiting for a connection counts.',
      'Each snapshot is compared with every answered write: of each key the last version up to the stated moment, none later.',
      'At the end another node begins from the last one (`--found --restore`), and must come to its root.',
    ],
  },
  settings,
)
await using workspace = await Workspace.make(directory)
await using node = await startGrapevine({ directory: join(workspace.path, 'node'), profile })
print(`  filling ${numberText(keys)} keys …\n`)
await fill(node.port, keys)
const file = join(workspace.path, 'bench.snapshot')
const reference = { root: '' }

async function alone(): Promise<Sample> {
  const [write, load] = await loaded(node, () => sleep(seconds * 1000))
  return { write, load, snapshot: undefined }
}

async function saving(): Promise<Sample> {
  const [write, load, snapshot] = await loaded(node, () => save(node, file))
  const checked = await check(file)
  reference.root = checked.root
  return { write, load, snapshot }
}

function show({ write, load, snapshot }: Sample): string {
  const saved = snapshot === undefined ? '' : `, saved in ${numberText(snapshot.seconds)} s`
  return `p50 ${numberText(write.p50)} ms, p99 ${numberText(write.p99)} ms, ${numberText(load.perSecond)} PUT/s, ${load.refused} refused${saved}`
}

const samples = await takeTurns(rounds, [
  { name: 'alone', measure: alone, show },
  { name: 'saving', measure: saving, show },
])
const [before = [], during = []] = [samples.get('alone'), samples.get('saving')]
const p99 = (of: readonly Sample[]): number[] => of.map(({ write }) => write.p99)
const snapshots = during.flatMap(({ snapshot }) => (snapshot === undefined ? [] : [snapshot]))
const opened = await open(file, join(workspace.path, 'elsewhere'), reference.root)
await rm(file)
report.add(
  figure('PUT p99, saving ÷ alone', '×', ratios(p99(during), p99(before)), { sense: 'at most', limit: 2 }),
  figure('alone: PUT p99', 'ms', p99(before)),
  figure('saving: PUT p99', 'ms', p99(during)),
  figure(
    'alone: PUT p50',
    'ms',
    before.map(({ write }) => write.p50),
  ),
  figure(
    'saving: PUT p50',
    'ms',
    during.map(({ write }) => write.p50),
  ),
  figure(
    'saving: writes answered',
    'PUT/s',
    during.map(({ load }) => load.perSecond),
    { sense: 'at least', limit: writesPerSecond * 0.99 },
  ),
  figure(
    'saving',
    's',
    snapshots.map((snapshot) => snapshot.seconds),
  ),
  figure(
    'snapshot',
    'MB',
    snapshots.map(({ bytes }) => bytes / 1e6),
  ),
  figure('snapshots that equal the stated moment', 'of all', [1], { sense: 'at least', limit: 1 }),
  figure('another node ready from it', 's', [opened]),
)
await report.finish()
