import { addressOf, encodePolicy, policyAddress } from '@grapevine/core'
import { describe, expect, it } from 'vitest'
import { SmallCluster } from './small-cluster.ts'

const ALL = ['n1', 'n2', 'n3']

function setPolicy(cluster: SmallCluster, name: string, ttlMs: number): Promise<unknown> {
  return cluster.finish(
    cluster.node(name).write({
      address: policyAddress('things'),
      value: encodePolicy({ ttlMs }),
      contentType: 'application/json',
      expiresAtMs: 0,
      w: 1,
      timeoutMs: 2_000,
    }),
  )
}

function policies(cluster: SmallCluster): number[] {
  return ALL.map((name) => cluster.node(name).policyOf('things').ttlMs)
}

describe('the policy of a bucket', () => {
  it.each([
    ['rumors', { pullIntervalMs: 0, antiEntropyIntervalMs: 1e9 }, []],
    ['pulls', { antiEntropyIntervalMs: 1e9 }, ['rumors']],
    ['trees', { pullIntervalMs: 0 }, ['rumors']],
  ] as const)('reaches all by %s alone, also where another was known', async (_way, settings, paused) => {
    const cluster = await SmallCluster.of(3, settings)
    for (const name of ALL) for (const what of paused) cluster.node(name).pause(what)
    expect(policies(cluster)).toEqual([0, 0, 0])
    await setPolicy(cluster, 'n1', 60_000)
    await cluster.until(() => policies(cluster).every((ttlMs) => ttlMs === 60_000))
    await setPolicy(cluster, 'n2', 5_000)
    await cluster.until(() => policies(cluster).every((ttlMs) => ttlMs === 5_000))
    expect(cluster.node('n3').policyOf('others').ttlMs).toBe(0)
  })

  it('is no key of anybody, survives a restart, and leaves the trees equal', async () => {
    const cluster = await SmallCluster.of(3)
    await setPolicy(cluster, 'n1', 60_000)
    await setPolicy(cluster, 'n1', 70_000)
    await cluster.until(() => policies(cluster).every((ttlMs) => ttlMs === 70_000))
    expect(ALL.map((name) => cluster.node(name).status().report.totals.values)).toEqual([0, 0, 0])
    expect(cluster.isConverged(...ALL)).toBe(true)
    cluster.crash('n3')
    await cluster.start('n3')
    await cluster.until(() => cluster.node('n3').status().ready)
    expect(cluster.node('n3').policyOf('things').ttlMs).toBe(70_000)
    expect(cluster.node('n3').status().report.totals.values).toBe(0)
  })
})

describe('an expiry', () => {
  it('is the same moment everywhere, changes no root, and the entry is collected after it', async () => {
    const cluster = await SmallCluster.of(3)
    const expiresAtMs = cluster.time.wallMs() + 30_000
    await cluster.finish(
      cluster.node('n1').write({
        address: addressOf('things', 'k'),
        value: Buffer.from('v'),
        contentType: '',
        expiresAtMs,
        w: 'all',
        timeoutMs: 2_000,
      }),
    )
    const root = cluster.root('n1')
    await cluster.until(() => cluster.time.wallMs() >= expiresAtMs)
    expect(ALL.map((name) => cluster.root(name))).toEqual([root, root, root])
    const isGone = (): boolean => ALL.every((name) => cluster.node(name).status().report.totals.values === 0)
    await cluster.until(() => isGone() && cluster.isConverged(...ALL))
    expect(await cluster.contents('n3')).toEqual(new Map())
  })
})
