import { addressOf, bytesOf, leafOf, partitionOf } from '@grapevine/core'
import { describe, expect, it } from 'vitest'
import { SmallCluster, sha256, valueOf } from './small-cluster.ts'

const ALL = ['n1', 'n2', 'n3']
const PATIENT = { pullIntervalMs: 1_000, antiEntropyIntervalMs: 1e9 }

function rowOf(key: string): Buffer {
  return Buffer.from(`e${addressOf('things', key)}`, 'latin1')
}

function hashRowOf(key: string): Buffer {
  return Buffer.from(`h${sha256.sha256(bytesOf(addressOf('things', key)))}`, 'latin1')
}

async function flip(cluster: SmallCluster, name: string, key: string): Promise<void> {
  const db = cluster.database(name)
  const row = Buffer.from((await db.get(rowOf(key))) ?? Buffer.alloc(0))
  row[60] = (row[60] ?? 0) ^ 4
  await db.put(rowOf(key), row)
}

/** The row of a key is gone, and so is every row that led to it. */
async function loseAllRows(cluster: SmallCluster, name: string, key: string): Promise<void> {
  const db = cluster.database(name)
  const address = addressOf('things', key)
  await db.del(rowOf(key))
  await db.del(hashRowOf(key))
  for (const [row, content] of await db.iterator({ gte: Buffer.from('d'), lt: Buffer.from('e') }).all())
    if (content.toString('latin1') === address) await db.del(row)
}

/** A write whose key is in that partition. */
async function putIn(cluster: SmallCluster, name: string, partition: number): Promise<void> {
  const keys = Array.from({ length: 5_000 }, (_, index) => `in${index}`)
  const key = keys.find((each) => partitionOf(sha256.sha256(bytesOf(addressOf('things', each)))) === partition)
  await cluster.put(name, key ?? '', 'x')
}

async function withKeys(keys: number): Promise<SmallCluster> {
  const cluster = await SmallCluster.of(3, PATIENT)
  for (let key = 0; key < keys; key++) await cluster.put('n1', `k${key}`, `value ${key}`)
  await cluster.until(() => cluster.isConverged(...ALL))
  return cluster
}

async function heal(cluster: SmallCluster, name: string, key: string): Promise<string | null | undefined> {
  return valueOf(await cluster.finish(cluster.node(name).heal(addressOf('things', key))))
}

async function scrubbed(cluster: SmallCluster, name: string) {
  cluster.node(name).scrub()
  await cluster.until(() => cluster.node(name).scrubReport()?.running === false)
  return cluster.node(name).scrubReport()
}

describe('an entry that cannot be read', () => {
  it('is told by a peer, and is here again, to the byte', async () => {
    const cluster = await withKeys(5)
    const root = cluster.root('n2')
    await flip(cluster, 'n2', 'k3')
    expect(cluster.get('n2', 'k3')).toBe('corrupt')
    expect(await heal(cluster, 'n2', 'k3')).toBe('value 3')
    expect(cluster.get('n2', 'k3')).toBe('value 3')
    expect(cluster.root('n2')).toBe(root)
    expect(await cluster.contents('n2')).toEqual(await cluster.contents('n1'))
    expect(cluster.node('n2').status().report.totals).toEqual(cluster.node('n1').status().report.totals)
  })

  it('comes back as a delete when it was one', async () => {
    const cluster = await withKeys(5)
    await cluster.put('n1', 'k3', undefined)
    await cluster.until(() => cluster.isConverged(...ALL))
    await flip(cluster, 'n2', 'k3')
    expect(await heal(cluster, 'n2', 'k3')).toBeNull()
    expect(cluster.get('n2', 'k3')).toBeNull()
  })

  it('is not replaced by what a peer holds that has not seen all that was seen here', async () => {
    const cluster = await withKeys(5)
    cluster.cut.add('n1>*')
    await cluster.put('n1', 'k3', 'newer, and nowhere else')
    await flip(cluster, 'n1', 'k3')
    cluster.cut.clear()
    for (const name of ALL) cluster.node(name).pause('rumors')
    // They can reach it again, but its newer write cannot be read any more: nobody has that.
    expect(await heal(cluster, 'n1', 'k3')).toBe('corrupt')
    expect(cluster.get('n1', 'k3')).toBe('corrupt')
    expect(cluster.get('n2', 'k3')).toBe('value 3')
    // A write ends it.
    await cluster.put('n1', 'k3', 'anew')
    await cluster.until(() => ALL.every((name) => cluster.get(name, 'k3') === 'anew'))
  })

  it('is fetched in the background when a peer sends something for its key', async () => {
    const cluster = await withKeys(5)
    await flip(cluster, 'n2', 'k3')
    const held = cluster.node('n1').read(addressOf('things', 'k3'))
    if (typeof held !== 'object') throw new Error('n1 holds it')
    const identity = cluster.node('n1').identity
    const header = {
      cluster: identity.cluster,
      from: identity.replica,
      to: cluster.idOf('n2'),
      name: 'rumors',
    } as const
    const answer = await cluster.finish(cluster.node('n2').answer(header, 'rumors', { entries: [held], hops: 0 }))
    expect(answer.lacking).toEqual([0])
    await cluster.until(() => cluster.get('n2', 'k3') === 'value 3', 5_000)
  })
})

describe('the scrub', () => {
  it('finds nothing where nothing is wrong, also while writing goes on', async () => {
    const cluster = await withKeys(40)
    cluster.node('n1').scrub()
    for (let key = 0; key < 40; key++) await cluster.put('n1', `k${key}`, `again ${key}`)
    await cluster.until(() => cluster.node('n1').scrubReport()?.running === false)
    expect(cluster.node('n1').scrubReport()).toMatchObject({
      leaves: 65_536,
      corrupt: 0,
      hidden: 0,
      suspectLeaves: 0,
      orphanedIndexRows: 0,
    })
    expect(cluster.node('n1').scrubReport()?.entries).toBeGreaterThanOrEqual(40)
  })

  it('brings back what is damaged, what is gone though indexes name it, and what one of them has lost', async () => {
    const cluster = await withKeys(40)
    const db = cluster.database('n3')
    await flip(cluster, 'n3', 'k1')
    await db.del(rowOf('k2'))
    await db.del(rowOf('k3'))
    await db.del(hashRowOf('k3'))
    const report = await scrubbed(cluster, 'n3')
    expect(report).toMatchObject({ corrupt: 1, hidden: 2, healed: 3, suspectLeaves: 0 })
    expect(await cluster.contents('n3')).toEqual(await cluster.contents('n1'))
    expect(cluster.root('n3')).toBe(cluster.root('n1'))
    expect(cluster.node('n3').status().report.totals).toEqual(cluster.node('n1').status().report.totals)
    expect(await scrubbed(cluster, 'n3')).toMatchObject({ corrupt: 0, hidden: 0, suspectLeaves: 0 })
  })

  it('suspects a leaf that lost a row with all that led to it, and makes no claims for its partition', async () => {
    const cluster = await withKeys(40)
    const held = cluster.node('n3').read(addressOf('things', 'k4'))
    if (typeof held !== 'object') throw new Error('n3 holds it')
    const partition = partitionOf(held.keyHash)
    await loseAllRows(cluster, 'n3', 'k4')
    // The others have not seen all that n3 has seen, so nobody can mend it yet.
    cluster.cut.add('n3>*')
    await putIn(cluster, 'n3', partition)
    for (const name of ALL) cluster.node(name).pause('anti-entropy')
    cluster.cut.clear()
    expect(await scrubbed(cluster, 'n3')).toMatchObject({ hidden: 0, suspectLeaves: 1, mendedLeaves: 0 })
    expect(cluster.node('n3').status().suspectLeaves).toBe(1)
    cluster.node('n3').resume('anti-entropy')

    const { cluster: clusterId, replica } = cluster.node('n1').identity
    const header = { cluster: clusterId, from: replica, to: cluster.idOf('n3') }
    const claims = async (asked: number): Promise<number> => {
      const question = { vectors: [[asked, []]], folded: [] } as const
      const answer = cluster.node('n3').answer({ ...header, name: 'missed-entries' }, 'missed-entries', question)
      return (await cluster.finish(answer)).claims.length
    }
    expect([await claims(partition), await claims(partition ^ 1)]).toEqual([0, 1])
    const wanted = { keyHash: held.keyHash, vector: [] }
    const answer = await cluster.finish(
      cluster.node('n3').answer({ ...header, name: 'held-entry' }, 'held-entry', wanted),
    )
    expect(answer).toEqual({ entries: [], contains: false })
    expect(leafOf(held.keyHash) >>> 8).toBe(partition)
  })

  it('brings back a row that is gone with all that led to it, and counts it', async () => {
    const cluster = await withKeys(40)
    await loseAllRows(cluster, 'n3', 'k4')
    expect(cluster.get('n3', 'k4')).toBeUndefined()
    expect(await scrubbed(cluster, 'n3')).toMatchObject({ hidden: 1, healed: 1, mendedLeaves: 1, suspectLeaves: 0 })
    expect(cluster.get('n3', 'k4')).toBe('value 4')
    expect(cluster.node('n3').status().suspectLeaves).toBe(0)
    expect(cluster.root('n3')).toBe(cluster.root('n1'))
    expect(cluster.node('n3').status().report.totals).toEqual(cluster.node('n1').status().report.totals)
    expect(await scrubbed(cluster, 'n3')).toMatchObject({ hidden: 0, mendedLeaves: 0, suspectLeaves: 0 })
  })

  // The other way round it would come back: who answers drops the key, and the one that heals takes it for news.
  it('takes in no answer from before the frontier rose, as the key may have been deleted and dropped since', async () => {
    const cluster = await SmallCluster.of(3, { purgeIntervalMs: 400 })
    await cluster.put('n1', 'k', 'X', 'all')
    await cluster.time.advance(3_000)
    await flip(cluster, 'n1', 'k')
    cluster.delayOf = (_from, _to, name) => (name === 'held-entry' ? 950 : 0)
    const healing = cluster.node('n1').heal(addressOf('things', 'k'))
    await cluster.time.advance(20)
    await cluster.put('n2', 'k', undefined, 'all')
    for (let look = 0; look < 40; look++) {
      await cluster.time.advance(100)
      expect(cluster.get('n1', 'k')).not.toBe('X')
    }
    expect(valueOf(await cluster.finish(healing))).toBeNull()
    await cluster.until(() => cluster.isConverged(...ALL))
  })

  it('goes through everything by itself, and goes on where it was when it was stopped', async () => {
    const DAY_MS = 86_400_000
    const saved: number[] = []
    const scrubProgress = {
      load: () => Promise.resolve(saved.at(-1) ?? 0),
      save: async (next: number) => void saved.push(next),
    }
    const cluster = new SmallCluster({ ...PATIENT, scrubIntervalMs: DAY_MS })
    await cluster.start('n1', { found: true, scrubProgress })
    await cluster.until(() => cluster.node('n1').status().ready)
    await cluster.time.advance(DAY_MS / 4)
    expect(saved.length).toBeGreaterThan(40)
    expect(saved).toEqual(saved.map((_, index) => index + 1))
    const stoppedAt = saved.at(-1) ?? 0
    await cluster.finish(cluster.node('n1').stop())
    await cluster.start('n1', { scrubProgress })
    await cluster.until(() => (saved.at(-1) ?? 0) > stoppedAt, DAY_MS)
    expect(saved.at(-1)).toBe(stoppedAt + 1)
  })
})
