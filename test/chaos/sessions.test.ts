import { setTimeout as sleep } from 'node:timers/promises'
import { checkHistory, type HistoryEvent, type Violation } from '@grapevine/simulator'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PATIENCE } from '../support/condition.ts'
import { ProcessCluster } from '../support/process-cluster.ts'

/** P7 is shown with a hundred thousand by hand: OPERATIONS=100000 CLIENTS=192 (docs/promises.md). */
const OPERATIONS = Number(process.env['OPERATIONS'] ?? 3_000)
/** A tenth of it shows enough of what happens without tokens. */
const UNGUARDED = Math.max(1_500, Math.round(OPERATIONS / 10))
const CLIENTS = Number(process.env['CLIENTS'] ?? 12)
/** Few, so that clients meet. */
const KEYS = CLIENTS * 2
const ALL = ['n1', 'n2', 'n3']
const KILL_FIRST_MS = 500
const KILL_EVERY_MS = 6_000
const DOWN_MS = 1_000

let cluster: ProcessCluster

beforeAll(async () => {
  // What is purged is seen by nobody here, so nothing is.
  cluster = await ProcessCluster.start(3, ['--purge-interval', '1h'])
})
afterAll(() => cluster.close())

describe('clients that hop between three nodes, with rumors held up and nodes killed', () => {
  it(
    `are never shown less than their sessions have seen (${OPERATIONS} operations)`,
    async () => {
      const { events, answered, codes } = await hop(OPERATIONS, true)
      const violations = checkHistory(events, { diskIsSeen: false })
      const waits = await sum('grapevine_session_waits_total')
      console.log(
        `sessions: ${OPERATIONS} operations, ${answered} answered, ${violations.length} violations, ${waits} waits since the last kills;`,
        `not answered: ${JSON.stringify(codes)}`,
      )
      expect(violations).toEqual([])
      // Refusing everything would be no stale read either.
      expect(answered).toBeGreaterThan(OPERATIONS * 0.6)
      expect(waits).toBeGreaterThan(0)
    },
    (120_000 + OPERATIONS * 20) * PATIENCE,
  )

  it(
    `are shown stale values without tokens (${UNGUARDED} operations)`,
    async () => {
      const { events, answered } = await hop(UNGUARDED, false)
      const stale = checkHistory(events, { diskIsSeen: false }).filter(isOfSessions)
      console.log(`no sessions: ${UNGUARDED} operations, ${answered} answered, ${stale.at(-1)?.message}`)
      expect(stale.length).toBeGreaterThan(0)
    },
    (120_000 + UNGUARDED * 20) * PATIENCE,
  )
})

function isOfSessions({ checker }: Violation): boolean {
  return checker === 'session-guarantees'
}

interface Hopped {
  readonly events: readonly HistoryEvent[]
  readonly answered: number
  readonly codes: Readonly<Record<string, number>>
}

/** The same workload with and without tokens; the history calls all of it sessions. */
async function hop(operations: number, withTokens: boolean): Promise<Hopped> {
  const events: HistoryEvent[] = []
  const codes: Record<string, number> = {}
  const startedMs = performance.now()
  const atMs = (): number => performance.now() - startedMs
  const run = withTokens ? 's' : 'u'
  let answered = 0
  let op = 0

  async function client(number: number): Promise<void> {
    let token: string | null = null
    while (op < operations) {
      const [mine, node, key] = [++op, pick(ALL), `k${Math.floor(Math.random() * KEYS)}`]
      const lot = Math.random()
      const action = lot < 0.6 ? 'get' : lot < 0.93 ? 'put' : 'delete'
      const value = `${run}${mine}`
      const write = { ...(action === 'put' && { value }), ...(action !== 'get' && { w: 1 }) }
      events.push({
        ...{ type: 'invoke', atMs: atMs(), op: mine, client: `${run}${number}`, node, action, key, session: true },
        ...write,
      })
      const ended = await ask(node, action, `/v1/kv/${run}/${key}?timeout=2s`, value, withTokens ? token : null)
      if (ended.code === undefined) answered++
      else codes[ended.code] = (codes[ended.code] ?? 0) + 1
      token = ended.token ?? token
      const { outcome, code, version } = ended
      const said = {
        atMs: atMs(),
        op: mine,
        ...(code !== undefined && { code }),
        ...(version !== undefined && { version }),
      }
      if (action !== 'get') events.push({ type: 'written', ...said, outcome })
      else if (outcome === 'applied') events.push({ type: 'read', ...said, outcome: 'ok', value: ended.value ?? null })
      else events.push({ type: 'read', ...said, outcome: 'failed' })
    }
  }

  const clients = Promise.all(Array.from({ length: CLIENTS }, (_, number) => client(number)))
  let isOver = false
  const trouble = [holdUpRumors(() => isOver), kill(() => isOver)]
  await clients
  isOver = true
  await Promise.all(trouble)
  return { events, answered, codes }
}

interface Ended {
  readonly outcome: 'applied' | 'not-applied' | 'unknown'
  readonly code?: string
  readonly version?: string
  readonly value?: string | null
  readonly token?: string | null
}

async function ask(
  node: string,
  action: 'get' | 'put' | 'delete',
  path: string,
  value: string,
  token: string | null,
): Promise<Ended> {
  try {
    const response = await fetch(cluster.url(node, path), {
      method: action.toUpperCase(),
      headers: token === null ? {} : { 'grapevine-session': token },
      ...(action === 'put' && { body: value }),
      signal: AbortSignal.timeout(5_000),
    })
    const body = await response.text()
    const version = response.headers.get('etag')?.replaceAll('"', '')
    const seen = { ...(version !== undefined && { version }), token: response.headers.get('grapevine-session') }
    if (response.status === 200) return { outcome: 'applied', ...seen, value: body }
    if (response.status === 204 || response.status === 404) return { outcome: 'applied', ...seen, value: null }
    const problem = JSON.parse(body) as { code: string; outcome?: 'not-applied' | 'unknown' }
    return { outcome: problem.outcome ?? 'not-applied', code: problem.code }
  } catch (error) {
    const isRefused = error instanceof TypeError && String(error.cause).includes('ECONNREFUSED')
    // A dead node refuses at once; without a pause its clients would spend the run on it.
    await sleep(100)
    return { outcome: isRefused ? 'not-applied' : 'unknown', code: isRefused ? 'refused' : 'broken' }
  }
}

/** What is written on a node whose rumors are held up goes to the others with their next pulls. */
async function holdUpRumors(isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    const name = pick(ALL)
    await tell(name, 'pause')
    await sleep(600)
    await tell(name, 'resume')
    await sleep(200)
  }
}

async function kill(isOver: () => boolean): Promise<void> {
  for (let round = 0; !isOver(); round++) {
    // A short run is to have at least one.
    await sleep(round === 0 ? KILL_FIRST_MS : KILL_EVERY_MS)
    if (isOver()) return
    const victim = ALL[round % ALL.length] ?? 'n1'
    await cluster.end(victim, 'SIGKILL')
    await sleep(DOWN_MS)
    await cluster.restart(victim)
  }
}

/** Whoever was killed meanwhile is told nothing. */
async function tell(name: string, what: 'pause' | 'resume'): Promise<void> {
  await cluster.post(name, `/v1/admin/${what}`, { what: 'rumors' }).catch(() => {})
}

async function sum(metric: string): Promise<number> {
  const counts = await Promise.all(ALL.map((name) => cluster.metric(name, metric)))
  return counts.reduce((total, count) => total + count, 0)
}

function pick(names: readonly string[]): string {
  return names[Math.floor(Math.random() * names.length)] ?? 'n1'
}
