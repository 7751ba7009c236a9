import {
  addressOf,
  bytesOf,
  compareHlc,
  leafOf,
  partitionOf,
  sealEntry,
  VersionVector,
  WriteError,
  type Entry,
} from '@grapevine/core'
import { addDigest, entryDigest, HashTree } from '@grapevine/merkle'
import { describe, expect, it, vi } from 'vitest'
import { sha256, SmallCluster } from './small-cluster.ts'
import { importInto, rowsOf, snapshotOf, type Snapshot } from './snapshots.ts'

vi.setConfig({ testTimeout: 60_000 })

const ALL = ['n1', 'n2', 'n3']
const KEYS = Array.from({ length: 40 }, (_, index) => `k${index}`)

async function putAll(cluster: SmallCluster, value: string | undefined, names = ALL): Promise<void> {
  for (const [index, key] of KEYS.entries()) await cluster.put(names[index % names.length] ?? 'n1', key, value)
}

function arePurged(cluster: SmallCluster, names: readonly string[] = ALL): boolean {
  return names.every((name) => cluster.node(name).status().report.totals.tombstones === 0)
}

describe('a moment', () => {
  it('is one moment of rows, vectors, root and promise, however much is written meanwhile', async () => {
    const cluster = await SmallCluster.of(1)
    const node = cluster.node('n1')
    const written: { hlc: Entry['version']['hlc'] }[] = []
    const moments: Promise<Snapshot & { acknowledged: number }>[] = []
    const writes = Array.from({ length: 400 }, async (_, index) => {
      // Of different lengths, so that moments are asked for in the middle of groups, and between planning and landing.
      for (let turn = 0; turn < index % 60; turn++) await (turn % 3 === 0 ? nextTick() : Promise.resolve())
      if (index % 20 === 7) {
        const acknowledged = written.length
        moments.push(node.moment().then(async (moment) => ({ ...(await rowsOf(moment)), acknowledged })))
      }
      const result = await node.write({
        address: addressOf('things', `k${index % 90}`),
        value: index % 5 === 0 ? undefined : Buffer.from(`v${index}`),
        contentType: '',
        expiresAtMs: 0,
        w: 1,
        timeoutMs: 60_000,
      })
      if (result.kind === 'applied') written.push(result.version)
    })
    await cluster.finish(Promise.all(writes))
    const taken = await cluster.finish(Promise.all(moments))
    expect(taken).toHaveLength(20)
    expect(new Set(taken.map(({ entries }) => entries.length)).size).toBeGreaterThan(1)
    for (const { acknowledged, entries, promise, root, totals, vectors } of taken) {
      const sums = new Uint8Array(65_536 * 32)
      const seen = vectors.map((rows) => VersionVector.of(rows))
      for (const entry of entries) {
        const leaf = leafOf(entry.keyHash)
        addDigest(sums.subarray(leaf * 32, leaf * 32 + 32), entryDigest(entry, sha256))
        expect(seen[partitionOf(entry.keyHash)]?.covers(entry.dot)).toBe(true)
        expect(compareHlc(entry.version.hlc, promise)).toBeLessThanOrEqual(0)
      }
      expect(new HashTree(sha256, sums).root()).toBe(root)
      expect(totals.values + totals.tombstones).toBe(entries.length)
      // V and H tell of the same writes, and of all that were acknowledged before.
      const dots = vectors.flatMap((rows) => rows.map(([, ranges]) => ranges[1] ?? 0))
      const upToPromise = written.filter(({ hlc }) => compareHlc(hlc, promise) <= 0).length
      expect(dots.reduce((sum, dot) => sum + dot, 0)).toBe(upToPromise)
      expect(upToPromise).toBeGreaterThanOrEqual(acknowledged)
    }
  })
})

describe('a snapshot taken into a running cluster (R17)', () => {
  it('brings back nothing that was deleted since, neither before nor after the purge', async () => {
    const cluster = await SmallCluster.of(3)
    await putAll(cluster, 'value')
    await cluster.until(() => cluster.isConverged(...ALL))
    const { entries } = await snapshotOf(cluster, 'n1')
    await putAll(cluster, undefined)
    await cluster.until(() => cluster.isConverged(...ALL))
    expect(await importInto(cluster, 'n2', entries)).toEqual({ superseded: 40 })
    await cluster.until(() => arePurged(cluster), 30_000)
    expect(await importInto(cluster, 'n2', entries)).toEqual({ refused: 40 })
    await cluster.time.advance(60_000)
    for (const name of ALL) expect(await cluster.contents(name)).toEqual(new Map())
    expect(cluster.isConverged(...ALL)).toBe(true)
    expect(cluster.errors).toEqual([])
  })

  it('says of what is the same that it is there, and changes nothing', async () => {
    const cluster = await SmallCluster.of(1)
    await putAll(cluster, 'value', ['n1'])
    const { entries, root } = await snapshotOf(cluster, 'n1')
    expect(await importInto(cluster, 'n1', entries)).toEqual({ known: 40 })
    expect(cluster.root('n1')).toBe(root)
  })

  it('takes in what nobody had seen, above the promise, and all members come to hold it', async () => {
    const cluster = await SmallCluster.of(3)
    await putAll(cluster, 'value')
    await cluster.until(() => cluster.isConverged(...ALL))
    const tail = await tailOfLost(cluster)
    expect(await importInto(cluster, 'n1', tail)).toEqual({ news: 3 })
    await cluster.until(() => cluster.get('n2', 'tail1') === 'lost')
    expect(['n1', 'n2'].map((name) => cluster.get(name, 'tail2'))).toEqual(['lost', 'lost'])
    expect(cluster.isConverged('n1', 'n2')).toBe(true)
  })

  it('quarantines what nobody had seen when newer things have happened since: unchanged, uncovered, and named', async () => {
    const cluster = await SmallCluster.of(3)
    await cluster.put('n1', 'tail0', 'old', 'all')
    const tail = await tailOfLost(cluster)
    await cluster.put('n1', 'tail1', 'newer')
    await cluster.put('n2', 'other', 'x')
    await cluster.until(() => cluster.isConverged('n1', 'n2'))
    const before = await snapshotOf(cluster, 'n1')
    // tail0 is held in an older version, tail1 in a newer one, tail2 not at all.
    expect(await cluster.finish(cluster.node('n1').importEntries(tail))).toEqual([
      'quarantined',
      'outdated',
      'quarantined',
    ])
    const after = await snapshotOf(cluster, 'n1')
    expect([after.root, after.vectors]).toEqual([before.root, before.vectors])
    await cluster.time.advance(30_000)
    expect(['n1', 'n2'].map((name) => cluster.get(name, 'tail2'))).toEqual([undefined, undefined])
  })

  it('leaves out what is beyond the drift, and takes the rest', async () => {
    const cluster = await SmallCluster.of(1)
    const early = sealed('early', cluster.time.wallMs() + 60_000)
    const inTime = sealed('in-time', cluster.time.wallMs() + 5_000)
    expect(await cluster.finish(cluster.node('n1').importEntries([early, inTime]))).toEqual(['beyond-drift', 'news'])
    expect(cluster.get('n1', 'in-time')).toBe('imported')
    expect(cluster.node('n1').status().parked).toBe(0)
  })

  it('is refused by a node that is not a member yet', async () => {
    const cluster = await SmallCluster.of(1)
    cluster.cut.add('n2>*')
    await cluster.start('n2')
    await cluster.time.advance(5_000)
    const refused = cluster.node('n2').importEntries([sealed('a', cluster.time.wallMs())])
    await expect(cluster.finish(refused)).rejects.toMatchObject({ code: 'not_ready', outcome: 'not-applied' })
    await expect(refused).rejects.toBeInstanceOf(WriteError)
  })
})

function nextTick(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve))
}

/** Three writes that only n3 had, out of a copy of what it held; n3 is gone for good then. */
async function tailOfLost(cluster: SmallCluster): Promise<readonly Entry[]> {
  cluster.cut.add('n3>*')
  await cluster.time.advance(1_000)
  for (const key of ['tail0', 'tail1', 'tail2']) await cluster.put('n3', key, 'lost')
  const { entries } = await snapshotOf(cluster, 'n3')
  const id = cluster.idOf('n3')
  cluster.crash('n3')
  await cluster.finish(cluster.node('n1').evict(id))
  await cluster.time.advance(2_000)
  return entries.filter(({ address }) => address.includes('tail'))
}

function sealed(key: string, wallMs: number): Entry {
  const address = addressOf('things', key)
  return sealEntry(
    {
      address,
      keyHash: sha256.sha256(bytesOf(address)),
      version: { hlc: { wallMs, counter: 0 }, replica: 'e'.repeat(16) },
      dot: { writer: 'f'.repeat(16), seq: 1 },
      expiresAtMs: 0,
      contentType: '',
      value: Buffer.from('imported'),
    },
    sha256,
  )
}
