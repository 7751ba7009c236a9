import { cp, readdir, readFile, rm, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually, PATIENCE } from '../support/condition.ts'
import { ProcessCluster } from '../support/process-cluster.ts'

/** A hundred by hand: FLIPS=100 (docs/promises.md). */
const FLIPS = Number(process.env['FLIPS'] ?? 3)
const KEYS = 300
const AT_A_TIME = 20
let cluster: ProcessCluster
let pristine: string

beforeAll(async () => {
  cluster = await ProcessCluster.start(2, ['--write-buffer-size', '1MiB'])
  const put = (key: number): Promise<Response> =>
    fetch(cluster.url('n1', `/v1/kv/b/k${key}?w=all`), { method: 'PUT', body: valueOf(key) })
  for (let key = 0; key < KEYS; key += AT_A_TIME)
    await Promise.all(Array.from({ length: AT_A_TIME }, (_, index) => put(key + index)))
  // The next start turns LevelDB's log into a table.
  for (let start = 0; start < 2; start++) {
    for (const name of ['n1', 'n2']) await cluster.end(name, 'SIGTERM')
    if (start > 0) break
    for (const name of ['n1', 'n2']) await cluster.launch(name)
    await cluster.untilReady()
  }
  pristine = join(cluster.directory, 'pristine')
  for (const name of ['n1', 'n2']) await cp(cluster.node(name).dataDir, join(pristine, name), { recursive: true })
}, 120_000 * PATIENCE)
afterAll(() => cluster.close())

/** Starts the node on what is in its directory. Returns its exit code when it refuses, undefined when it is ready. */
async function startOnce(): Promise<number | 'aborted' | undefined> {
  const child = await cluster.launch('n1')
  const code = await eventually('the node is ready or has given up', async () => {
    if (child.exitCode !== null) return { code: child.exitCode }
    if (child.signalCode === 'SIGABRT') return { code: 'aborted' as const }
    const ready = await fetch(cluster.url('n1', '/readyz')).catch(() => undefined)
    return ready?.status === 200 && { code: undefined }
  })
  if (code.code !== undefined) cluster.node('n1').process = undefined
  return code.code
}

/** Both nodes as they were: one alone would be a node that was rolled back. */
async function restore(): Promise<void> {
  for (const name of ['n1', 'n2']) {
    const { dataDir } = cluster.node(name)
    await rm(dataDir, { recursive: true, force: true })
    await cp(join(pristine, name), dataDir, { recursive: true })
  }
}

type Seen = 'right' | 'absent' | 'unreadable'

/** What a client is told of each key, which must never be a wrong value. */
async function readAll(name: string): Promise<Seen[]> {
  const read = async (key: number): Promise<Seen> => {
    const response = await fetch(cluster.url(name, `/v1/kv/b/k${key}`))
    const body = await response.text()
    if (response.status === 200) expect(body).toBe(valueOf(key))
    else if (response.status !== 404)
      expect([response.status, JSON.parse(body)]).toMatchObject([500, { code: 'io_error' }])
    return response.status === 200 ? 'right' : response.status === 404 ? 'absent' : 'unreadable'
  }
  const seen: Seen[] = []
  for (let key = 0; key < KEYS; key += AT_A_TIME)
    seen.push(...(await Promise.all(Array.from({ length: AT_A_TIME }, (_, index) => read(key + index)))))
  return seen
}

/** LevelDB has assertions of its own, which a flipped bit in the length of a key does not hold to: then the process ends, loudly. */
async function hasAborted(): Promise<boolean> {
  const { process, logFile } = cluster.node('n1')
  return process?.signalCode === 'SIGABRT' && (await readFile(logFile, 'utf8')).includes('Assertion')
}

/** What an operator does then. */
async function rebuilt(): Promise<void> {
  cluster.node('n1').process = undefined
  await cluster.launch('n1', ['--rebuild'])
  await cluster.untilReady()
  for (const name of ['n1', 'n2']) expect(await readAll(name)).toEqual(Array.from({ length: KEYS }, () => 'right'))
  await Promise.all(['n1', 'n2'].map((name) => cluster.end(name, 'SIGTERM')))
}

interface Scrubbed {
  readonly running: boolean
  readonly corrupt: number
  readonly hidden: number
  readonly healed: number
  readonly cleared: number
  readonly orphanedIndexRows: number
  readonly reindexed: number
  readonly mendedLeaves: number
  readonly suspectLeaves: number
  readonly undecided: readonly unknown[]
}

async function scrub(name: string): Promise<Scrubbed> {
  await cluster.post(name, '/v1/admin/scrub')
  return eventually('the scrub is done', async () => {
    const report = (await (await fetch(cluster.url(name, '/v1/admin/scrub'))).json()) as Scrubbed
    return !report.running && report
  })
}

/** What a list tells: that it is complete, and how many keys it names. */
async function listed(name: string): Promise<{ complete: boolean; keys: number }> {
  const response = await fetch(cluster.url(name, '/v1/kv/b?limit=1000'))
  const { items, complete } = (await response.json()) as { items: readonly unknown[]; complete: boolean }
  return { complete, keys: items.length }
}

/** What a client sees before and after a scrub by hand, and what was counted. Afterwards nothing may be missing. */
async function readScrubReadAgain() {
  const before = await readAll('n1')
  const found = await scrub('n1')
  expect(await readAll('n1')).toEqual(before.map(() => 'right'))
  expect(await readAll('n2')).toEqual(before.map(() => 'right'))
  expect(await listed('n1')).toEqual({ complete: true, keys: KEYS })
  expect(found).toMatchObject({ suspectLeaves: 0, undecided: [] })
  const nothing = { corrupt: 0, hidden: 0, orphanedIndexRows: 0, reindexed: 0, mendedLeaves: 0, suspectLeaves: 0 }
  expect(await scrub('n1')).toMatchObject(nothing)
  // A read that met damage and was answered by the other node has healed it before the scrub came.
  const healed = await cluster.metric('n1', 'grapevine_healed_entries_total')
  const corrupt = await cluster.metric('n1', 'grapevine_corrupt_entries_total')
  const hidden = await cluster.metric('n1', 'grapevine_hidden_entries_total')
  if (before.includes('unreadable')) expect(corrupt).toBeGreaterThan(0)
  if (before.includes('absent')) expect(hidden).toBeGreaterThan(0)
  // A bit in the key of a row hides its entry, and makes a row of a key that never was.
  expect(found.cleared).toBeLessThanOrEqual(hidden)
  const indexRows = found.orphanedIndexRows + found.reindexed
  return {
    healed,
    corrupt,
    hidden,
    indexRows,
    mendedLeaves: found.mendedLeaves,
    unreadable: before.filter((seen) => seen === 'unreadable').length,
    absent: before.filter((seen) => seen === 'absent').length,
    harmless: corrupt + hidden + indexRows === 0 ? 1 : 0,
  }
}

describe('a flipped bit in a table', () => {
  it(
    `never becomes a wrong value, and all that it damaged or hid comes back from the other node (${FLIPS} flips)`,
    async () => {
      const noticed = {
        refused: 0,
        aborted: 0,
        harmless: 0,
        unreadable: 0,
        absent: 0,
        corrupt: 0,
        hidden: 0,
        healed: 0,
        indexRows: 0,
        mendedLeaves: 0,
      }
      const wrong: unknown[] = []
      for (let flip = 0; flip < FLIPS; flip++) {
        await restore()
        const directory = join(cluster.node('n1').dataDir, 'db')
        const tables = (await readdir(directory)).filter((name) => name.endsWith('.ldb')).toSorted()
        const table = join(directory, tables[flip % tables.length] ?? '')
        const bytes = await readFile(table)
        // Spread over the file, the same each time.
        const at = Math.floor(((flip * 0.618_033_988_7) % 1) * bytes.length)
        bytes[at] = (bytes[at] ?? 0) ^ (1 << (flip & 7))
        await writeFile(table, bytes)
        const [code] = await Promise.all([startOnce(), cluster.launch('n2')])
        if (code === 'aborted') {
          noticed.aborted++
          await cluster.untilReady(['n2'])
          await rebuilt()
          continue
        }
        if (code !== undefined) {
          noticed.refused++
          await cluster.end('n2', 'SIGTERM')
          continue
        }
        try {
          await cluster.untilReady(['n2'])
          const seen = await readScrubReadAgain()
          for (const [name, count] of Object.entries(seen)) noticed[name as keyof typeof seen] += count
        } catch (error) {
          if (await hasAborted()) {
            noticed.aborted++
            await rebuilt()
            continue
          }
          // All of them are looked at before the verdict.
          const what = `flip ${flip}, bit ${flip & 7} of byte ${at} of ${table}: ${String(error)}`
          console.log(what)
          wrong.push(new Error(what, { cause: error }))
        }
        await Promise.all(['n1', 'n2'].map((name) => cluster.end(name, 'SIGTERM')))
        if (flip % 10 === 9) console.log(`${flip + 1} flips: ${JSON.stringify(noticed)}, wrong: ${wrong.length}`)
      }
      console.log(`${FLIPS} flips: ${JSON.stringify(noticed)}`)
      if (wrong.length > 0) throw new AggregateError(wrong, wrong.map(String).join('\n'))
      expect(noticed.corrupt + noticed.hidden + noticed.indexRows + noticed.refused).toBeGreaterThan(0)
      expect(noticed.healed).toBeGreaterThan(0)
    },
    (60_000 + FLIPS * 20_000) * PATIENCE,
  )
})

describe('a directory whose data is gone', () => {
  it.each(['CURRENT', 'MANIFEST', '.ldb'])('is refused with what to do when its %s is missing', async (part) => {
    await restore()
    const directory = join(cluster.node('n1').dataDir, 'db')
    const gone = (await readdir(directory)).find((name) => name.startsWith(part) || name.endsWith(part))
    await unlink(join(directory, gone ?? ''))
    expect(await startOnce()).toBe(1)
    const log = await readFile(cluster.node('n1').logFile, 'utf8')
    expect(log.slice(log.lastIndexOf('grapevine: '))).toContain('--rebuild')
  })
})

describe('a directory that another process has', () => {
  it('is refused at once, and the first process goes on', async () => {
    await restore()
    expect(await startOnce()).toBeUndefined()
    const first = cluster.node('n1').process
    const ports = { ...cluster.node('n1') }
    await cluster.moveAll()
    const second = await cluster.launch('n1')
    await eventually('the second process has given up', () => second.exitCode !== null)
    // Its own exit code, so that nobody starts it again and again.
    expect(second.exitCode).toBe(7)
    const log = await readFile(cluster.node('n1').logFile, 'utf8')
    expect(log.slice(log.lastIndexOf('grapevine: '))).toContain('--data-dir')
    Object.assign(cluster.node('n1'), { clientPort: ports.clientPort, peerPort: ports.peerPort, process: first })
    expect((await fetch(cluster.url('n1', '/v1/kv/b/k1'))).status).toBe(200)
  })
})

/** Text that does not compress away, so that there are tables to damage. */
function valueOf(key: number): string {
  return Array.from({ length: 60 }, (_, part) => ((key * 7_919 + part * 104_729) % 1_000_003).toString(36)).join('-')
}
