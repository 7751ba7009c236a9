// B16: how long until a write can be read from every one of three nodes, idle and under load.
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ProbeConnection } from './harness/probe-connection.ts'
import { anyOf, getRequest, keyName, newValue, putRequest } from './harness/requests.ts'
import { figure, numberText, print, ScenarioReport } from './harness/results.ts'
import { takeTurns } from './harness/rounds.ts'
import { readSettings } from './harness/settings.ts'
import { latencyOf, type Latency } from './harness/statistics.ts'
import { SteadyWrites, type SteadyResult } from './harness/steady-writes.ts'
import { Workspace } from './harness/workspace.ts'
import { startCluster, type GrapevineNode } from './peers/grapevine.ts'

const NODES = 3
const WRITES_PER_SECOND = 5_000
/** Beside 5,000 writes these are few. */
const PROBE_EVERY_MS = 10
/** After a load, so that rumors, compactions and garbage of it are not taken for what an idle node does. */
const REST_SECONDS = 5
/** About what a write adds to the log of LevelDB. */
const SYNCED = Buffer.alloc(512)

const settings = readSettings({ seconds: 10, keys: 20_000 })
const { rounds, seconds, warmupSeconds, keys, profile } = settings

interface Sample {
  readonly probes: number
  /** From sending a PUT that waits for all nodes until its answer. */
  readonly visible: Latency
  /** From sending a PUT that waits for the node itself until its answer. */
  readonly acknowledged: Latency
  /** What one sync of a few hundred bytes takes in the same seconds on the same disk, without any node. */
  readonly sync: Latency
  readonly load: SteadyResult | undefined
}

class Prober {
  readonly #nodes: readonly GrapevineNode[]
  /** Beside the nodes' directories. */
  readonly #file: string
  #next = 0

  constructor(nodes: readonly GrapevineNode[], file: string) {
    this.#nodes = nodes
    this.#file = file
  }

  async measure(forSeconds: number): Promise<Omit<Sample, 'load'>> {
    const endMs = performance.now() + forSeconds * 1000
    const visible: number[] = []
    const acknowledged: number[] = []
    const synced: number[] = []
    await using file = await open(this.#file, 'w')
    const connections = await Promise.all(this.#nodes.map(({ port }) => ProbeConnection.open(port)))
    try {
      while (performance.now() < endMs) {
        visible.push(await this.#probe(connections, 'all'))
        await this.#pause()
        acknowledged.push(await this.#probe(connections, 1))
        await this.#pause()
        synced.push(await timed(() => file.write(SYNCED).then(() => file.datasync())))
        await this.#pause()
      }
    } finally {
      for (const connection of connections) connection[Symbol.dispose]()
    }
    return {
      probes: visible.length,
      visible: latencyOf(Float64Array.from(visible)),
      acknowledged: latencyOf(Float64Array.from(acknowledged)),
      sync: latencyOf(Float64Array.from(synced)),
    }
  }

  /** Not in step with anything that the nodes do at a fixed interval. */
  #pause(): Promise<void> {
    return sleep(PROBE_EVERY_MS * (0.5 + Math.random()))
  }

  /** Writes to one node, another one each time. When all have it by the answer, each of them must show it. */
  async #probe(connections: readonly ProbeConnection[], w: 1 | 'all'): Promise<number> {
    const key = `probe-${this.#next}`
    const connection = connections[this.#next++ % connections.length]!
    const tookMs = await timed(async () => {
      const { status } = await connection.ask(putRequest(`${key}?w=${w}`, newValue()))
      if (status !== 204) throw new Error(`a probe was answered with ${status}`)
    })
    if (w === 'all') {
      const answers = await Promise.all(connections.map((each) => each.ask(getRequest(key))))
      if (answers.some((answer) => answer.status !== 200)) throw new Error(`${key} is not on all nodes`)
    }
    return tookMs
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now()
  await work()
  return performance.now() - startedMs
}

const report = new ScenarioReport(
  {
    scenario: 'b16-visibility',
    title: `a write is visible on all of ${NODES} nodes`,
    method: [
      `${NODES} nodes on one machine. A PUT with w=all to one of them, another one each time; then each node is read, and has to show it.`,
      `Time runs from sending the PUT to its answer: fsync, replication, the fsyncs of the others, and the way back.`,
      `Sync: a write of 512 B and fdatasync by the benchmark itself, in turn with the others: what the disk takes by itself.`,
      `Acknowledged: the same with w=1, in turn. Idle begins ${REST_SECONDS} s after the load.`,
      `Load: ${WRITES_PER_SECOND} PUT/s at a fixed rate (open loop), spread over the nodes, random keys out of ${keys}.`,
    ],
  },
  settings,
)
await using workspace = await Workspace.make(settings.directory)
await using running = new AsyncDisposableStack()
const nodes = await startCluster(NODES, { directory: workspace.path, profile })
for (const node of nodes) running.use(node)
const prober = new Prober(nodes, join(workspace.path, 'sync'))
const request = anyOf(Array.from({ length: keys }, (_, index) => putRequest(keyName(index), newValue())))

async function idle(): Promise<Sample> {
  await sleep(REST_SECONDS * 1000)
  return { ...(await prober.measure(seconds)), load: undefined }
}

async function loaded(): Promise<Sample> {
  await using writes = await SteadyWrites.start(
    nodes.map(({ port }) => port),
    WRITES_PER_SECOND,
    request,
  )
  await sleep(warmupSeconds * 1000)
  const sample = await prober.measure(seconds)
  return { ...sample, load: await writes.stop() }
}

function show({ probes, visible, acknowledged, sync, load }: Sample): string {
  const rate = load === undefined ? '' : `, ${numberText(load.perSecond)} PUT/s, ${load.refused} refused`
  return `p50 ${numberText(visible.p50)} ms, p99 ${numberText(visible.p99)} ms, max ${numberText(visible.max)} ms, acknowledged p99 ${numberText(acknowledged.p99)} ms, one sync p99 ${numberText(sync.p99)} ms (${probes} probes${rate})`
}

const samples = await takeTurns(rounds, [
  { name: 'idle', measure: idle, show },
  { name: 'loaded', measure: loaded, show },
])
for (const [name, limit] of [
  ['idle', 10],
  ['loaded', 50],
] as const) {
  const taken = samples.get(name) ?? []
  report.add(
    figure(
      `${name}: visible on all nodes, p99`,
      'ms',
      taken.map(({ visible }) => visible.p99),
      { sense: 'at most', limit },
    ),
    figure(
      `${name}: visible on all nodes, p50`,
      'ms',
      taken.map(({ visible }) => visible.p50),
    ),
    figure(
      `${name}: acknowledged, p99`,
      'ms',
      taken.map(({ acknowledged }) => acknowledged.p99),
    ),
    figure(
      `${name}: one sync of the disk, p99`,
      'ms',
      taken.map(({ sync }) => sync.p99),
    ),
  )
}
const loads = (samples.get('loaded') ?? []).flatMap(({ load }) => (load === undefined ? [] : [load]))
report.add(
  figure(
    'loaded: writes answered',
    'PUT/s',
    loads.map(({ perSecond }) => perSecond),
    { sense: 'at least', limit: WRITES_PER_SECOND * 0.99 },
  ),
)
const refused = loads.reduce((sum, load) => sum + load.refused, 0)
const overdue = loads.reduce((sum, load) => sum + load.overdue, 0)
if (refused + overdue > 0)
  report.remark(`${refused} writes of the load were refused, ${Math.round(overdue)} were never sent`)
print('')
await report.finish()
