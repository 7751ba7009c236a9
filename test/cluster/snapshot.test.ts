import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { eventually } from '../support/condition.ts'
import { oracleRoot, readSnapshotBytes } from '../support/oracle.ts'
import { ProcessCluster } from '../support/process-cluster.ts'

const ALL = ['n1', 'n2', 'n3']
const GRAPEVINE = resolve(import.meta.dirname, '../../packages/cli/bin/grapevine.js')
const KEYS = 2_000
/** Small enough for several runs of the purge, large enough that a batch is not the whole of it. */
const FLAGS = ['--purge-interval', '1s', '--anti-entropy-interval', '5s']

let cluster: ProcessCluster
let directory: string

beforeAll(async () => {
  cluster = await ProcessCluster.start(3, FLAGS)
  directory = await mkdtemp(join(tmpdir(), 'grapevine-snapshots-'))
})
afterAll(async () => {
  await cluster.close()
  await rm(directory, { recursive: true, force: true })
})

interface Ran {
  readonly code: number
  readonly document: Readonly<Record<string, unknown>>
  readonly err: string
}

/** Runs the command in a process of its own. */
async function grapevine(name: string, ...line: readonly string[]): Promise<Ran> {
  const env = { ...process.env, GRAPEVINE_ENDPOINTS: cluster.url(name) }
  const args = [GRAPEVINE, 'snapshot', ...line, '-o', 'json']
  const { stdout, stderr, code } = await promisify(execFile)(process.execPath, args, { env })
    .then((ran) => ({ ...ran, code: 0 }))
    .catch((error: { stdout: string; stderr: string; code: number }) => error)
  const document = (stdout === '' ? {} : JSON.parse(stdout)) as Record<string, unknown>
  return { code, document, err: stderr }
}

async function batch(name: string, ops: readonly object[]): Promise<void> {
  for (let from = 0; from < ops.length; from += 1_000) {
    const response = await cluster.post(name, '/v1/batch', { ops: ops.slice(from, from + 1_000) })
    expect(response.status).toBe(200)
  }
}

const put = (key: string, value: string): object => ({
  op: 'put',
  bucket: 'b',
  key,
  value: Buffer.from(value).toString('base64'),
})
const remove = (key: string): object => ({ op: 'delete', bucket: 'b', key })
const keys = Array.from({ length: KEYS }, (_, index) => `k${index}`)

async function get(name: string, key: string): Promise<string | number> {
  const response = await fetch(cluster.url(name, `/v1/kv/b/${key}`))
  return response.status === 200 ? response.text() : response.status
}

async function tombstones(): Promise<readonly number[]> {
  return Promise.all(ALL.map((name) => cluster.metric(name, 'grapevine_tombstones')))
}

it('is one moment under load, stays deleted, comes back on purpose, and begins a new cluster when all is lost', async () => {
  const file = (name: string): string => join(directory, `${name}.snapshot`)
  await batch(
    'n1',
    keys.map((key) => put(key, 'first')),
  )
  await cluster.untilConverged('n1')

  // Saved while it is written to all the time: whatever is in it was written, and no key has gone back.
  let written = 0
  let isOver = false
  const writing = (async () => {
    while (!isOver) await batch('n2', [put(`busy${written % 50}`, `${written}`), put('count', `${written++}`)])
  })()
  const saved = await grapevine('n2', 'save', file('old'))
  isOver = true
  await writing
  expect(saved).toMatchObject({ code: 0, err: expect.stringMatching(/^$|saving/) })
  expect(saved.document).toMatchObject({ name: 'n2', whole: true, corrupt: 0 })
  const entries = readSnapshotBytes(await readFile(file('old')))
  expect(oracleRoot(entries)).toBe(saved.document['root'])
  expect(entries.filter(({ key }) => /^k\d+$/.test(key))).toHaveLength(KEYS)
  const count = Number(entries.find(({ key }) => key === 'count')?.value ?? -1)
  // The writes came one after another, the key before the count: a moment shows those up to some one of them, and no other.
  for (const { key, value } of entries.filter((entry) => entry.key.startsWith('busy'))) {
    const slot = Number(key.slice('busy'.length))
    const latest = count - ((((count - slot) % 50) + 50) % 50)
    expect([latest, count + 1]).toContain(Number(value))
  }
  await cluster.untilConverged('n1')

  // Half of it is deleted, and the tombstones go.
  await batch('n3', keys.slice(0, KEYS / 2).map(remove))
  await eventually('the tombstones are gone', async () => (await tombstones()).every((left) => left === 0), 60_000, 200)
  const restored = await grapevine('n1', 'restore', file('old'))
  expect(restored.document).toMatchObject({ deleted: KEYS / 2, applied: 0, quarantined: 0, written: 0 })
  expect(restored.code).toBe(0)
  for (const name of ALL) expect([await get(name, 'k0'), await get(name, `k${KEYS - 1}`)]).toEqual([404, 'first'])

  // On purpose some of it comes back.
  const anew = await grapevine('n1', 'restore', file('old'), '--as-new', '--prefix', 'k99', '--absent')
  expect(anew.document).toMatchObject({ written: 11, kept: 0 })
  await cluster.untilConverged('n1')
  for (const name of ALL) expect([await get(name, 'k99'), await get(name, 'k98')]).toEqual(['first', 404])

  // A damaged file changes nothing, and says what it is.
  const bytes = await readFile(file('old'))
  await writeFile(file('cut'), bytes.subarray(0, bytes.length - 40))
  expect(await grapevine('n1', 'restore', file('cut'))).toMatchObject({
    code: 1,
    err: expect.stringContaining('the snapshot is cut off'),
  })

  // All is lost but the newest snapshot.
  const newest = await grapevine('n3', 'save', file('newest'))
  const { clusterId, root } = newest.document
  for (const name of ALL) {
    await cluster.end(name, 'SIGKILL')
    await rm(cluster.node(name).dataDir, { recursive: true })
  }
  await cluster.launch('n1', ['--restore', file('cut')])
  await eventually(
    'it says why it cannot begin',
    async () => /No cluster can begin from/.test(await logOf('n1')),
    60_000,
  )
  // It waits for the others to say that they know of no cluster either.
  await cluster.launch('n1', ['--restore', file('newest')])
  for (const name of ['n2', 'n3']) await cluster.launch(name)
  await cluster.untilReady(ALL, 60_000)
  await cluster.untilConverged('n2')
  for (const name of ALL) expect([await get(name, 'k99'), await get(name, 'k98')]).toEqual(['first', 404])
  const again = await grapevine('n2', 'save', file('again'))
  expect(again.document).toMatchObject({ root, whole: true })
  expect(again.document['clusterId']).not.toBe(clusterId)

  // The older one is an import now, and of another cluster: whoever knows better says so.
  const foreign = await grapevine('n3', 'restore', file('old'))
  expect(foreign).toMatchObject({ code: 1, err: expect.stringContaining(`cluster=${String(clusterId)}`) })
  const imported = await grapevine('n3', 'restore', file('old'), '--of-cluster', String(clusterId))
  expect(imported.document).toMatchObject({ applied: 0, deleted: KEYS / 2 - 11, written: 0 })
  await cluster.untilConverged('n2')
  for (const name of ALL) expect(await get(name, 'k98')).toBe(404)

  // Started with the same flags again it goes on with what it has.
  await cluster.end('n1', 'SIGTERM')
  await cluster.launch('n1', ['--restore', file('newest')])
  await cluster.untilReady(['n1'], 60_000)
  expect(await cluster.logged('n1', 'restore-ignored')).toHaveLength(1)
  await cluster.untilConverged('n1')
}, 400_000)

function logOf(name: string): Promise<string> {
  return readFile(cluster.node(name).logFile, 'utf8')
}
