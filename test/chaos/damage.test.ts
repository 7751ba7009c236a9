import { cp, readdir, readFile, rm, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/condition.ts'
import { ProcessCluster } from '../support/process-cluster.ts'

/** A hundred by hand: FLIPS=100 (docs/promises.md). */
const FLIPS = Number(process.env['FLIPS'] ?? 8)
const KEYS = 300
let cluster: ProcessCluster
let pristine: string

beforeAll(async () => {
  cluster = await ProcessCluster.start(1, ['--write-buffer-size', '1MiB'])
  for (let key = 0; key < KEYS; key++)
    await fetch(cluster.url('n1', `/v1/kv/b/k${key}`), { method: 'PUT', body: valueOf(key) })
  // The next start turns LevelDB's log into a table.
  await cluster.end('n1', 'SIGTERM')
  await cluster.restart('n1')
  await cluster.end('n1', 'SIGTERM')
  pristine = join(cluster.directory, 'pristine')
  await cp(cluster.node('n1').dataDir, pristine, { recursive: true })
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

async function restore(): Promise<void> {
  const { dataDir } = cluster.node('n1')
  await rm(dataDir, { recursive: true, force: true })
  await cp(pristine, dataDir, { recursive: true })
}

describe('a flipped bit in a table', () => {
  it(
    `never becomes a wrong value (${FLIPS} flips)`,
    async () => {
      const noticed = { right: 0, corrupt: 0, hidden: 0, refused: 0 }
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
        if ((await startOnce()) !== undefined) {
          noticed.refused++
          continue
        }
        for (let key = 0; key < KEYS; key++) {
          const response = await fetch(cluster.url('n1', `/v1/kv/b/k${key}`))
          const body = await response.text()
          if (response.status === 200) {
            expect(body).toBe(valueOf(key))
            noticed.right++
          } else if (response.status === 404) noticed.hidden++
          else {
            expect([response.status, JSON.parse(body)]).toMatchObject([500, { code: 'io_error' }])
            noticed.corrupt++
          }
        }
        await cluster.end('n1', 'SIGTERM')
      }
      expect(noticed.right).toBeGreaterThan(0)
      expect(noticed.corrupt + noticed.hidden + noticed.refused).toBeGreaterThan(0)
    },
    60_000 + FLIPS * 10_000,
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
    expect(second.exitCode).toBe(1)
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
