import type { Measures } from '@grapevine/core'
import { describe, expect, it } from 'vitest'
import { SmallCluster } from './small-cluster.ts'

const ALL = ['n1', 'n2', 'n3']

it('counts once a write that loses against a concurrent one, and none that was seen', async () => {
  let overwrites = 0
  const measures: Measures = {
    add: (name, by = 1) => (overwrites += name === 'concurrent_overwrites' ? by : 0),
    observe: () => {},
  }
  const cluster = new SmallCluster({}, 1, measures)
  await cluster.start('n1', { found: true })
  await cluster.until(() => cluster.node('n1').status().ready)
  await cluster.start('n2')
  await cluster.until(() => cluster.node('n2').status().ready)
  for (const value of ['a', 'b', 'c']) for (const name of ['n1', 'n2']) await cluster.put(name, 'k', value, 'all')
  expect(overwrites).toBe(0)

  // Their rumors cross.
  await Promise.all(['n1', 'n2'].map((name) => cluster.put(name, 'k', `of ${name}`)))
  await cluster.until(() => cluster.isConverged('n1', 'n2'), 60_000)
  expect(overwrites).toBe(1)
})

describe('a cluster of three', () => {
  it('founds, joins, and spreads a write to all by rumor alone', async () => {
    const cluster = await SmallCluster.of(3, { pullIntervalMs: 0, antiEntropyIntervalMs: 1e9 })
    await cluster.put('n1', 'k', 'v')
    expect(await cluster.until(() => ALL.every((name) => cluster.get(name, 'k') === 'v'), 1_000)).toBeLessThan(1_000)
  })

  it('converges by the vector pull alone', async () => {
    const cluster = await SmallCluster.of(3, { antiEntropyIntervalMs: 1e9 })
    for (const name of ALL) cluster.node(name).pause('rumors')
    for (let key = 0; key < 50; key++) await cluster.put('n1', `k${key}`, 'v')
    await cluster.put('n2', 'k7', undefined)
    await cluster.until(() => cluster.isConverged(...ALL), 20_000)
    expect(await cluster.contents('n3')).toEqual(await cluster.contents('n1'))
  })

  it('converges by the hash tree alone', async () => {
    const cluster = await SmallCluster.of(3, { pullIntervalMs: 0 })
    for (const name of ALL) cluster.node(name).pause('rumors')
    for (let key = 0; key < 50; key++) await cluster.put(ALL[key % 3] ?? '', `k${key}`, 'v')
    await cluster.until(() => cluster.isConverged(...ALL), 60_000)
    expect(await cluster.contents('n2')).toEqual(await cluster.contents('n1'))
  })

  it('asks one question in an exchange between equals', async () => {
    const cluster = await SmallCluster.of(3, { pullIntervalMs: 0, antiEntropyIntervalMs: 1e9 })
    for (let key = 0; key < 20; key++) await cluster.put('n1', `k${key}`, 'v')
    await cluster.until(() => cluster.isConverged(...ALL), 5_000)
    const report = await cluster.finish(cluster.node('n2').exchange(cluster.idOf('n1')))
    expect(report).toMatchObject({ result: 'equal', questions: 1, keysIn: 0, keysOut: 0 })
  })

  it('says exactly what differs, and that a member is not there', async () => {
    const cluster = await SmallCluster.of(3)
    await cluster.put('n1', 'same', 'v')
    await cluster.until(() => cluster.isConverged(...ALL), 20_000)
    for (const what of ['rumors', 'anti-entropy'] as const) cluster.node('n3').pause(what)
    for (let key = 0; key < 9; key++) await cluster.put('n1', `k${key}`, 'v')
    await cluster.put('n1', 'same', undefined)
    await cluster.until(() => cluster.isConverged('n1', 'n2'), 20_000)
    const divergence = await cluster.finish(cluster.node('n2').divergence())
    expect(divergence.converged).toBe(false)
    expect(divergence.pairs.find(({ a, b }) => [a, b].toSorted().join() === 'n1,n3')).toMatchObject({
      estimatedKeys: 10,
    })
    expect(divergence.pairs.find(({ a, b }) => [a, b].toSorted().join() === 'n1,n2')).toMatchObject({ leaves: 0 })
    const diff = await cluster.finish(cluster.node('n1').diff(cluster.idOf('n3'), 0, 100))
    expect(diff.keys.map(({ address, newer }) => [address.slice(7), newer])).toEqual(
      [...Array.from({ length: 9 }, (_, key) => `k${key}`), 'same'].map((key) => [key, 'a']),
    )
    const small = await cluster.finish(cluster.node('n1').diff(cluster.idOf('n3'), 0, 1))
    expect(small.nextLeaf).toBeGreaterThan(0)
    for (const what of ['rumors', 'anti-entropy'] as const) cluster.node('n3').resume(what)
    await cluster.until(() => cluster.isConverged(...ALL), 12_000)
    cluster.crash('n3')
    await cluster.until(
      () =>
        cluster
          .node('n1')
          .members()
          .some(({ state }) => state === 'dead'),
      10_000,
    )
    expect(await cluster.finish(cluster.node('n1').divergence())).toMatchObject({ converged: false })
  })

  it('counts members, dead or alive, for a quorum and for all', async () => {
    const cluster = await SmallCluster.of(3)
    expect(await cluster.put('n1', 'a', 'v', 'all')).toMatchObject({ kind: 'applied', acks: 3, members: 3 })
    expect(await cluster.put('n1', 'b', 'v', 'quorum')).toMatchObject({ kind: 'applied', acks: 2 })
    cluster.crash('n3')
    await cluster.until(
      () =>
        cluster
          .node('n1')
          .members()
          .some(({ state }) => state === 'dead'),
      10_000,
    )
    await expect(cluster.put('n1', 'c', 'v', 'all')).rejects.toMatchObject({
      code: 'quorum_not_met',
      outcome: 'not-applied',
    })
    expect(cluster.get('n1', 'c')).toBeUndefined()
    expect(await cluster.put('n1', 'd', 'v', 'quorum')).toMatchObject({ acks: 2 })
    cluster.node('n2').pause('rumors')
    await cluster.time.advance(100)
    await expect(cluster.put('n1', 'e', 'v', 'quorum')).rejects.toMatchObject({ code: 'quorum_not_met' })
    expect(await cluster.put('n1', 'f', 'v')).toMatchObject({ acks: 1 })
  })

  it('catches up a node that was away, and serves alone when the others are', async () => {
    const cluster = await SmallCluster.of(3)
    for (let key = 0; key < 30; key++) await cluster.put('n1', `k${key}`, 'old')
    await cluster.until(() => cluster.isConverged(...ALL), 20_000)
    cluster.crash('n3')
    for (let key = 0; key < 30; key++) await cluster.put('n2', `k${key}`, key % 3 === 0 ? undefined : 'new')
    await cluster.start('n3')
    await cluster.until(() => cluster.node('n3').status().ready && cluster.isConverged(...ALL), 20_000)
    expect(cluster.get('n3', 'k1')).toBe('new')
    expect(cluster.get('n3', 'k0')).toBeNull()
    for (const name of ALL) cluster.crash(name)
    await cluster.start('n2', { seeds: ['nowhere:1'] })
    await cluster.until(() => cluster.node('n2').status().ready, 8_000)
    expect(cluster.node('n2').status().joined).toBe(false)
    expect(await cluster.put('n2', 'alone', 'v')).toMatchObject({ kind: 'applied' })
  })

  it('is the same cluster after all its nodes were started again', async () => {
    const cluster = await SmallCluster.of(3)
    await cluster.put('n1', 'k', 'v', 'all')
    const before = cluster.node('n1').status().identity
    for (const name of ALL) await cluster.finish(cluster.node(name).stop())
    for (const name of ALL) await cluster.start(name, { found: name === 'n1' })
    await cluster.until(() => ALL.every((name) => cluster.node(name).status().ready), 20_000)
    expect(cluster.node('n1').status().identity).toMatchObject({ cluster: before.cluster, replica: before.replica })
    await cluster.put('n2', 'k', 'later')
    await cluster.until(() => ALL.every((name) => cluster.get(name, 'k') === 'later'), 5_000)
  })
})

describe('founding and joining', () => {
  it('says when a seed belongs to another cluster, and has nothing to do with it', async () => {
    const cluster = await SmallCluster.of(2)
    await cluster.start('stranger', { found: true, seeds: [] })
    cluster.crash('n1')
    cluster.crash('n2')
    await cluster.start('n2', { seeds: ['stranger:7701'] })
    await cluster.until(() => cluster.node('n2').status().ready)
    expect(cluster.warnings).toContain('n2: seed-of-another-cluster')
    expect(
      cluster
        .node('n2')
        .members()
        .map(({ name }) => name),
    ).not.toContain('stranger')
  })

  it('refuses a second founder while another cluster answers', async () => {
    const cluster = await SmallCluster.of(1)
    await cluster.start('n2', { found: true })
    await cluster.until(() => cluster.fatal('n2').length > 0, 10_000)
    expect(cluster.fatal('n2')[0]).toMatchObject({ code: 'cluster_exists' })
  })

  it('does not found before every seed has answered', async () => {
    const cluster = new SmallCluster()
    await cluster.start('n1', { found: true, seeds: ['n2:7701'] })
    await cluster.time.advance(5_000)
    expect(cluster.node('n1').status()).toMatchObject({ ready: false, reason: 'founding' })
    await cluster.start('n2', { seeds: ['n1:7701'] })
    await cluster.until(() => cluster.node('n2').status().ready, 20_000)
  })

  it('refuses a node that lost its data until it is told to rebuild', async () => {
    const cluster = await SmallCluster.of(3)
    for (let key = 0; key < 2_000; key++)
      cluster
        .node('n1')
        .write(write(`k${key}`))
        .catch(() => {})
    await cluster.until(
      () => cluster.node('n1').status().report.totals.values === 2_000 && cluster.isConverged(...ALL),
      20_000,
    )
    const former = cluster.idOf('n3')
    await cluster.wipe('n3')
    await cluster.start('n3')
    await cluster.until(() => cluster.fatal('n3').length > 0, 20_000)
    expect(cluster.fatal('n3')[0]).toMatchObject({ code: 'name_taken', message: expect.stringContaining('live node') })
    cluster.crash('n3')
    await cluster.until(
      () =>
        cluster
          .node('n1')
          .members()
          .some(({ state }) => state === 'dead'),
      15_000,
    )
    await cluster.start('n3')
    await cluster.until(() => cluster.fatal('n3').length > 1, 20_000)
    expect(cluster.fatal('n3')[1]).toMatchObject({ code: 'name_taken', message: expect.stringContaining('--rebuild') })
    cluster.crash('n3')
    await cluster.start('n3', { rebuild: true })
    await cluster.until(() => cluster.node('n3').status().ready, 20_000)
    expect(cluster.idOf('n3')).not.toBe(former)
    expect(cluster.node('n3').status().report.totals.values).toBe(2_000)
    expect(cluster.isConverged(...ALL)).toBe(true)
    expect(
      cluster
        .node('n2')
        .members()
        .map(({ name }) => name)
        .toSorted(),
    ).toEqual(ALL)
    expect(await cluster.put('n2', 'after', 'v', 'all')).toMatchObject({ acks: 3, members: 3 })
  })

  it('tells a member that it was evicted, also when it was away meanwhile', async () => {
    const cluster = await SmallCluster.of(3)
    const former = cluster.idOf('n3')
    cluster.cut.add('n3>*')
    await cluster.until(
      () =>
        cluster
          .node('n1')
          .members()
          .some(({ state }) => state === 'dead'),
      15_000,
    )
    await cluster.start('n4', { as: 'n3', rebuild: true })
    await cluster.until(() => cluster.node('n4').status().ready, 20_000)
    expect(
      cluster
        .node('n1')
        .members()
        .map(({ replica }) => replica),
    ).not.toContain(former)
    cluster.cut.clear()
    await cluster.until(() => cluster.fatal('n3').length > 0, 60_000)
    expect(cluster.fatal('n3')[0]).toMatchObject({ code: 'evicted', message: expect.stringContaining('--rebuild') })
    expect(cluster.node('n3').status()).toMatchObject({ ready: false, reason: 'evicted' })
  })

  it('is let in once more when it crashed with the answer of its sponsor on the way', async () => {
    const cluster = await SmallCluster.of(2)
    const joinAs = 'd'.repeat(16)
    for (const options of [{ joinAs }, {}]) {
      cluster.onAnswered = (from, _to, name) => {
        if (from === 'n3' && name === 'join') cluster.crash('n3')
      }
      await cluster.start('n3', options)
      await cluster.until(() => !cluster.isRunning('n3'), 20_000)
      cluster.onAnswered = () => {}
      await cluster.wipe('n3')
      // Both have heard of it by then, whichever let it in.
      await cluster.time.advance(1_000)
      await cluster.start('n3', options)
      if (options.joinAs === undefined) break
      await cluster.until(() => cluster.node('n3').status().ready, 20_000)
      expect(cluster.idOf('n3')).toBe(joinAs)
      cluster.crash('n3')
      await cluster.finish(cluster.node('n1').evict(joinAs))
      await cluster.wipe('n3')
    }
    // By another id it is a stranger who bears the name of the one that was let in.
    await cluster.until(() => cluster.fatal('n3').length > 0, 20_000)
    expect(cluster.fatal('n3')[0]).toMatchObject({ code: 'name_taken' })
  })

  it('goes on joining after a crash in the middle of it', async () => {
    const cluster = await SmallCluster.of(2)
    for (let key = 0; key < 50; key++) await cluster.put('n1', `k${key}`, 'v')
    cluster.node('n1').pause('anti-entropy')
    cluster.node('n2').pause('anti-entropy')
    await cluster.start('n3')
    await cluster.until(() => cluster.node('n3').status().identity.stage === 'joining', 20_000)
    await cluster.time.advance(40_000)
    const joining = cluster.idOf('n3')
    cluster.crash('n3')
    await cluster.start('n3')
    await cluster.time.advance(40_000)
    expect([cluster.fatal('n3'), cluster.node('n3').status().ready]).toEqual([[], false])
    cluster.node('n1').resume('anti-entropy')
    cluster.node('n2').resume('anti-entropy')
    await cluster.until(() => cluster.node('n3').status().ready, 20_000)
    expect(cluster.idOf('n3')).toBe(joining)
    expect(cluster.isConverged(...ALL)).toBe(true)
  })

  it('keeps vectors equal over many restarts, each of which adds a writer', async () => {
    const cluster = await SmallCluster.of(3)
    for (let restart = 0; restart < 8; restart++) {
      const name = ALL[restart % 3] ?? 'n1'
      for (let key = 0; key < 300; key++)
        cluster
          .node(name)
          .write(write(`k${key}`))
          .catch(() => {})
      await cluster.until(() => cluster.isConverged(...ALL), 20_000)
      cluster.crash(name)
      await cluster.start(name)
      await cluster.until(() => cluster.node(name).status().ready, 20_000)
    }
    await cluster.time.advance(20_000)
    cluster.asked.length = 0
    await cluster.time.advance(20_000)
    expect(cluster.asked.filter(({ name }) => name === 'missed-entries')).toEqual([])
  })

  it('lets a joiner write only after every live member knows it', async () => {
    const cluster = await SmallCluster.of(2)
    cluster.cut.add('n3>n2')
    await cluster.start('n3', { seeds: ['n1:7701'] })
    await cluster.time.advance(3_000)
    expect(cluster.node('n3').status().ready).toBe(false)
    await expect(cluster.put('n3', 'k', 'v')).rejects.toMatchObject({ code: 'not_ready', outcome: 'not-applied' })
    cluster.cut.clear()
    await cluster.until(() => cluster.node('n3').status().ready, 20_000)
    expect(await cluster.put('n3', 'k', 'v', 'all')).toMatchObject({ acks: 3 })
  })
})

function write(key: string): Parameters<ReturnType<SmallCluster['node']>['write']>[0] {
  return {
    address: `things\0${key}`,
    value: Buffer.from('v'),
    contentType: 'text/plain',
    expiresAtMs: 0,
    w: 1,
    timeoutMs: 2_000,
  }
}
