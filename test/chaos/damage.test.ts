import { cp, readdir, readFile, rm, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/condition.ts'
import { ProcessCluster } from '../support/process-cluster.ts'

/** A hundred by hand: FLIPS=100 (docs/promises.md). */
const FLIPS = Number(process.env['FLIPS'] ?? 3)
const KEYS = 300
let cluster: ProcessCluster
let pristine: string

beforeAll(async () => {
  cluster = await ProcessCluster.start(2, ['--write-buffer-size', '1MiB'])
  for (let key = 0; key < KEYS; key++)
    await fetch(cluster.url('n1', `/v1/kv/b/k${key}?w=all`), { method: 'PUT', body: valueOf(key) })
  // The next start turns LevelDB's log into a table.
  for (let start = 0; start < 2; start++) {
    for (const name of ['n1', 'n2']) await cluster.end(name, 'SIGTERM')
    if (start > 0) break
    for (const name of ['n1', 'n2']) await cluster.launch(name)
    await cluster.untilReady()
  }
  pristine = join(cluster.directory, 'pristine')
  for (const name of ['n1', 'n2']) await cp(cluster.node(name).dataDir, join(pristine, name), { recursive: true })
})
afterAll(() => cluster.close())

/** Starts the node on what is in its directory. Returns its exit code when it refuses, undefined when it is ready. */
async function startOnce(): Promise<number | undefined> {
  const child = await cluster.launch('n1')
  const code = await eventually('the node is ready or has given up', async () => {
    if (child.exitCode !== null) return { code: child.exitCode }
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
  const seen: Seen[] = []
  for (let key = 0; key < KEYS; key++) {
    const response = await fetch(cluster.url(name, `/v1/kv/b/k${key}`))
    const body = await response.text()
    if (response.status === 200) expect(body).toBe(valueOf(key))
    else if (response.status !== 404)
      expect([response.status, JSON.parse(body)]).toMatchObject([500, { code: 'io_error' }])
    seen.push(response.status === 200 ? 'right' : response.status === 404 ? 'absent' : 'unreadable')
  }
  return seen
}

interface Scrubbed {
  readonly running: boolean
  readonly corrupt: number
  readonly hidden: number
  readonly healed: number
  readonly suspectLeaves: number
}

async function scrub(name: string): Promise<Scrubbed> {
  await cluster.post(name, '/v1/admin/scrub')
  return eventually('the scrub is done', async () => {
    const report = (await (await fetch(cluster.url(name, '/v1/admin/scrub'))).json()) as Scrubbed
    return !report.running && report
  })
}

describe('a flipped bit in a table', () => {
  it(
    `never becomes a wrong value, and what it damaged comes back from the other node (${FLIPS} flips)`,
    async () => {
      const noticed = { refused: 0, corrupt: 0, healed: 0, hidden: 0, suspect: 0, harmless: 0 }
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
        await cluster.launch('n2')
        if ((await startOnce()) !== undefined) {
          noticed.refused++
          await cluster.end('n2', 'SIGTERM')
          continue
        }
        await cluster.untilReady(['n2'])
        const before = await readAll('n1')
        const found = await scrub('n1')
        const after = await readAll('n1')
        // What is lost for good is known to be lost: its leaf is suspect.
        const lost = after.filter((seen) => seen !== 'right').length
        if (found.suspectLeaves === 0) expect(lost).toBe(0)
        expect(await readAll('n2')).toEqual(after.map(() => 'right'))
        // A read that met damage and was answered by the other node has healed it before the scrub came.
        const healed = await cluster.metric('n1', 'grapevine_healed_entries_total')
        const corrupt = await cluster.metric('n1', 'grapevine_corrupt_entries_total')
        const hidden = await cluster.metric('n1', 'grapevine_hidden_entries_total')
        if (before.includes('unreadable')) expect(corrupt).toBeGreaterThan(0)
        if (before.includes('absent')) expect(hidden + found.suspectLeaves).toBeGreaterThan(0)
        noticed.healed += healed
        noticed.corrupt += corrupt
        noticed.hidden += hidden
        noticed.suspect += found.suspectLeaves
        if (corrupt + hidden + found.suspectLeaves === 0) noticed.harmless++
        await cluster.end('n1', 'SIGTERM')
        await cluster.end('n2', 'SIGTERM')
      }
      console.log(`${FLIPS} flips: ${JSON.stringify(noticed)}`)
      expect(noticed.corrupt + noticed.hidden + noticed.suspect + noticed.refused).toBeGreaterThan(0)
      expect(noticed.healed).toBeGreaterThan(0)
    },
    60_000 + FLIPS * 20_000,
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
