import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import type { TombstoneExplainBody, TombstonesBody } from '../../packages/contract/src/index.ts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/condition.ts'
import { ProcessCluster } from '../support/process-cluster.ts'

const COMMAND = resolve(import.meta.dirname, '../../packages/cli/bin/grapevine.js')
const KEYS = Array.from({ length: 50 }, (_, index) => `k${index}`)
let cluster: ProcessCluster

beforeAll(async () => {
  cluster = await ProcessCluster.start(3, ['--purge-interval', '1s', '--anti-entropy-interval', '2s'])
})
afterAll(() => cluster.close())

function grapevine(...words: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  const endpoint = ['--endpoint', cluster.url('n2')]
  return new Promise((settle) => {
    execFile(process.execPath, [COMMAND, ...words, ...endpoint], { env: { NO_COLOR: '1' } }, (error, out, err) =>
      settle({ code: typeof error?.code === 'number' ? error.code : 0, out, err }),
    )
  })
}

async function each(method: 'PUT' | 'DELETE', at: string): Promise<void> {
  for (const key of KEYS)
    expect(
      (await fetch(cluster.url(at, `/v1/kv/b/${key}`), { method, ...(method === 'PUT' && { body: 'old' }) })).status,
    ).toBe(204)
}

async function report(name: string): Promise<TombstonesBody> {
  return (await (await fetch(cluster.url(name, '/v1/admin/tombstones'))).json()) as TombstonesBody
}

async function explained(name: string, key: string): Promise<TombstoneExplainBody> {
  return (await (
    await fetch(cluster.url(name, `/v1/admin/tombstones/explain/b/${key}`))
  ).json()) as TombstoneExplainBody
}

describe('a node that is away while keys are deleted', () => {
  it('is named by the command, which says what to do, and so is each key that waits for it', async () => {
    await each('PUT', 'n3')
    await cluster.untilConverged('n1')
    await cluster.end('n3', 'SIGKILL')
    await each('DELETE', 'n1')
    const { code, out } = await eventually('n3 is dead, and waited for', async () => {
      const told = await grapevine('tombstones')
      return told.out.includes('it is dead') && !told.out.includes('since a moment') ? told : undefined
    })
    expect(code).toBe(6)
    expect(out).toMatch(/^n3 holds the frontier back since \d+ s: it is dead; start it, or: grapevine evict n3$/m)
    expect(out).toMatch(/^alive {2}n2 +0 +50 /m)
    const key = await grapevine('tombstones', 'explain', 'b', 'k7')
    expect(key).toMatchObject({ code: 0, out: expect.stringContaining('It waits for n3: it is dead') })
    expect(await cluster.metric('n1', 'grapevine_tombstones')).toBe(50)
    await eventually('one of the nodes measures how long', async () => {
      const seconds = await Promise.all(
        ['n1', 'n2'].map((name) => cluster.metric(name, 'grapevine_stable_frontier_lag_seconds')),
      )
      return Math.max(...seconds) > 1
    })
  })

  it('once back lets all of it go, and every node then tells why that was safe', async () => {
    await cluster.restart('n3')
    await eventually('no tombstone is left anywhere', async () => {
      const { nodes } = await report('n1')
      return nodes.length === 3 && nodes.every(({ tombstones, keys }) => tombstones === 0 && keys === 0)
    })
    // What the frontier makes absent counts as gone at once; the row, and the record of it, follow within a round.
    const told = await eventually('it is gone everywhere', async () => {
      const all = await Promise.all(['n1', 'n2', 'n3'].map((name) => explained(name, 'k7')))
      return all.every(({ replicas }) => replicas.every(({ state }) => state === 'purged')) && all
    })
    // Each by its own record: the frontier may have risen twice while they went through their rounds.
    for (const { state, grounds, replicas } of told) {
      expect(state).toBe('purged')
      expect(replicas.map((replica) => replica.state)).toEqual(['purged', 'purged', 'purged'])
      expect(grounds).toMatchObject({ known: true, covered: { writes: expect.any(Number) } })
      expect(grounds?.promises.map(({ name }) => name).toSorted()).toEqual(['n1', 'n2', 'n3'])
    }
    const { code, out } = await grapevine('tombstones', 'explain', 'b', 'k7')
    expect(code).toBe(0)
    expect(out).toContain('That was safe: by ')
    expect(await grapevine('tombstones')).toMatchObject({ code: 0, out: expect.stringContaining('nothing waits') })
  })

  it('is not known of a key that never was', async () => {
    expect(await grapevine('tombstones', 'explain', 'b', 'never')).toMatchObject({
      code: 3,
      out: expect.stringContaining('Nothing is held of b/never'),
    })
  })
})
