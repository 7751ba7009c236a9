// B16: how long until a write can be read from every one of three nodes, idle and under load.
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
/** How closely each node is watched for a probe: what is reported is later than the truth by up to this, and a read. */
const POLL_MS = 1
/** Beside 5,000 writes these are few. */
const PROBE_EVERY_MS = 20
const VISIBLE_MS_MAX = 10_000

const settings = readSettings({ seconds: 10, keys: 20_000 })
const { rounds, seconds, warmupSeconds, keys, profile } = settings

interface Sample {
  readonly probes: number
  /** From sending the PUT until the last node has answered with the value. */
  readonly visible: Latency
  /** From sending the PUT until its answer. */
  readonly acknowledged: Latency
  readonly load: SteadyResult | undefined
}

class Prober {
  readonly #nodes: readonly GrapevineNode[]
  #next = 0

  constructor(nodes: readonly GrapevineNode[]) {
    this.#nodes = nodes
  }

  async measure(forSeconds: number): Promise<Omit<Sample, 'load'>> {
    const endMs = performance.now() + forSeconds * 1000
    const visible: number[] = []
    const acknowledged: number[] = []
    const connections = await Promise.all(this.#nodes.map(({ port }) => ProbeConnection.open(port)))
    try {
      while (performance.now() < endMs) {
        const probe = await this.#probe(connections)
        visible.push(probe.visibleMs)
        acknowledged.push(probe.acknowledgedMs)
        // Not in step with anything that the nodes do at a fixed interval.
        await sleep(PROBE_EVERY_MS * (0.5 + Math.random()))
      }
    } finally {
      for (const connection of connections) connection[Symbol.dispose]()
    }
    return {
      probes: visible.length,
      visible: latencyOf(Float64Array.from(visible)),
      acknowledged: latencyOf(Float64Array.from(acknowledged)),
    }
  }

  /** Writes to one node, another one each time, and watches all. */
  async #probe(connections: readonly ProbeConnection[]): Promise<{ visibleMs: number; acknowledgedMs: number }> {
    const key = `probe-${this.#next}`
    const writer = this.#next++ % connections.length
    const get = getRequest(key)
    const startedMs = performance.now()
    const seen = await Promise.all(
      connections.map(async (connection, index) => {
        if (index === writer) {
          const { status } = await connection.ask(putRequest(key, newValue()))
          if (status !== 204) throw new Error(`a probe was answered with ${status}`)
          return performance.now()
        }
        for (;;) {
          const { status } = await connection.ask(get)
          const nowMs = performance.now()
          if (status === 200) return nowMs
          if (status !== 404) throw new Error(`a probe was answered with ${status}`)
          if (nowMs - startedMs > VISIBLE_MS_MAX) throw new Error(`${key} is not everywhere after ${VISIBLE_MS_MAX} ms`)
          await sleep(POLL_MS)
        }
      }),
    )
    return { visibleMs: Math.max(...seen) - startedMs, acknowledgedMs: (seen[writer] ?? NaN) - startedMs }
  }
}

const report = new ScenarioReport(
  {
    scenario: 'b16-visibility',
    title: `a write is visible on all of ${NODES} nodes`,
    method: [
      `${NODES} nodes on one machine. A PUT to one of them; the others are asked every ${POLL_MS} ms until they have it.`,
      `Time runs from sending the PUT to the last answer, so it includes the fsync, the replication and the polling.`,
      `Load: ${WRITES_PER_SECOND} PUT/s at a fixed rate (open loop), spread over the nodes, random keys out of ${keys}.`,
    ],
  },
  settings,
)
await using workspace = await Workspace.make(settings.directory)
await using running = new AsyncDisposableStack()
const nodes = await startCluster(NODES, { directory: workspace.path, profile })
for (const node of nodes) running.use(node)
const prober = new Prober(nodes)
const request = anyOf(Array.from({ length: keys }, (_, index) => putRequest(keyName(index), newValue())))

async function idle(): Promise<Sample> {
  await sleep(warmupSeconds * 1000)
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

function show({ probes, visible, acknowledged, load }: Sample): string {
  const rate = load === undefined ? '' : `, ${numberText(load.perSecond)} PUT/s, ${load.refused} refused`
  return `p50 ${numberText(visible.p50)} ms, p99 ${numberText(visible.p99)} ms, max ${numberText(visible.max)} ms, acknowledged p99 ${numberText(acknowledged.p99)} ms (${probes} probes${rate})`
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
