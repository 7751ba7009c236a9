import { join } from 'node:path'
import { ifAvailable } from '../peers/available.ts'
import type { Subject } from '../peers/subject.ts'
import type { Load } from './load.ts'
import { measureServer, type ServerSample } from './measure-server.ts'
import { figure, numberText, ScenarioReport, type Target } from './results.ts'
import { ratios, takeTurns } from './rounds.ts'
import type { Settings } from './settings.ts'
import { Workspace } from './workspace.ts'

export type Workload = Pick<Load, 'request' | 'reader' | 'answersPerRequest'>

export interface Entrant {
  /** By which `--without` leaves it out. */
  readonly id: string
  readonly start: (directory: string) => Promise<Subject>
  readonly load: Workload
  /** Called once, before the first turn. */
  readonly prepare?: (subject: Subject) => Promise<void>
  /** What is counted in one request, 1 unless said otherwise. */
  readonly perRequest?: number
  /** What its requests are kept open by, if not by as many connections as all. */
  readonly connections?: number
}

export interface Rival extends Entrant {
  /** How much of this one's rate ours should reach. */
  readonly target?: Target
}

export interface Comparison {
  readonly scenario: string
  readonly title: string
  readonly method: readonly string[]
  /** What is counted: `PUT`. */
  readonly counted: string
  readonly settings: Settings
  readonly product: Entrant
  readonly rivals: readonly Rival[]
  readonly rateTarget?: Target
  readonly p99Target?: Target
}

interface Running {
  readonly entrant: Rival
  readonly subject: Subject
}

/** Starts all servers, gives them load in turns, and reports ours, theirs, and ours as a share of theirs. */
export async function compareServers(comparison: Comparison): Promise<void> {
  const { settings, counted, product, rivals } = comparison
  const report = new ScenarioReport(comparison, settings)
  await using workspace = await Workspace.make(settings.directory)
  await using running = new AsyncDisposableStack()

  const servers: Running[] = []
  for (const entrant of [product, ...rivals.filter(({ id }) => !settings.without.includes(id))]) {
    const subject = await ifAvailable(() => entrant.start(join(workspace.path, entrant.id)), report)
    if (subject === undefined) continue
    running.use(subject)
    await entrant.prepare?.(subject)
    servers.push({ entrant, subject })
  }

  const samples = await takeTurns(
    settings.rounds,
    servers.map(({ entrant, subject }) => ({
      name: subject.name,
      measure: () => measureServer(subject, { ...settings, ...entrant, ...entrant.load }),
      show: showSample(counted, entrant.perRequest ?? 1),
    })),
  )

  const [ours, ...others] = servers
  if (ours === undefined) throw new Error('nothing was measured')
  const mine = ratesOf(ours, samples)
  for (const other of others)
    report.add(
      figure(
        `${ours.subject.name} ÷ ${other.subject.name}`,
        '×',
        ratios(mine, ratesOf(other, samples)),
        other.entrant.target,
      ),
    )
  for (const server of servers) report.add(...figuresOf(server, samples, comparison, server === ours))
  const busiest = Math.max(...[...samples.values()].flat().map(({ generatorCpu }) => generatorCpu))
  if (busiest > 0.9)
    report.remark(
      `the load generator used up to ${numberText(busiest * 100)} % of a core: the fastest server may have been faster`,
    )
  await report.finish()
}

function showSample(counted: string, perRequest: number): (sample: ServerSample) => string {
  return ({ perSecond, latency, serverCpuUs, generatorCpu }) =>
    [
      `${numberText(perSecond * perRequest)} ${counted}/s`,
      `p50 ${numberText(latency.p50)} ms`,
      `p99 ${numberText(latency.p99)} ms`,
      `server ${numberText(serverCpuUs / perRequest)} µs CPU`,
      `generator ${numberText(generatorCpu * 100)} %`,
    ].join(', ')
}

type Samples = ReadonlyMap<string, readonly ServerSample[]>

function ratesOf({ entrant, subject }: Running, samples: Samples): number[] {
  return (samples.get(subject.name) ?? []).map(({ perSecond }) => perSecond * (entrant.perRequest ?? 1))
}

function figuresOf(
  server: Running,
  samples: Samples,
  { counted, rateTarget, p99Target }: Comparison,
  isProduct: boolean,
) {
  const { entrant, subject } = server
  const { perRequest = 1 } = entrant
  const taken = samples.get(subject.name) ?? []
  const p99 = taken.map(({ latency }) => latency.p99)
  const cpu = taken.map(({ serverCpuUs }) => serverCpuUs / perRequest)
  return [
    figure(subject.name, `${counted}/s`, ratesOf(server, samples), isProduct ? rateTarget : undefined),
    figure(`${subject.name}, p99`, 'ms', p99, isProduct ? p99Target : undefined),
    figure(`${subject.name}, CPU`, `µs/${counted}`, cpu),
  ]
}
