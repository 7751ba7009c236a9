import { readFile } from 'node:fs/promises'
import { afterEach, expect, it } from 'vitest'
import { eventually } from '../support/condition.ts'
import { ProcessCluster } from '../support/process-cluster.ts'

let cluster: ProcessCluster
afterEach(() => cluster.close())

const put = (node: string, key: string): Promise<Response> =>
  fetch(cluster.url(node, `/v1/kv/b/${key}`), { method: 'PUT', body: 'v' })

async function startWithCopy(): Promise<void> {
  cluster = await ProcessCluster.start(3)
  expect((await put('n3', 'k')).status).toBe(204)
  await cluster.end('n3', 'SIGTERM')
  await cluster.copy('n3', 'copy')
}

it('a copied data directory is found out: both refuse writes, and say what to do', async () => {
  await startWithCopy()
  await cluster.restart('n3')
  await cluster.launch('copy')
  for (const twin of ['n3', 'copy']) {
    const problem = await eventually(`${twin} has met its twin`, async () => {
      const answer = await fetch(cluster.url(twin, '/readyz')).catch(() => undefined)
      const body = (await answer?.json().catch(() => undefined)) as { code?: string; detail?: string } | undefined
      return body?.code === 'cloned' && body
    })
    expect(problem.detail).toContain('--rebuild')
    const refused = await put(twin, 'x')
    expect(refused.status).toBe(503)
    expect(await refused.json()).toMatchObject({ code: 'cloned', outcome: 'not-applied' })
    expect((await fetch(cluster.url(twin, '/v1/kv/b/k'))).status).toBe(200)
    expect(await cluster.logged(twin, 'cloned')).toHaveLength(1)
  }
  expect((await put('n1', 'x')).status).toBe(204)

  // What the message says to do.
  await cluster.end('copy', 'SIGTERM')
  await cluster.end('n3', 'SIGTERM')
  await cluster.restart('n3')
  expect((await put('n3', 'y')).status).toBe(204)
}, 60_000)

it('a copied data directory is refused under another name', async () => {
  await startWithCopy()
  const copy = cluster.node('copy')
  cluster.nodes.splice(cluster.nodes.indexOf(copy), 1, { ...copy, goesBy: 'n4' })
  const child = await cluster.launch('copy')
  const code = await eventually('the copy has given up', () =>
    Promise.resolve(child.exitCode !== null && { code: child.exitCode }),
  )
  cluster.node('copy').process = undefined
  expect(code).toEqual({ code: 1 })
  expect(await readFile(copy.logFile, 'utf8')).toMatch(
    /directory is that of the node n3, and this one was started as n4/,
  )
}, 60_000)
