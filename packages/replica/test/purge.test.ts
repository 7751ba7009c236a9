import { addressOf, openEnvelope, type Answer, type Entry, type Question } from '@grapevine/core'
import { describe, expect, it } from 'vitest'
import { sha256, SmallCluster } from './small-cluster.ts'

const ALL = ['n1', 'n2', 'n3']
const KEYS = Array.from({ length: 40 }, (_, index) => `k${index}`)

function tombstones(cluster: SmallCluster, names: readonly string[] = ALL): number[] {
  return names.map((name) => cluster.node(name).status().report.totals.tombstones)
}

async function putAll(cluster: SmallCluster, value: string | undefined, names = ALL): Promise<void> {
  for (const [index, key] of KEYS.entries()) await cluster.put(names[index % names.length] ?? 'n1', key, value)
}

describe('a tombstone', () => {
  it('goes, on all nodes, within two purge periods, and leaves nothing', async () => {
    const cluster = await SmallCluster.of(3)
    await putAll(cluster, 'value')
    await putAll(cluster, undefined)
    await cluster.until(() => tombstones(cluster).every((left) => left === 0), 2 * 12_000)
    for (const name of ALL) expect(await cluster.contents(name)).toEqual(new Map())
    expect(cluster.isConverged(...ALL)).toBe(true)
    expect(cluster.node('n1').status().report.totals).toEqual({ values: 0, tombstones: 0, bytes: 0, tombstoneBytes: 0 })
  })

  it('goes on all other nodes as soon as one has found that it may, and not a purge period later', async () => {
    const cluster = await SmallCluster.of(5)
    const five = [...ALL, 'n4', 'n5']
    await putAll(cluster, undefined, five)
    await cluster.until(() => tombstones(cluster, five).includes(0), 30_000)
    await cluster.until(() => tombstones(cluster, five).every((left) => left === 0), 2_500)
  })

  it('goes while all the time something is written', async () => {
    const cluster = await SmallCluster.of(3)
    await putAll(cluster, 'value')
    await putAll(cluster, undefined)
    for (let round = 0; round < 300; round++) {
      await cluster.put(ALL[round % 3] ?? 'n1', `busy${round % 7}`, `v${round}`)
      await cluster.time.advance(80)
    }
    expect(tombstones(cluster)).toEqual([0, 0, 0])
  })

  it('waits for a member that is away, and goes when it is back', async () => {
    const cluster = await SmallCluster.of(3)
    await putAll(cluster, 'value')
    await cluster.until(() => cluster.isConverged(...ALL))
    cluster.crash('n3')
    for (const key of KEYS) await cluster.put('n1', key, undefined)
    await cluster.time.advance(120_000)
    expect(tombstones(cluster, ['n1', 'n2'])).toEqual([40, 40])
    await cluster.start('n3')
    await cluster.until(() => tombstones(cluster).every((left) => left === 0), 60_000)
    for (const name of ALL) expect(await cluster.contents(name)).toEqual(new Map())
  })

  it('goes in a cluster of one', async () => {
    const cluster = await SmallCluster.of(1)
    await cluster.put('n1', 'k', 'value')
    await cluster.put('n1', 'k', undefined)
    await cluster.until(() => tombstones(cluster, ['n1'])[0] === 0, 30_000)
    expect(cluster.get('n1', 'k')).toBeUndefined()
  })

  it('is gone for good over a restart, and so is the frontier that dropped it', async () => {
    const cluster = await SmallCluster.of(2)
    await cluster.put('n1', 'k', 'value', 'all')
    const old = held(cluster, 'n1', 'k')
    await cluster.put('n2', 'k', undefined, 'all')
    await cluster.until(() => tombstones(cluster, ['n1', 'n2']).every((left) => left === 0), 30_000)
    const { frontier } = cluster.node('n2').status()
    cluster.crash('n2')
    await cluster.start('n2')
    await cluster.until(() => cluster.node('n2').status().ready, 20_000)
    expect(cluster.node('n2').status().frontier).toEqual(frontier)
    // A frame from before the delete, replayed: the dot is covered, and the key is gone.
    expect(await replay(cluster, old, 'n1', 'n2')).toEqual({ known: [], lacking: [0] })
    // The same from somebody whose dot nobody has covered: at or below the frontier it is a stranger's.
    const stranger = { ...old, dot: { writer: 'f'.repeat(16), seq: 1 } }
    expect(await replay(cluster, resealed(stranger), 'n1', 'n2')).toEqual({ known: [], lacking: [0] })
    await cluster.time.advance(30_000)
    expect([cluster.get('n1', 'k'), cluster.get('n2', 'k')]).toEqual([undefined, undefined])
  })

  it('goes with one anti-entropy mechanism alone: the frontier needs vectors, and the tree does not bring it back', async () => {
    const cluster = await SmallCluster.of(3)
    for (const name of ALL) cluster.node(name).pause('rumors')
    await putAll(cluster, 'value')
    await cluster.until(() => cluster.isConverged(...ALL))
    await putAll(cluster, undefined)
    await cluster.until(() => tombstones(cluster).every((left) => left === 0), 60_000)
    for (const name of ALL) await cluster.finish(cluster.node(name).exchange())
    expect(tombstones(cluster)).toEqual([0, 0, 0])
    expect(cluster.get('n2', 'k1')).toBeUndefined()
  })

  it('is not brought to a joiner once it is purged, and is purged there when it comes before', async () => {
    const cluster = await SmallCluster.of(2)
    await putAll(cluster, 'value', ['n1', 'n2'])
    await putAll(cluster, undefined, ['n1', 'n2'])
    await cluster.start('n3')
    await cluster.until(() => cluster.node('n3').status().ready, 20_000)
    await cluster.until(() => tombstones(cluster).every((left) => left === 0), 60_000)
    await cluster.start('n4')
    await cluster.until(() => cluster.node('n4').status().ready, 20_000)
    expect(await cluster.contents('n4')).toEqual(new Map())
    await cluster.time.advance(20_000)
    expect(cluster.isConverged(...ALL, 'n4')).toBe(true)
    expect(cluster.node('n4').status().frontier).toEqual(cluster.node('n1').status().frontier)
  })
})

describe('the disk', () => {
  const many = Array.from({ length: 1_100 }, (_, index) => `m${index}`)
  const all = (cluster: SmallCluster, value: string | undefined, keys = many) =>
    cluster.finish(
      Promise.all(
        keys.map((key) =>
          cluster.node('n1').write({ ...writeOf(key), value: value === undefined ? undefined : Buffer.from(value) }),
        ),
      ),
    )

  // A thousand keys and more are a second of work, on a machine that has nothing else to do.
  const patient = { timeout: 30_000 }

  it('is asked to give space back once much was dropped, with no journal left of it', patient, async () => {
    const cluster = await SmallCluster.of(2)
    await putAll(cluster, 'value', ['n1', 'n2'])
    await putAll(cluster, undefined, ['n1', 'n2'])
    await cluster.time.advance(40_000)
    expect([tombstones(cluster, ['n1', 'n2']), cluster.compacted]).toEqual([[0, 0], []])
    await all(cluster, undefined)
    await cluster.until(() => cluster.compacted.length === 2, 40_000)
    expect(cluster.compacted.toSorted()).toEqual(['n1', 'n2'])
    const journal = await cluster
      .database('n1')
      .keys({ gte: Buffer.from('j'), lt: Buffer.from('k') })
      .all()
    expect(journal.length).toBeLessThanOrEqual(2)
    await cluster.time.advance(40_000)
    expect(cluster.compacted).toHaveLength(2)
  })

  it('is not, while as much more is held as would have to be written anew', patient, async () => {
    const cluster = await SmallCluster.of(1)
    await all(cluster, 'value')
    await all(
      cluster,
      'value',
      many.map((key) => `${key}x`),
    )
    await all(
      cluster,
      'value',
      many.map((key) => `${key}y`),
    )
    await all(cluster, undefined)
    await cluster.time.advance(40_000)
    expect([tombstones(cluster, ['n1']), cluster.compacted]).toEqual([[0], ['n1']])
    await all(cluster, 'value')
    await all(
      cluster,
      'value',
      many.map((key) => `${key}z`),
    )
    cluster.compacted.length = 0
    await all(cluster, undefined)
    await cluster.time.advance(40_000)
    expect([tombstones(cluster, ['n1']), cluster.compacted]).toEqual([[0], []])
  })

  it('may fail to, and nothing but space is lost', patient, async () => {
    const cluster = await SmallCluster.of(1)
    cluster.failingCompactions = true
    await all(cluster, undefined)
    await cluster.until(() => cluster.compacted.length > 0, 40_000)
    await cluster.until(() => cluster.warnings.includes('n1: space-not-given-back'), 1_000)
    await cluster.put('n1', 'after', 'value')
    expect(cluster.get('n1', 'after')).toBe('value')
    expect(cluster.errors).toEqual([])
  })
})

describe('an expired entry', () => {
  it('goes like a tombstone once its time has passed, with equal trees all the while', async () => {
    const cluster = await SmallCluster.of(3)
    const expiresAtMs = cluster.time.wallMs() + 40_000
    for (const key of KEYS) await cluster.finish(cluster.node('n1').write({ ...writeOf(key), expiresAtMs }))
    await cluster.until(() => cluster.isConverged(...ALL))
    const before = cluster.root('n1')
    await cluster.time.advance(38_000)
    expect(ALL.map((name) => cluster.root(name))).toEqual([before, before, before])
    await cluster.until(() => ALL.every((name) => cluster.node(name).status().report.totals.values === 0), 40_000)
    expect(cluster.isConverged(...ALL)).toBe(true)
    for (const name of ALL) expect(await cluster.contents(name)).toEqual(new Map())
  })
})

describe('a closed writer', () => {
  it('is folded away when all members have seen the last of it', async () => {
    const cluster = await SmallCluster.of(3)
    for (let restart = 0; restart < 6; restart++) {
      await putAll(cluster, `v${restart}`)
      const name = ALL[restart % 3] ?? 'n1'
      cluster.crash(name)
      await cluster.start(name)
      await cluster.until(() => cluster.node(name).status().ready, 20_000)
    }
    await putAll(cluster, 'last')
    await cluster.until(() => cluster.isConverged(...ALL))
    await cluster.time.advance(60_000)
    for (const name of ALL) {
      const { claims } = await ask(cluster, name)
      const writers = new Set(claims.flatMap(([, rows]) => rows.map(([writer]) => writer)))
      // The present writer of each of the three, whatever they were before.
      expect(writers.size).toBeLessThanOrEqual(3)
    }
    await cluster.start('n4')
    await cluster.until(() => cluster.node('n4').status().ready, 20_000)
    expect(cluster.get('n4', 'k7')).toBe('last')
    cluster.asked.length = 0
    await cluster.time.advance(30_000)
    expect(cluster.asked.filter(({ name }) => name === 'missed-entries')).toEqual([])
  })
})

function held(cluster: SmallCluster, name: string, key: string): Entry {
  const entry = cluster.node(name).read(addressOf('things', key))
  if (typeof entry !== 'object') throw new Error(`${key} is not there`)
  return entry
}

function resealed(entry: Entry): Entry {
  const bytes = entry.envelope.slice()
  bytes.set(Buffer.from(entry.dot.writer, 'hex'), 50)
  bytes.set(Buffer.from(sha256.sha256(bytes.subarray(32)), 'latin1'))
  const opened = openEnvelope(bytes, sha256)
  if (opened === undefined) throw new Error('not sealed again')
  return opened
}

async function replay(cluster: SmallCluster, entry: Entry, from: string, to: string): Promise<unknown> {
  const header = { cluster: cluster.node(to).identity.cluster, from: cluster.idOf(from), to: cluster.idOf(to) }
  return cluster.finish(cluster.node(to).answer({ ...header, name: 'rumors' }, 'rumors', { entries: [entry], hops: 0 }))
}

/** All that a node holds, as it would tell a joiner. */
function ask(cluster: SmallCluster, name: string): Promise<Answer<'missed-entries'>> {
  const node = cluster.node(name)
  const header = { cluster: node.identity.cluster, from: node.identity.replica, to: node.identity.replica }
  const vectors = Array.from({ length: 256 }, (_, partition) => [partition, []] as const)
  const question: Question<'missed-entries'> = { vectors, folded: [] }
  return cluster.finish(node.answer({ ...header, name: 'missed-entries' }, 'missed-entries', question))
}

function writeOf(key: string): Parameters<ReturnType<SmallCluster['node']>['write']>[0] {
  return {
    address: addressOf('things', key),
    value: Buffer.from('v'),
    contentType: 'text/plain',
    expiresAtMs: 0,
    w: 1,
    timeoutMs: 2_000,
  }
}
