import { randomBytes } from 'node:crypto'
import { appendFile, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, type TestContext } from 'vitest'
import { eventually } from '../support/condition.ts'
import { ProcessCluster } from '../support/process-cluster.ts'
import { mountSmallDisk, type SmallDisk } from '../support/small-disk.ts'

const MIB = 1024 * 1024
const BALLAST_BYTES = 16 * MIB
/** As the node works it out for a disk of 64 MiB. */
const RESERVE_BYTES = 26 * MIB
const WRITERS = 4

let cluster: ProcessCluster
let disk: SmallDisk
let ballast: string

beforeEach(async () => {
  cluster = await ProcessCluster.start(1)
  await cluster.end('n1', 'SIGTERM')
  const directory = join(cluster.directory, 'disk')
  disk = mountSmallDisk(directory, '64m')
  ballast = join(directory, 'ballast')
  Object.assign(cluster.node('n1'), { dataDir: join(directory, 'n1') })
})
afterEach(async () => {
  if (cluster.node('n1').process !== undefined) await cluster.end('n1', 'SIGKILL')
  disk.unmount()
  await cluster.close()
})

function isSkipped(context: TestContext): boolean {
  if (disk.reason === undefined) return false
  console.log(`skipped: ${disk.reason}`)
  context.skip()
  return true
}

interface Answered {
  readonly key: number
  readonly status: number
  readonly outcome?: string
  readonly code?: string
}

async function put(key: number): Promise<Answered> {
  const response = await fetch(cluster.url('n1', `/v1/kv/full/k${key}`), { method: 'PUT', body: valueOf(key) })
  if (response.status === 204) return { key, status: 204 }
  const { outcome, code } = (await response.json()) as { outcome: string; code: string }
  return { key, status: response.status, outcome, code }
}

/** Writes by several clients at once, until each has been refused so often. */
async function fill(refusals: number): Promise<Answered[]> {
  const answers: Answered[] = []
  let next = 0
  const write = async (): Promise<void> => {
    for (let refused = 0; refused < refusals && next < 2_000;) {
      const answer = await put(next++)
      answers.push(answer)
      if (answer.status !== 204) refused++
    }
  }
  await Promise.all(Array.from({ length: WRITERS }, write))
  return answers
}

async function readBack(answers: readonly Answered[]): Promise<{ lost: number[]; appeared: number[] }> {
  const lost: number[] = []
  const appeared: number[] = []
  for (const { key, status, outcome } of answers) {
    const response = await fetch(cluster.url('n1', `/v1/kv/full/k${key}`))
    const isThere = response.status === 200 && Buffer.from(await response.arrayBuffer()).equals(valueOf(key))
    if (status === 204 && !isThere) lost.push(key)
    if (outcome === 'not-applied' && response.status !== 404) appeared.push(key)
  }
  return { lost, appeared }
}

async function writesAgain(key: number): Promise<Answered> {
  return eventually('writes are taken again', async () => {
    const answer = await put(key)
    return answer.status === 204 && answer
  })
}

describe('a disk that runs full', () => {
  it('is not filled: the node only reads from its reserve on, and writes by itself when there is room', async (context) => {
    if (isSkipped(context)) return
    await writeFile(ballast, randomBytes(BALLAST_BYTES))
    await cluster.launch('n1')
    await cluster.untilReady(['n1'])
    const answers = await fill(3)
    const refused = answers.filter(({ status }) => status !== 204)
    expect(refused.length).toBeGreaterThan(0)
    // Nobody is left in doubt: each was refused before anything was done.
    for (const answer of refused)
      expect(answer).toMatchObject({ status: 507, code: 'disk_full', outcome: 'not-applied' })
    expect(await cluster.metric('n1', 'grapevine_store_reopens_total')).toBe(0)
    expect(await cluster.metric('n1', 'grapevine_disk_read_only')).toBe(1)
    expect(await cluster.metric('n1', 'grapevine_disk_reserve_bytes')).toBe(RESERVE_BYTES)
    const ready = await fetch(cluster.url('n1', '/readyz?verbose'))
    expect([ready.status, await ready.json()]).toMatchObject([200, { ready: true, writable: false }])
    expect(await readBack(answers)).toEqual({ lost: [], appeared: [] })

    await unlink(ballast)
    answers.push(await writesAgain(5_000))
    expect(await cluster.metric('n1', 'grapevine_disk_read_only')).toBe(0)
    await cluster.end('n1', 'SIGKILL')
    await cluster.restart('n1')
    expect(await readBack(answers)).toEqual({ lost: [], appeared: [] })
  })

  it('filled by somebody else at once: the failed write is unknown, reads go on, nothing is lost', async (context) => {
    if (isSkipped(context)) return
    await cluster.launch('n1')
    await cluster.untilReady(['n1'])
    const answers: Answered[] = []
    for (let key = 0; key < 100; key++) answers.push(await put(key))
    // Faster than anybody can look.
    const hog = (async () => {
      for (;;) await appendFile(ballast, Buffer.alloc(4 * MIB))
    })().catch((error: unknown) => error)
    for (let key = 100; key < 2_000; key++) {
      const answer = await put(key)
      answers.push(answer)
      if (answer.code === 'disk_full') break
      if (answer.status === 204) continue
      // What was on its way when it failed; and what came in the moment before it was known that the disk is full.
      const isRefused = answer.status === 503 && answer.code === 'not_ready'
      expect(answer).toMatchObject(isRefused ? { outcome: 'not-applied' } : { code: 'io_error', outcome: 'unknown' })
    }
    expect(await hog).toMatchObject({ code: 'ENOSPC' })
    expect(answers.at(-1)).toMatchObject({ status: 507, outcome: 'not-applied' })
    // Not for a moment only: there is no space to open the database again, so the failed handle goes on reading.
    for (let round = 0; round < 3; round++) {
      expect(await readBack(answers)).toEqual({ lost: [], appeared: [] })
      expect((await fetch(cluster.url('n1', '/readyz'))).status).toBe(200)
      expect(await put(3_000 + round)).toMatchObject({ status: 507, outcome: 'not-applied' })
    }
    await unlink(ballast)
    answers.push(await writesAgain(5_000))
    await cluster.end('n1', 'SIGKILL')
    await cluster.restart('n1')
    expect(await readBack(answers)).toEqual({ lost: [], appeared: [] })
  })
})

/** 128 KiB that do not compress, the same for the same key. */
function valueOf(key: number): Buffer {
  const value = Buffer.alloc(128 * 1024)
  let state = key + 1
  for (let at = 0; at < value.length; at += 4) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    value.writeUInt32LE(state, at)
  }
  return value
}
