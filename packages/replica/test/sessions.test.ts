import { addressOf, bytesOf, partitionOf, SessionToken, type SessionStanding, type Sighting } from '@grapevine/core'
import { describe, expect, it } from 'vitest'
import type { WriteResult } from '../src/index.ts'
import { sha256, SmallCluster } from './small-cluster.ts'

/** Nothing spreads by itself: neither rumors, nor pulls, nor exchanges. */
const STILL = { pullIntervalMs: 600_000, antiEntropyIntervalMs: 600_000, purgeIntervalMs: 600_000 }

const partitionAt = (key: string): number => partitionOf(sha256.sha256(bytesOf(addressOf('things', key))))

async function stillCluster(nodes = 3): Promise<SmallCluster> {
  const cluster = await SmallCluster.of(nodes, STILL)
  for (let node = 1; node <= nodes; node++) cluster.node(`n${node}`).pause('rumors')
  await cluster.time.advance(100)
  return cluster
}

function applied(result: WriteResult): Sighting {
  if (result.kind !== 'applied' || result.seen === undefined) throw new Error('the write was not applied')
  return result.seen
}

function sessionOf(cluster: SmallCluster, ...sightings: readonly Sighting[]): SessionToken {
  const token = new SessionToken(cluster.node('n1').seen.cluster)
  for (const sighting of sightings) token.see(sighting)
  return token
}

async function waitFor(
  cluster: SmallCluster,
  name: string,
  token: SessionToken,
  key?: string,
): Promise<{ standing: SessionStanding; tookMs: number }> {
  const startedMs = cluster.time.monotonicMs()
  const partition = key === undefined ? undefined : partitionAt(key)
  const seen = cluster.node(name).untilSeen(token, partition, 5_000)
  return cluster.finish(seen.then((standing) => ({ standing, tookMs: cluster.time.monotonicMs() - startedMs })))
}

describe('a replica that is behind a session', () => {
  it('fetches what is lacking from whoever wrote it, in one question', async () => {
    const cluster = await stillCluster()
    const token = sessionOf(cluster, applied(await cluster.put('n3', 'a', 'x')))
    expect(cluster.get('n1', 'a')).toBeUndefined()
    cluster.asked.length = 0
    const { standing, tookMs } = await waitFor(cluster, 'n1', token, 'a')
    expect(standing).toBe('seen')
    expect(tookMs).toBeLessThan(10)
    expect(cluster.get('n1', 'a')).toBe('x')
    expect(cluster.asked.filter(({ name }) => name === 'missed-entries')).toEqual([
      { from: 'n1', to: 'n3', name: 'missed-entries' },
    ])
  })

  it('answers at once for a key that the session has seen nothing of', async () => {
    const cluster = await stillCluster()
    const token = sessionOf(cluster, applied(await cluster.put('n3', 'a', 'x')))
    expect(await waitFor(cluster, 'n1', token, 'b')).toEqual({ standing: 'seen', tookMs: 0 })
    expect(cluster.get('n1', 'a')).toBeUndefined()
    // A list shows every key.
    expect((await waitFor(cluster, 'n1', token)).standing).toBe('seen')
    expect(cluster.get('n1', 'a')).toBe('x')
  })

  it('asks the others when the writer is away', async () => {
    const cluster = await stillCluster()
    const token = sessionOf(cluster, applied(await cluster.put('n3', 'a', 'x')))
    await waitFor(cluster, 'n2', token, 'a')
    cluster.crash('n3')
    expect((await waitFor(cluster, 'n1', token, 'a')).standing).toBe('seen')
    expect(cluster.get('n1', 'a')).toBe('x')
  })

  it('does not wait for a member that does not answer while another one could', async () => {
    const cluster = await stillCluster()
    const token = sessionOf(cluster, applied(await cluster.put('n3', 'a', 'x')))
    await waitFor(cluster, 'n2', token, 'a')
    cluster.cut.add('n1>n3')
    const { standing, tookMs } = await waitFor(cluster, 'n1', token, 'a')
    expect(standing).toBe('seen')
    expect(tookMs).toBeLessThan(100)
  })

  it('waits in vain when nobody it reaches has it, and is not stale then', async () => {
    const cluster = await stillCluster()
    const token = sessionOf(cluster, applied(await cluster.put('n3', 'a', 'x')))
    cluster.crash('n3')
    const { standing, tookMs } = await waitFor(cluster, 'n1', token, 'a')
    expect(standing).toBe('lacking')
    expect(tookMs).toBeGreaterThanOrEqual(5_000)
    expect(tookMs).toBeLessThan(5_100)
  })

  it('may not ask while that is paused, and asks as soon as it may', async () => {
    const cluster = await stillCluster(2)
    cluster.node('n1').pause('anti-entropy')
    const token = sessionOf(cluster, applied(await cluster.put('n2', 'a', 'x')))
    const waiting = cluster.node('n1').untilSeen(token, partitionAt('a'), 30_000)
    await cluster.time.advance(3_000)
    for (const name of ['n1', 'n2']) cluster.node(name).resume('rumors')
    await cluster.time.advance(100)
    await cluster.put('n2', 'a', 'y')
    // The rumor brings the newer version, but not the number of the older one: that takes a pull.
    await cluster.until(() => cluster.get('n1', 'a') === 'y')
    cluster.node('n1').resume('anti-entropy')
    expect(await cluster.finish(waiting)).toBe('seen')
  })

  it('asks once for what many wait for', async () => {
    const cluster = await stillCluster(2)
    const keys = Array.from({ length: 60 }, (_, index) => `k${index}`)
    const sightings: Sighting[] = []
    for (const key of keys) sightings.push(applied(await cluster.put('n2', key, 'x')))
    cluster.asked.length = 0
    const waits = keys.map((key, index) => {
      const sighting = sightings[index]
      const token = sessionOf(cluster, ...(sighting === undefined ? [] : [sighting]))
      return cluster.node('n1').untilSeen(token, partitionAt(key), 5_000)
    })
    expect(new Set(await cluster.finish(Promise.all(waits)))).toEqual(new Set(['seen']))
    expect(cluster.asked.filter(({ name }) => name === 'missed-entries').length).toBeLessThanOrEqual(3)
  })
})

describe('a write that a session makes', () => {
  it('is later than what the session has seen, whatever the clock of its coordinator says', async () => {
    const cluster = await stillCluster()
    cluster.skewMs.set('n3', 4_000)
    const before = applied(await cluster.put('n3', 'a', 'x'))
    const session = sessionOf(cluster, before)
    const write = cluster.node('n1').write({
      address: addressOf('things', 'a'),
      value: Buffer.from('y'),
      contentType: '',
      expiresAtMs: 0,
      after: session.hlc,
      w: 1,
      timeoutMs: 1_000,
    })
    session.see(applied(await cluster.finish(write)))
    expect((await waitFor(cluster, 'n2', session, 'a')).standing).toBe('seen')
    expect(cluster.get('n2', 'a')).toBe('y')
  })
})

describe('what nobody has any more', () => {
  it('is a gap once every member was asked, and not before', async () => {
    const cluster = await stillCluster()
    const token = sessionOf(cluster, applied(await cluster.put('n3', 'a', 'x')))
    const lost = cluster.idOf('n3')
    cluster.crash('n3')
    expect((await waitFor(cluster, 'n1', token, 'a')).standing).toBe('lacking')
    await cluster.finish(cluster.node('n1').evict(lost))
    const { standing, tookMs } = await waitFor(cluster, 'n1', token, 'a')
    expect(standing).toBe('gap')
    expect(tookMs).toBeLessThan(1_000)
    expect(
      cluster
        .node('n1')
        .seen.lost(partitionAt('a'))
        ?.contains(token.rows(partitionAt('a'))),
    ).toBe(true)
    // It is remembered, so nobody waits for it again.
    expect(await waitFor(cluster, 'n1', token, 'a')).toEqual({ standing: 'gap', tookMs: 0 })

    cluster.crash('n2')
    const other = sessionOf(cluster, {
      ...applied(await cluster.put('n1', 'b', 'x')),
      dot: { writer: 'e'.repeat(16), seq: 1 },
    })
    expect((await waitFor(cluster, 'n1', other, 'b')).standing).toBe('lacking')
  })
})

describe('a session that has seen too much for its token', () => {
  it('is satisfied where it was, and elsewhere once the frontier has passed it', async () => {
    const cluster = await stillCluster()
    const token = sessionOf(cluster, applied(await cluster.put('n3', 'a', 'x')))
    await waitFor(cluster, 'n1', token)
    token.generalise(cluster.node('n1').seen)
    expect(token.floor?.reachedAt).toEqual([cluster.idOf('n1')])
    expect(await waitFor(cluster, 'n1', token)).toEqual({ standing: 'seen', tookMs: 0 })
    expect(cluster.get('n2', 'a')).toBeUndefined()

    // n2 lacks it, so the frontier cannot pass; nothing brings it here but the exchange between all.
    const waiting = cluster.node('n2').untilSeen(token, partitionAt('a'), 60_000)
    await cluster.time.advance(5_000)
    await cluster.finish(cluster.node('n2').exchange(cluster.idOf('n1')))
    expect(await cluster.finish(waiting)).toBe('seen')
    expect(cluster.get('n2', 'a')).toBe('x')

    const later = sessionOf(cluster, applied(await cluster.put('n3', 'b', 'x')))
    later.generalise(undefined)
    cluster.crash('n1')
    expect((await waitFor(cluster, 'n3', later)).standing).toBe('lacking')
  })
})
