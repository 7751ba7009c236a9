import { describe, expect, it } from 'vitest'
import { SmallCluster } from './small-cluster.ts'

const ALL = ['n1', 'n2', 'n3']

function skewSeen(cluster: SmallCluster, at: string, of: string): number {
  return cluster.node(at).status().skewsMs[of] ?? Number.NaN
}

describe('the skew of a clock', () => {
  it('is measured by each of each, within the error that it states', async () => {
    const cluster = await SmallCluster.of(3)
    cluster.skewMs.set('n2', 3_000)
    cluster.skewMs.set('n3', -1_500)
    await cluster.time.advance(30_000)
    for (const at of ALL) {
      for (const { name, isSelf, skew } of cluster.node(at).members()) {
        if (isSelf) expect(skew).toBeUndefined()
        else {
          const truth = (cluster.skewMs.get(name) ?? 0) - (cluster.skewMs.get(at) ?? 0)
          expect(Math.abs((skew?.skewMs ?? Number.NaN) - truth)).toBeLessThanOrEqual(skew?.errorMs ?? 0)
          // A question takes up to three milliseconds there and back, and the sample has aged a little.
          expect(skew?.errorMs).toBeLessThan(10)
        }
      }
    }
    expect(cluster.warnings).toEqual([])
  })

  it('is told to the log when it is above half of what is permitted, once', async () => {
    const cluster = await SmallCluster.of(3)
    cluster.skewMs.set('n2', 6_000)
    await cluster.time.advance(60_000)
    const said = (): string[] => cluster.warnings.filter((warning) => warning.endsWith('clock-skew'))
    // n2 sees two that are far away.
    expect(said().toSorted()).toEqual(['n1: clock-skew', 'n2: clock-skew', 'n2: clock-skew', 'n3: clock-skew'])
    cluster.skewMs.delete('n2')
    await cluster.time.advance(30_000)
    expect(said()).toHaveLength(4)
    cluster.skewMs.set('n2', 6_000)
    await cluster.time.advance(30_000)
    expect(said()).toHaveLength(8)
    expect(ALL.map((name) => cluster.node(name).status().ready)).toEqual([true, true, true])
  })
})

describe('a node whose clock is behind', () => {
  it('says so, is not ready, and catches up by itself when its clock does', async () => {
    const cluster = await SmallCluster.of(3)
    cluster.skewMs.set('n3', -60_000)
    await cluster.put('n1', 'a', 'v')
    await cluster.put('n2', 'b', 'v')
    await cluster.until(() => !cluster.node('n3').status().ready, 30_000)
    const { reason } = cluster.node('n3').status()
    expect(reason).toMatch(/^clock_suspect: the clock of this node is .* behind those of 2 of 2 /)
    await cluster.until(() => cluster.errors.includes('n3: clock-suspect'), 20_000)
    expect(ALL.map((name) => cluster.node(name).status().ready)).toEqual([true, true, false])
    expect(cluster.node('n3').status()).toMatchObject({ parked: 2, parkedFrom: { n1: 1, n2: 1 } })
    expect(cluster.get('n3', 'a')).toBeUndefined()
    // It has nothing against writes: what is written here is older than what it waits for, and everybody knows it.
    await cluster.put('n3', 'c', 'v')

    cluster.skewMs.delete('n3')
    await cluster.until(() => cluster.node('n3').status().ready && cluster.isConverged(...ALL), 30_000)
    expect(cluster.node('n3').status()).toMatchObject({ parked: 0, parkedFrom: {} })
    expect(['a', 'b', 'c'].map((key) => cluster.get('n3', key))).toEqual(['v', 'v', 'v'])
  })

  it('is known by what it parks, also when no clock was asked', async () => {
    const cluster = await SmallCluster.of(3)
    cluster.skewMs.set('n3', -60_000)
    await cluster.put('n1', 'a', 'v')
    await cluster.put('n2', 'b', 'v')
    // Sooner than the first look at a clock.
    await cluster.until(() => !cluster.node('n3').status().ready, 1_000)
  })

  it('cannot join until it is set', async () => {
    const cluster = await SmallCluster.of(2)
    await cluster.put('n1', 'a', 'v', 'all')
    cluster.skewMs.set('n3', -60_000)
    await cluster.start('n3')
    await cluster.time.advance(10_000)
    expect(cluster.node('n3').status()).toMatchObject({
      ready: false,
      reason: expect.stringMatching(/^clock_suspect: the sponsor's clock is \d+ s ahead/),
    })
    cluster.skewMs.delete('n3')
    await cluster.until(() => cluster.node('n3').status().ready, 30_000)
    expect(cluster.get('n3', 'a')).toBe('v')
  })
})

describe('a node whose clock is ahead', () => {
  it('hides no later write behind a tombstone of its own (F4)', async () => {
    const cluster = await SmallCluster.of(3)
    cluster.skewMs.set('n3', 9_000)
    await cluster.put('n1', 'k', 'old', 'all')
    await cluster.put('n3', 'k', undefined, 'all')
    for (const [index, name] of ALL.entries()) {
      await cluster.put(name, 'k', `new ${index}`, 'all')
      expect(ALL.map((each) => cluster.get(each, 'k'))).toEqual(Array(3).fill(`new ${index}`))
    }
  })

  it('is the suspect one of three, and nobody else', async () => {
    const cluster = await SmallCluster.of(3)
    cluster.skewMs.set('n3', 60_000)
    await cluster.until(() => !cluster.node('n3').status().ready, 30_000)
    expect(cluster.node('n3').status().reason).toMatch(/^clock_suspect: .* ahead of those of 2 of 2 /)
    await cluster.time.advance(30_000)
    expect(ALL.map((name) => cluster.node(name).status().ready)).toEqual([true, true, false])
    expect(skewSeen(cluster, 'n1', 'n3')).toBeCloseTo(60_000, -1)
  })
})
