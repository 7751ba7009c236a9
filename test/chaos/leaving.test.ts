import { readFile } from 'node:fs/promises'
import { afterEach, expect, it } from 'vitest'
import { grapevine } from '../support/command.ts'
import { eventually } from '../support/condition.ts'
import { ProcessCluster } from '../support/process-cluster.ts'

const QUICK = ['--purge-interval', '300ms', '--pull-interval', '100ms']

let cluster: ProcessCluster
afterEach(() => cluster.close())

const kv = (node: string, key: string): string => cluster.url(node, `/v1/kv/b/${key}`)

async function put(node: string, key: string): Promise<void> {
  expect((await fetch(kv(node, key), { method: 'PUT', body: 'v' })).status).toBe(204)
}

async function exitCode(name: string): Promise<number> {
  const child = cluster.node(name).process
  const ended = await eventually(`${name} has ended`, () => child?.exitCode != null && { code: child.exitCode })
  cluster.node(name).process = undefined
  return ended.code
}

it('a node leaves once others hold what it holds, and comes back only when that is meant', async () => {
  cluster = await ProcessCluster.start(3, QUICK)
  // What is only here: fresh writes are not passed on, and must all be pulled.
  expect((await cluster.post('n3', '/v1/admin/pause', { what: 'rumors' })).status).toBe(200)
  for (let key = 0; key < 200; key++) await put('n3', `k${key}`)
  const left = await grapevine(['leave', 'n3', '--yes', '--endpoint', cluster.url('n3'), '-o', 'json'])
  expect(left).toMatchObject({ code: 0 })
  expect(JSON.parse(left.out)).toMatchObject({ name: 'n3', told: expect.arrayContaining(['n1', 'n2']) })
  expect(await exitCode('n3')).toBe(0)
  await cluster.untilConverged('n1')
  for (let key = 0; key < 200; key++) expect((await fetch(kv('n1', `k${key}`))).status).toBe(200)

  // Nobody waits for it: neither writes that ask for all, nor the frontier.
  const written = await fetch(`${kv('n1', 'k0')}?w=all`, { method: 'DELETE' })
  expect([written.status, written.headers.get('grapevine-acks')]).toEqual([204, '2/2'])
  for (const name of ['n1', 'n2'])
    await eventually('the tombstone goes', async () => (await cluster.metric(name, 'grapevine_tombstones')) === 0)

  await cluster.launch('n3')
  expect(await exitCode('n3')).toBe(1)
  expect(await readFile(cluster.node('n3').logFile, 'utf8')).toMatch(/grapevine: .*has left its cluster.*--rebuild/)
  await cluster.launch('n3', ['--rebuild'])
  await cluster.untilReady(['n3'], 60_000)
  await cluster.untilConverged('n1')
  expect((await fetch(kv('n3', 'k1'))).status).toBe(200)
  expect((await fetch(kv('n3', 'k0'))).status).toBe(404)
})

it('a node does not leave where nobody could take over, and goes on', async () => {
  cluster = await ProcessCluster.start(2, QUICK)
  await cluster.end('n1', 'SIGKILL')
  await put('n2', 'only-here')
  await eventually('n1 is known to be dead', async () =>
    (await cluster.members('n2')).some(({ name, state }) => name === 'n1' && state === 'dead'),
  )
  const refused = await grapevine(['leave', '--yes', '--endpoint', cluster.url('n2')])
  expect(refused).toMatchObject({ out: '', err: expect.stringContaining('no other member can be reached') })
  expect(refused.code).not.toBe(0)
  await put('n2', 'still-here')

  const alone = await grapevine(['evict', 'n1', '--yes', '--alone', '--endpoint', cluster.url('n2')])
  expect(alone).toMatchObject({ code: 0 })
  const again = await grapevine(['evict', 'n1', '--yes', '--endpoint', cluster.url('n2')])
  expect(again).toMatchObject({ code: 0, out: expect.stringContaining('had been evicted before') })
  const last = await cluster.post('n2', '/v1/admin/leave')
  expect([last.status, await last.json()]).toMatchObject([409, { code: 'conflict', outcome: 'not-applied' }])
  await put('n2', 'and-still')
})
