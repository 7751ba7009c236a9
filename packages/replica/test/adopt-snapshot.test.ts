import { compareHlc } from '@grapevine/core'
import { expect, it, vi } from 'vitest'
import { SmallCluster } from './small-cluster.ts'
import { importInto, snapshotOf, sourceOf, type Snapshot } from './snapshots.ts'

vi.setConfig({ testTimeout: 60_000 })

const ALL = ['n1', 'n2', 'n3']
const KEYS = Array.from({ length: 40 }, (_, index) => `k${index}`)

async function putAll(cluster: SmallCluster, value: string | undefined, keys: readonly string[]): Promise<void> {
  for (const [index, key] of keys.entries()) await cluster.put(ALL[index % 3] ?? 'n1', key, value)
}

interface Before {
  readonly cluster: SmallCluster
  /** Before half of the keys were deleted and purged. */
  readonly old: Snapshot
  readonly newest: Snapshot
  readonly clusterId: string
}

/** A cluster that has deleted half of what it had, and of which nothing is left but two snapshots. */
async function lostCluster(): Promise<Before> {
  const cluster = await SmallCluster.of(3)
  await putAll(cluster, 'value', KEYS)
  await cluster.until(() => cluster.isConverged(...ALL))
  const old = await snapshotOf(cluster, 'n1')
  await putAll(cluster, undefined, KEYS.slice(0, 20))
  await cluster.until(() => ALL.every((name) => cluster.node(name).status().report.totals.tombstones === 0), 40_000)
  await cluster.put('n2', 'k39', undefined, 'all')
  await cluster.put('n3', 'k38', 'changed', 'all')
  const newest = await snapshotOf(cluster, 'n2')
  const clusterId = cluster.node('n1').identity.cluster
  for (const name of ALL) await cluster.wipe(name)
  return { cluster, old, newest, clusterId }
}

it('begins a new cluster with all that a snapshot holds, and others join it', async () => {
  const { cluster, newest, clusterId } = await lostCluster()
  await cluster.start('n1', { found: true, restore: sourceOf(newest), seeds: [] })
  await cluster.until(() => cluster.node('n1').status().ready)
  const { identity, frontier, report } = cluster.node('n1').status()
  expect(identity.cluster).not.toBe(clusterId)
  expect(identity.replica).not.toBe(newest.identity?.replica)
  expect(report.root).toBe(newest.root)
  expect(report.totals).toEqual(newest.totals)
  expect(compareHlc(frontier, newest.frontier)).toBeGreaterThanOrEqual(0)
  // Its own first write is later than all that the old cluster had promised.
  const written = await cluster.put('n1', 'new', 'v')
  if (written.kind !== 'applied') throw new Error('the write was not applied')
  expect(compareHlc(written.version.hlc, newest.promise)).toBeGreaterThan(0)
  for (const name of ['n2', 'n3']) await cluster.start(name)
  await cluster.until(() => ALL.every((name) => cluster.node(name).status().ready))
  await cluster.until(() => cluster.isConverged(...ALL))
  for (const name of ALL)
    expect(['k0', 'k20', 'k38', 'new'].map((key) => cluster.get(name, key))).toEqual([
      undefined,
      'value',
      'changed',
      'v',
    ])
  // What was a tombstone in the snapshot goes like every other.
  await cluster.until(() => ALL.every((name) => cluster.node(name).status().report.totals.tombstones === 0), 60_000)
  expect(cluster.errors).toEqual([])
})

it('takes in every other snapshot of the lost cluster as an import: what was deleted before stays deleted', async () => {
  const { cluster, old, newest } = await lostCluster()
  await cluster.start('n1', { found: true, restore: sourceOf(newest), seeds: [] })
  await cluster.start('n2')
  await cluster.until(() => ['n1', 'n2'].every((name) => cluster.node(name).status().ready))
  // Of the 40: 20 purged, 18 the same, one overwritten, one deleted and not purged yet.
  expect(await importInto(cluster, 'n2', old.entries)).toEqual({ refused: 20, known: 18, superseded: 2 })
  await cluster.time.advance(60_000)
  expect(cluster.get('n1', 'k0')).toBeUndefined()
  expect(await importInto(cluster, 'n1', old.entries)).toEqual({ refused: 21, known: 18, superseded: 1 })
  expect(cluster.get('n2', 'k39')).toBeUndefined()
})

it('is right after the restart of the new founder, too', async () => {
  const { cluster, newest } = await lostCluster()
  await cluster.start('n1', { found: true, restore: sourceOf(newest), seeds: [] })
  await cluster.until(() => cluster.node('n1').status().ready)
  const { identity, frontier } = cluster.node('n1').status()
  cluster.crash('n1')
  // With the same options: a directory with data is opened as it is.
  await cluster.start('n1', { found: true, restore: sourceOf(newest), seeds: [] })
  await cluster.until(() => cluster.node('n1').status().ready)
  expect(cluster.node('n1').identity).toMatchObject({ cluster: identity.cluster, replica: identity.replica })
  expect(cluster.root('n1')).toBe(newest.root)
  expect(cluster.node('n1').status().frontier).toEqual(frontier)
})

it('belongs to nobody when it is broken off in the middle, and neither founds nor joins', async () => {
  const { cluster, newest } = await lostCluster()
  const source = sourceOf(newest)
  const endless = {
    ...source,
    async *entries() {
      for await (const entries of source.entries()) {
        yield entries
        await new Promise(() => {})
      }
    },
  }
  await cluster.start('n1', { found: true, restore: endless, seeds: [] })
  await cluster.time.advance(5_000)
  expect(cluster.node('n1').status()).toMatchObject({ ready: false, reason: 'founding, from a snapshot' })
  cluster.crash('n1')
  await cluster.start('n2', { found: true, seeds: [] })
  await cluster.until(() => cluster.node('n2').status().ready)
  for (const options of [{ found: true, seeds: [] }, { found: false }, { found: true, restore: source, seeds: [] }]) {
    await cluster.start('n1', options)
    await cluster.time.advance(2_000)
    cluster.crash('n1')
  }
  expect(cluster.fatal('n1')).toMatchObject(Array.from({ length: 3 }, () => ({ code: 'unfinished_restore' })))
  await cluster.wipe('n1')
  await cluster.start('n1', { found: true, restore: source, seeds: [] })
  await cluster.until(() => cluster.node('n1').status().ready)
  expect(cluster.root('n1')).toBe(newest.root)
})

it('founds nothing from a file that changed after it was checked, or that is of a time to come', async () => {
  const { cluster, newest } = await lostCluster()
  const [first] = newest.entries
  if (first === undefined) throw new Error('there are entries')
  await cluster.start('n1', { found: true, restore: sourceOf({ ...newest, entries: [first] }), seeds: [] })
  await cluster.time.advance(2_000)
  expect(cluster.fatal('n1')).toMatchObject([{ code: 'bad_snapshot' }])
  expect(cluster.node('n1').identity.cluster).toBe('')
  cluster.skewMs.set('n2', -60_000_000)
  await cluster.start('n2', { found: true, restore: sourceOf(newest), seeds: [] })
  await cluster.time.advance(2_000)
  expect(cluster.fatal('n2')).toMatchObject([{ code: 'bad_snapshot', message: expect.stringContaining('--drift-max') }])
})
