import { addressOf, bytesOf, type Precondition } from '@grapevine/core'
import { describe, expect, it } from 'vitest'
import { SmallCluster, sha256, valueOf } from './small-cluster.ts'

/** Nothing spreads by itself but rumors, and those can be paused. */
const STILL = { pullIntervalMs: 600_000, antiEntropyIntervalMs: 600_000, purgeIntervalMs: 600_000 }
const KEY = addressOf('things', 'a')

async function stillCluster(nodes = 3): Promise<SmallCluster> {
  const cluster = await SmallCluster.of(nodes, STILL)
  pauseRumors(cluster, nodes)
  await cluster.time.advance(100)
  return cluster
}

function pauseRumors(cluster: SmallCluster, nodes: number): void {
  for (let node = 1; node <= nodes; node++) cluster.node(`n${node}`).pause('rumors')
}

async function readFrom(cluster: SmallCluster, name: string, members: 'quorum' | 'all' = 'quorum'): Promise<unknown> {
  return valueOf(await cluster.finish(cluster.node(name).readFrom(KEY, members, 2_000)))
}

const write = (cluster: SmallCluster, name: string, value: string, precondition: Precondition, w: 'quorum' | 1) =>
  cluster.finish(
    cluster.node(name).write({
      address: KEY,
      value: Buffer.from(value),
      contentType: '',
      expiresAtMs: 0,
      precondition,
      w,
      timeoutMs: 2_000,
    }),
  )

describe('a read by quorum', () => {
  it('sees what any two of three hold, and repairs whoever was behind', async () => {
    const cluster = await stillCluster()
    await cluster.put('n1', 'a', 'old')
    await cluster.time.advance(10)
    await cluster.put('n2', 'a', 'new')
    cluster.crash('n1')
    expect(cluster.get('n3', 'a')).toBeUndefined()
    expect(await readFrom(cluster, 'n3')).toBe('new')
    expect(cluster.get('n3', 'a')).toBe('new')
    await cluster.start('n1')
    await cluster.until(() => cluster.node('n3').livePeers().length === 2)
    expect(await readFrom(cluster, 'n3', 'all')).toBe('new')
    await cluster.until(() => cluster.get('n1', 'a') === 'new', 1_000)
  })

  it('sees every write by quorum that was acknowledged before it began, wherever it is asked', async () => {
    const cluster = await SmallCluster.of(3, STILL)
    for (let round = 0; round < 12; round++) {
      const [writer, away] = [`n${1 + (round % 3)}`, `n${1 + ((round + 1) % 3)}`]
      // One of the three hears nothing of it.
      cluster.cut.add(`${writer}>${away}`)
      const value = round % 5 === 4 ? undefined : `v${round}`
      await cluster.put(writer, 'a', value, 'quorum')
      cluster.cut.clear()
      for (const reader of ['n1', 'n2', 'n3']) expect(await readFrom(cluster, reader)).toBe(value ?? null)
    }
  })

  it('asks for nothing to be sent that is no newer', async () => {
    const cluster = await SmallCluster.of(3, STILL)
    await cluster.put('n1', 'a', 'x', 'all')
    cluster.asked.length = 0
    expect(await readFrom(cluster, 'n2', 'all')).toBe('x')
    const questions = cluster.asked.filter(({ name }) => name === 'newest-entry')
    expect(questions.map(({ to }) => to).toSorted()).toEqual(['n1', 'n3'])
  })

  it('is refused at once where too few are live, and is over in time where they are silent', async () => {
    const cluster = await stillCluster()
    await cluster.put('n1', 'a', 'x')
    cluster.crash('n2')
    await cluster.until(() => cluster.node('n1').livePeers().length === 1)
    await expect(readFrom(cluster, 'n1', 'all')).rejects.toMatchObject({ code: 'quorum_not_met' })
    expect(await readFrom(cluster, 'n1')).toBe('x')
    cluster.cut.add('n1>n3')
    const startedMs = cluster.time.monotonicMs()
    await expect(readFrom(cluster, 'n1')).rejects.toMatchObject({ code: 'timeout' })
    expect(cluster.time.monotonicMs() - startedMs).toBeLessThan(2_100)
    cluster.cut.clear()
    cluster.crash('n3')
    await expect(readFrom(cluster, 'n1')).rejects.toMatchObject({ code: 'quorum_not_met' })
    expect(cluster.get('n1', 'a')).toBe('x')
  })

  it('does not count a node that may have lost the row among those it needs', async () => {
    const cluster = await SmallCluster.of(3, STILL)
    cluster.cut.add('n3>*')
    await cluster.put('n1', 'a', 'x', 'quorum')
    pauseRumors(cluster, 3)
    const lost = [`e${KEY}`, `h${sha256.sha256(bytesOf(KEY))}`]
    for (const row of lost) await cluster.database('n1').del(Buffer.from(row, 'latin1'))
    cluster.cut.clear()
    // Now the one other that can be asked is the one that never had it.
    cluster.cut.add('n1>n2')
    cluster.node('n1').scrub()
    await cluster.until(() => cluster.node('n1').scrubReport()?.running === false)
    expect(cluster.node('n1').status().suspectLeaves).toBe(1)
    await expect(readFrom(cluster, 'n1')).rejects.toMatchObject({ code: 'timeout' })
    cluster.cut.clear()
    expect(await readFrom(cluster, 'n1')).toBe('x')
  })

  it('of one node is what it holds', async () => {
    const cluster = await SmallCluster.of(1)
    await cluster.put('n1', 'a', 'x')
    expect(await readFrom(cluster, 'n1')).toBe('x')
    expect(await readFrom(cluster, 'n1', 'all')).toBe('x')
  })
})

describe('a write by quorum on a condition', () => {
  it('is held against the newest of what a majority holds', async () => {
    const cluster = await SmallCluster.of(3, STILL)
    cluster.cut.add('n1>n3')
    await cluster.put('n1', 'a', 'x', 'quorum')
    cluster.cut.clear()
    expect(cluster.get('n3', 'a')).toBeUndefined()
    const absent: Precondition = { kind: 'absent' }
    const failed = await write(cluster, 'n3', 'y', absent, 'quorum')
    expect(failed).toMatchObject({ kind: 'precondition-failed', scope: 'quorum' })
    expect(await write(cluster, 'n3', 'y', { kind: 'present' }, 'quorum')).toMatchObject({ kind: 'applied' })
    expect(await write(cluster, 'n3', 'z', absent, 1)).toMatchObject({ kind: 'precondition-failed', scope: 'node' })
  })

  it('is not applied when a majority cannot be asked', async () => {
    const cluster = await SmallCluster.of(3, STILL)
    cluster.cut.add('n1>*')
    await expect(write(cluster, 'n1', 'y', { kind: 'absent' }, 'quorum')).rejects.toMatchObject({
      code: 'timeout',
      outcome: 'not-applied',
    })
    expect(cluster.get('n1', 'a')).toBeUndefined()
  })
})
