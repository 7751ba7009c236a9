import { readFile } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/condition.ts'
import { ComposeProject, NODES, podman, whyNoContainers, type NodeName } from './compose-project.ts'

const reason = await whyNoContainers()
if (reason !== undefined) console.warn(`skipped: the containers of deploy/, because ${reason}`)

describe.skipIf(reason !== undefined)('the image and the compose file', () => {
  let project: ComposeProject

  beforeAll(async () => {
    project = await ComposeProject.create()
    await project.build()
    await project.up()
  })

  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') console.error(await project.logs())
  })

  afterAll(() => project.remove())

  async function put(node: NodeName, path: string, body: string): Promise<void> {
    const { status } = await project.request(node, `/v1/kv/${path}`, { method: 'PUT', body })
    expect(status).toBe(204)
  }

  async function untilThere(node: NodeName, path: string, body: string): Promise<void> {
    await eventually(`${path} is on ${node}`, async () => {
      const response = await project.request(node, `/v1/kv/${path}`)
      return response.status === 200 && (await response.text()) === body
    })
  }

  async function untilConverged(node: NodeName): Promise<void> {
    await eventually('all replicas are equal', async () => (await project.divergence(node)).converged, 60_000, 100)
  }

  it('hold nothing that is only for development', async () => {
    const packages = await podman('run', '--rm', '--entrypoint', 'ls', project.image, '/app/node_modules/.pnpm')
    expect(packages).toContain('classic-level@')
    expect(packages).not.toMatch(/^(typescript|vitest|oxlint|pnpm|node|@types\+node)@/m)
  })

  it('run one process, which is Node itself and not root', async () => {
    for (const node of NODES) {
      const pid = await podman('inspect', '--format', '{{.State.Pid}}', project.container(node))
      const status = await readFile(`/proc/${pid}/status`, 'utf8')
      expect(/^Uid:\s+(.*)$/m.exec(status)?.[1]).toBe('1000\t1000\t1000\t1000')
      const command = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0')
      expect(command.slice(0, 3)).toEqual(['node', '--max-semi-space-size=16', '/app/bin/grapevine.js'])
    }
  })

  it('are healthy by their own check', async () => {
    for (const node of NODES) await podman('healthcheck', 'run', project.container(node))
  })

  it('have found each other by name, and have the command with them', async () => {
    const members = await eventually('all are alive', async () => {
      const seen = await project.members('node3')
      return seen.length === NODES.length && seen.every(({ state }) => state === 'alive') && seen
    })
    expect(members.map(({ name }) => name).toSorted()).toEqual(NODES)
    const status = await podman('exec', project.container('node2'), 'grapevine', 'status', '-o', 'json')
    const { nodes }: { nodes: { name: string }[] } = JSON.parse(status)
    expect(nodes.map(({ name }) => name).toSorted()).toEqual(NODES)
  })

  it('show on every node what was written on one', async () => {
    for (const writer of NODES) await put(writer, `carts/${writer}`, `from ${writer}`)
    for (const reader of NODES)
      for (const writer of NODES) await untilThere(reader, `carts/${writer}`, `from ${writer}`)
  })

  it('go on without a node that was killed, and bring it up to date when it is back', async () => {
    await put('node1', 'away/deleted', 'soon gone')
    await untilThere('node3', 'away/deleted', 'soon gone')

    await podman('kill', project.container('node3'))
    await eventually('node3 is down', async () => (await exitOf('node3')).status === 'exited')
    const keys = Array.from({ length: 100 }, (_, index) => `away/k${index}`)
    for (const [index, key] of keys.entries()) await put(index % 2 === 0 ? 'node1' : 'node2', key, key)
    expect((await project.request('node2', '/v1/kv/away/deleted', { method: 'DELETE' })).status).toBe(204)
    for (const key of keys) {
      await untilThere('node1', key, key)
      await untilThere('node2', key, key)
    }
    expect((await project.divergence('node1')).converged).toBe(false)

    await podman('start', project.container('node3'))
    await project.untilReady(['node3'])
    await untilConverged('node3')
    await untilConverged('node1')
    for (const key of keys) {
      const response = await project.request('node3', `/v1/kv/${key}?consistency=local`)
      expect([response.status, await response.text()]).toEqual([200, key])
    }
    expect((await project.request('node3', '/v1/kv/away/deleted?consistency=local')).status).toBe(404)
  })

  it('stop with 0 when they are told to', async () => {
    for (const node of NODES) {
      // A process that does not hear SIGTERM would be killed after that, and end with 137.
      await podman('stop', '--time', '30', project.container(node))
      expect(await exitOf(node)).toEqual({ status: 'exited', code: 0 })
    }
  })

  it('come back from their volumes, in new containers, as the same members', async () => {
    for (const node of NODES) await podman('start', project.container(node))
    await project.untilReady()
    const before = await project.members('node1')
    for (const node of NODES) {
      await podman('stop', '--time', '30', project.container(node))
      await podman('rm', project.container(node))
    }
    await project.up()
    await untilConverged('node1')
    expect(identities(await project.members('node1'))).toEqual(identities(before))
    for (const node of NODES) await untilThere(node, 'carts/node1', 'from node1')
  })

  async function exitOf(node: NodeName): Promise<{ readonly status: string; readonly code: number }> {
    const format = '{"status":"{{.State.Status}}","code":{{.State.ExitCode}}}'
    return JSON.parse(await podman('inspect', '--format', format, project.container(node)))
  }
})

function identities(members: readonly { readonly name: string; readonly nodeId: string }[]): string[] {
  return members.map(({ name, nodeId }) => `${name} ${nodeId}`).toSorted()
}
