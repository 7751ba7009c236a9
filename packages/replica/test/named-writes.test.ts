import { addressOf, etagOf, type WriteName } from '@grapevine/core'
import { describe, expect, it } from 'vitest'
import type { WriteRequest } from '../src/index.ts'
import { SmallCluster } from './small-cluster.ts'

const NAME: WriteName = { id: 'i'.repeat(16), fingerprint: 'f'.repeat(8) }

/** The etag and the acknowledgements of the answer. */
async function write(cluster: SmallCluster, node: string, more: Partial<WriteRequest> = {}): Promise<[string, number]> {
  const result = await cluster.finish(
    cluster.node(node).write({
      address: addressOf('things', 'k'),
      value: Buffer.from('v'),
      contentType: 'text/plain',
      expiresAtMs: 0,
      name: NAME,
      w: 1,
      timeoutMs: 2_000,
      ...more,
    }),
  )
  if (result.kind !== 'applied') throw new Error(result.kind)
  return [etagOf(result.version), result.acks]
}

describe('a write with a name', () => {
  it('is answered with the first receipt by every node that has received it', async () => {
    const cluster = await SmallCluster.of(3)
    const [etag] = await write(cluster, 'n1', { w: 'all' })
    for (const node of ['n1', 'n2', 'n3']) expect(await write(cluster, node)).toEqual([etag, 1])
    await expect(write(cluster, 'n2', { name: { ...NAME, fingerprint: 'other---' } })).rejects.toMatchObject({
      code: 'idempotency_mismatch',
      outcome: 'not-applied',
    })
  })

  it.each([
    ['pulls', { antiEntropyIntervalMs: 3_600_000 }],
    ['exchanges', { pullIntervalMs: 0, antiEntropyIntervalMs: 1_000 }],
  ])('travels with its entry by %s as well', async (_, settings) => {
    const cluster = await SmallCluster.of(2, settings)
    cluster.node('n1').pause('rumors')
    const [etag] = await write(cluster, 'n1')
    await cluster.until(() => cluster.get('n2', 'k') === 'v')
    expect(await write(cluster, 'n2')).toEqual([etag, 1])
  })

  it('is a new one on a node that has not received it, and the first receipt of each node stays', async () => {
    const cluster = await SmallCluster.of(2)
    cluster.cut.add('n1>n2')
    const [first] = await write(cluster, 'n1')
    const [second] = await write(cluster, 'n2')
    expect(second).not.toBe(first)
    cluster.cut.clear()
    await cluster.until(() => cluster.isConverged('n1', 'n2'))
    expect(await write(cluster, 'n1')).toEqual([first, 1])
    expect(await write(cluster, 'n2')).toEqual([second, 1])
  })

  it('comes to a joiner with the data', async () => {
    const cluster = await SmallCluster.of(2)
    const [etag] = await write(cluster, 'n1')
    await cluster.start('n3')
    await cluster.until(() => cluster.node('n3').status().ready)
    expect(await write(cluster, 'n3')).toEqual([etag, 1])
  })

  it('is answered after its tombstone was purged, with all members, and after a restart', async () => {
    const cluster = await SmallCluster.of(2)
    const remove = { value: undefined, contentType: '' }
    const [etag] = await write(cluster, 'n1', remove)
    await cluster.until(() => cluster.node('n1').read(addressOf('things', 'k')) === undefined)
    await cluster.time.advance(30_000)
    expect(await cluster.contents('n1')).toEqual(new Map())
    expect(await write(cluster, 'n1', { ...remove, w: 'all' })).toEqual([etag, 2])
    cluster.crash('n1')
    await cluster.start('n1')
    await cluster.until(() => cluster.node('n1').status().ready)
    expect(await write(cluster, 'n1', remove)).toEqual([etag, 2])
  })

  it('gathers its acknowledgements when it is repeated, and only then counts as confirmed', async () => {
    const cluster = await SmallCluster.of(3)
    cluster.cut.add('n1>*')
    // Seen as live for a while longer: the write goes in, and nobody confirms it.
    await expect(write(cluster, 'n1', { w: 'quorum' })).rejects.toMatchObject({ code: 'timeout', outcome: 'unknown' })
    cluster.cut.clear()
    // Until what was sent into the cut has been given up.
    await cluster.time.advance(10_000)
    await cluster.until(() => cluster.node('n1').livePeers().length === 2)
    const [etag, acks] = await write(cluster, 'n1', { w: 'all' })
    expect(acks).toBe(3)
    for (const node of ['n1', 'n2', 'n3']) {
      const held = cluster.node(node).read(addressOf('things', 'k'))
      expect(typeof held === 'object' && etagOf(held.version)).toBe(etag)
    }
  })

  it('keeps the expiry that it had first', async () => {
    const cluster = await SmallCluster.of(1)
    const expiresAtMs = cluster.time.wallMs() + 60_000
    await write(cluster, 'n1', { expiresAtMs })
    await cluster.time.advance(1_000)
    const again = await cluster.finish(
      cluster.node('n1').write({
        address: addressOf('things', 'k'),
        value: Buffer.from('v'),
        contentType: 'text/plain',
        expiresAtMs: expiresAtMs + 1_000,
        name: NAME,
        w: 1,
        timeoutMs: 2_000,
      }),
    )
    expect(again).toMatchObject({ kind: 'applied', expiresAtMs })
  })

  it('is forgotten after a day, and so is its receipt on disk', async () => {
    const cluster = await SmallCluster.of(1)
    const [first] = await write(cluster, 'n1')
    cluster.skewMs.set('n1', 86_400_000)
    await cluster.time.advance(15_000)
    const kinds: string[] = []
    for await (const [row] of cluster.database('n1').iterator()) kinds.push(row.toString('latin1', 0, 1))
    expect(kinds.filter((kind) => kind === 'i' || kind === 'k')).toEqual([])
    expect((await write(cluster, 'n1'))[0]).not.toBe(first)
  })
})
