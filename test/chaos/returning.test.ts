import { cp, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { grapevine } from '../support/command.ts'
import { eventually } from '../support/condition.ts'
import { ProcessCluster } from '../support/process-cluster.ts'

/** Everything that a node does by itself, soon. */
const QUICK = ['--purge-interval', '300ms', '--pull-interval', '100ms', '--anti-entropy-interval', '1s']
const KEYS = Array.from({ length: 20 }, (_, index) => `k${index}`)
const ALL = ['n1', 'n2', 'n3']

let cluster: ProcessCluster
afterEach(() => cluster.close())

const kv = (node: string, key: string): string => cluster.url(node, `/v1/kv/b/${key}`)

async function put(node: string, key: string, query = ''): Promise<void> {
  expect((await fetch(kv(node, key) + query, { method: 'PUT', body: 'old' })).status).toBe(204)
}

async function deleteAll(node: string): Promise<void> {
  for (const key of KEYS) expect((await fetch(kv(node, key), { method: 'DELETE' })).status).toBe(204)
}

async function idOf(name: string, seenBy: string): Promise<string | undefined> {
  const members = await cluster.members(seenBy)
  return members.find((member) => member.name === name && member.state !== 'evicted')?.nodeId
}

async function untilPurged(...names: readonly string[]): Promise<void> {
  for (const name of names)
    await eventually(
      `no tombstone is left on ${name}`,
      async () => (await cluster.metric(name, 'grapevine_tombstones')) === 0,
    )
}

/** Each key on each node, as a client gets it there: those that are not 404. */
async function readable(names: readonly string[]): Promise<string[]> {
  const found: string[] = []
  for (const name of names)
    for (const key of KEYS) if ((await fetch(kv(name, key))).status !== 404) found.push(`${key} on ${name}`)
  return found
}

/** The node has set its data aside, by itself and in the same process, and is a member again. Returns where the data is. */
async function begunAnew(name: string, reason: string, former: string | undefined): Promise<string> {
  const [line] = await eventually(`${name} begins anew`, async () => {
    const lines = await cluster.logged(name, 'begins-anew')
    return lines.length > 0 && lines
  })
  expect(line).toMatchObject({ reason, former })
  await cluster.untilReady([name], 60_000)
  expect(cluster.node(name).process?.exitCode).toBeNull()
  const aside = String(line?.['aside'])
  expect(await readdir(aside)).toEqual(expect.arrayContaining(['db', 'identity.json']))
  return aside
}

async function expectOneCluster(former: string | undefined, name: string): Promise<void> {
  expect(await idOf(name, 'n2')).not.toBe(former)
  await cluster.untilConverged('n2')
  expect(await readable(ALL)).toEqual([])
  const seen = await grapevine(['divergence', '--endpoint', cluster.url('n2')])
  expect(seen).toMatchObject({ code: 0 })
  // New writes count all three members again, and none but them.
  const written = await fetch(kv(name, 'new') + '?w=all', { method: 'PUT', body: 'new' })
  expect([written.status, written.headers.get('grapevine-acks')]).toEqual([204, '3/3'])
}

it('a node that is evicted while it is away comes back empty, and nothing old with it', async () => {
  cluster = await ProcessCluster.start(3, QUICK)
  for (const key of KEYS) await put('n3', key, '?w=all')
  // What only the node holds that is about to be lost.
  expect((await cluster.post('n3', '/v1/admin/pause', { what: 'all' })).status).toBe(200)
  await put('n3', 'only-here')
  const former = await idOf('n3', 'n1')
  await cluster.end('n3', 'SIGKILL')
  await deleteAll('n1')
  await eventually('n1 and n2 know all deletes', async () => {
    const counts = ['n1', 'n2'].map((name) => cluster.metric(name, 'grapevine_tombstones'))
    return (await Promise.all(counts)).every((count) => count === KEYS.length)
  })

  const evicted = await grapevine(['evict', 'n3', '--yes', '--endpoint', cluster.url('n1')])
  expect(evicted).toMatchObject({ code: 0, out: expect.stringContaining('lost') })
  await untilPurged('n1', 'n2')

  await cluster.launch('n3')
  const aside = await begunAnew('n3', 'evicted', former)
  await expectOneCluster(former, 'n3')
  expect((await fetch(kv('n3', 'only-here'))).status).toBe(404)
  expect(await cluster.metric('n3', 'grapevine_tombstones')).toBe(0)

  // It stays what it is now, and what was set aside stays where it is.
  await cluster.end('n3', 'SIGTERM')
  await cluster.restart('n3')
  expect(await cluster.logged('n3', 'begins-anew')).toHaveLength(1)
  expect(await readdir(cluster.node('n3').dataDir)).not.toContain('former.json')
  expect(await readdir(aside)).toContain('db')
  expect(await cluster.logged('n3', 'data-still-set-aside')).toMatchObject([{ asides: [aside] }, { asides: [aside] }])

  // What was only there comes back when somebody asks for it; what was deleted meanwhile does not.
  const file = join(cluster.directory, 'lost.snapshot')
  expect(await grapevine(['snapshot', 'save', file, '--from', aside])).toMatchObject({ code: 0 })
  const restored = ['snapshot', 'restore', file, '--as-new', '--quarantined', '--endpoint', cluster.url('n1')]
  expect(await grapevine(restored)).toMatchObject({ code: 0 })
  await cluster.untilConverged('n1')
  expect((await fetch(kv('n3', 'only-here'))).status).toBe(200)
  expect(await readable(ALL)).toEqual([])
})

it('a node whose directory is put back from before does not come back as the one it was', async () => {
  cluster = await ProcessCluster.start(3, QUICK)
  for (const key of KEYS) await put('n3', key, '?w=all')
  const { dataDir } = cluster.node('n3')
  const copy = join(cluster.directory, 'copy')
  await cluster.end('n3', 'SIGTERM')
  await cp(dataDir, copy, { recursive: true })
  await cluster.restart('n3')
  await deleteAll('n3')
  await untilPurged(...ALL)
  const former = await idOf('n3', 'n1')
  await cluster.end('n3', 'SIGTERM')
  await rm(dataDir, { recursive: true })
  await cp(copy, dataDir, { recursive: true })

  await cluster.launch('n3')
  await begunAnew('n3', 'rolled_back', former)
  await expectOneCluster(former, 'n3')
  // The id of the directory is nobody's any more: nothing waits for it.
  await fetch(kv('n1', 'new'), { method: 'DELETE' })
  await untilPurged(...ALL)
})

it('the founder comes back to its cluster, whatever flags it was first started with, and by itself no more than thrice', async () => {
  cluster = await ProcessCluster.start(3, QUICK)
  const clusterId = async (name: string): Promise<unknown> =>
    ((await (await fetch(cluster.url(name, '/v1/cluster'))).json()) as { clusterId: unknown }).clusterId
  const was = await clusterId('n2')
  for (let time = 1; time <= 3; time++) {
    const former = await idOf('n1', 'n2')
    expect((await cluster.post('n2', '/v1/admin/evict/n1')).status).toBe(200)
    await eventually(`n1 has begun anew ${time} times`, async () => {
      const lines = await cluster.logged('n1', 'begins-anew')
      return lines.length === time && lines.at(-1)?.['former'] === former
    })
    if (time === 2) {
      // In the middle of coming back: what is on the disk alone says whose this empty directory was.
      await cluster.end('n1', 'SIGKILL')
      await cluster.launch('n1')
    }
    await cluster.untilReady(['n1'], 60_000)
    expect(await clusterId('n1')).toBe(was)
    expect(await idOf('n1', 'n2')).not.toBe(former)
  }
  const child = cluster.node('n1').process
  expect((await cluster.post('n2', '/v1/admin/evict/n1')).status).toBe(200)
  const ended = await eventually('n1 has ended', () => child?.exitCode !== null && { code: child?.exitCode })
  expect(ended).toEqual({ code: 1 })
  cluster.node('n1').process = undefined
  const said = await readFile(cluster.node('n1').logFile, 'utf8')
  expect(said.slice(said.lastIndexOf('grapevine: '))).toMatch(/evicted.*set aside: .*aside-.*remove them/s)
})
