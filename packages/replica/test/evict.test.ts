import { describe, expect, it } from 'vitest'
import { SmallCluster } from './small-cluster.ts'

const KEYS = Array.from({ length: 20 }, (_, index) => `k${index}`)

function tombstones(cluster: SmallCluster): number[] {
  return ['n1', 'n2'].map((name) => cluster.node(name).status().report.totals.tombstones)
}

describe('a member that is silent for long', () => {
  it('holds tombstones until it is evicted, and is refused with its old data afterwards', async () => {
    const cluster = await SmallCluster.of(3)
    for (const key of KEYS) await cluster.put('n3', key, 'old', 'all')
    const silent = cluster.idOf('n3')
    cluster.crash('n3')
    for (const key of KEYS) await cluster.put('n1', key, undefined)
    await cluster.time.advance(120_000)
    expect(tombstones(cluster)).toEqual([20, 20])

    expect(await cluster.finish(cluster.node('n1').evict(silent))).toBe(true)
    await cluster.until(() => tombstones(cluster).every((left) => left === 0), 60_000)

    await cluster.start('n3')
    await cluster.until(() => cluster.fatal('n3').length > 0, 60_000)
    expect(cluster.fatal('n3')[0]).toMatchObject({ code: 'evicted' })
    await cluster.time.advance(60_000)
    for (const name of ['n1', 'n2']) expect(await cluster.contents(name)).toEqual(new Map())
    expect(cluster.isConverged('n1', 'n2')).toBe(true)

    // What the server does then: an empty disk, and the former id as its proof.
    await cluster.wipe('n3')
    await cluster.start('n3', { former: [silent] })
    await cluster.until(() => cluster.node('n3').status().ready, 60_000)
    await cluster.time.advance(60_000)
    for (const name of ['n1', 'n2', 'n3']) expect(await cluster.contents(name)).toEqual(new Map())
    expect(cluster.isConverged('n1', 'n2', 'n3')).toBe(true)
  }, 30_000)

  it('is told by strangers when all whom it knew are gone', async () => {
    // Found by the simulator (seed 162): it asked only members that it knew, and went on alone for ever.
    const cluster = await SmallCluster.of(3)
    const silent = cluster.idOf('n3')
    cluster.crash('n3')
    expect(await cluster.finish(cluster.node('n1').evict(silent))).toBe(true)
    for (const name of ['n1', 'n2']) await cluster.replace(name)
    await cluster.start('n3')
    await cluster.until(() => cluster.fatal('n3').length > 0, 60_000)
    expect(cluster.fatal('n3')[0]).toMatchObject({ code: 'evicted' })
  }, 30_000)

  it('says nothing more once it knows, and takes no writes', async () => {
    const cluster = await SmallCluster.of(3)
    const evicted = cluster.idOf('n3')
    await cluster.finish(cluster.node('n1').evict(evicted))
    await cluster.until(() => cluster.fatal('n3').length > 0, 60_000)
    await expect(cluster.put('n3', 'k', 'v')).rejects.toMatchObject({ code: 'draining', outcome: 'not-applied' })
    const { cluster: of } = cluster.node('n1').status().identity
    const header = { cluster: of, from: cluster.idOf('n2'), to: evicted, name: 'missed-entries' } as const
    expect(cluster.node('n3').judge(header)).toBe('failed')
  })

  it('is evicted once; itself and strangers a node does not evict', async () => {
    const cluster = await SmallCluster.of(2)
    const other = cluster.idOf('n2')
    const node = cluster.node('n1')
    await expect(cluster.finish(node.evict(cluster.idOf('n1')))).rejects.toMatchObject({ code: 'wrong-replica' })
    await expect(cluster.finish(node.evict('f'.repeat(16)))).rejects.toMatchObject({ code: 'wrong-replica' })
    expect(await cluster.finish(node.evict(other))).toBe(true)
    expect(await cluster.finish(node.evict(other))).toBe(false)
    await cluster.until(() => cluster.fatal('n2').length > 0, 60_000)
    expect(cluster.fatal('n2')[0]).toMatchObject({ code: 'evicted' })
  })
})

// An answer that is under way while whoever gave it is evicted names its joiners, whom nobody else knows.
it('introduces nobody by an answer that it gave before its eviction', async () => {
  const cluster = await SmallCluster.of(3, { purgeIntervalMs: 1_000 })
  const evicted = cluster.idOf('n1')
  const namesAt = (name: string): string[] =>
    cluster
      .node(name)
      .members()
      .map((member) => member.name)
  for (const link of ['n1>n2', 'n1>n3', 'n4>n2', 'n4>n3']) cluster.cut.add(link)
  await cluster.start('n4', { seeds: ['n1:7701'] })
  await cluster.until(() => namesAt('n1').includes('n4'))
  let isUnderWay = false
  cluster.delayOf = (from, to, name) => {
    if (from !== 'n3' || to !== 'n1' || name !== 'publish') return 0
    isUnderWay = true
    return 4_000
  }
  cluster.cut.delete('n1>n3')
  await cluster.put('n2', 'k', undefined)
  await cluster.until(() => isUnderWay, 20_000)
  cluster.cut.add('n1>n3')
  await cluster.finish(cluster.node('n3').evict(evicted))
  await cluster.time.advance(5_000)
  expect(namesAt('n3')).not.toContain('n4')
})
