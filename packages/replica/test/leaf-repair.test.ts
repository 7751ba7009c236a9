import { addressOf, bytesOf, leafOf, partitionOf, type Entry } from '@grapevine/core'
import { addDigest, entryDigest, subtractDigest } from '@grapevine/merkle'
import { LevelStore } from '@grapevine/storage'
import { describe, expect, it } from 'vitest'
import { SmallCluster, sha256 } from './small-cluster.ts'

const ALL = ['n1', 'n2', 'n3']
const PATIENT = { pullIntervalMs: 1_000, antiEntropyIntervalMs: 10_000, purgeIntervalMs: 10_000 }

async function withKeys(keys: number, settings: Partial<typeof PATIENT> = {}): Promise<SmallCluster> {
  const cluster = await SmallCluster.of(3, { ...PATIENT, ...settings })
  for (let key = 0; key < keys; key++) await cluster.put('n1', `k${key}`, `value ${key}`)
  await cluster.until(() => cluster.isConverged(...ALL))
  return cluster
}

function heldAt(cluster: SmallCluster, name: string, key: string): Entry {
  const held = cluster.node(name).read(addressOf('things', key))
  if (typeof held !== 'object') throw new Error(`${name} does not hold ${key}`)
  return held
}

function rowOf(key: string): Buffer {
  return Buffer.from(`e${addressOf('things', key)}`, 'latin1')
}

async function flip(cluster: SmallCluster, name: string, key: string): Promise<void> {
  const db = cluster.database(name)
  const row = Buffer.from((await db.get(rowOf(key))) ?? Buffer.alloc(0))
  row[60] = (row[60] ?? 0) ^ 4
  await db.put(rowOf(key), row)
}

/** All rows of a node whose names begin so and that lead to a key. */
async function rowsTo(cluster: SmallCluster, name: string, kind: string, key: string): Promise<Buffer[]> {
  const address = addressOf('things', key)
  const next = String.fromCharCode(kind.charCodeAt(0) + 1)
  const rows = await cluster
    .database(name)
    .iterator({ gte: Buffer.from(kind), lt: Buffer.from(next) })
    .all()
  return rows
    .filter(([row, content]) => Buffer.concat([row, content]).includes(address, 0, 'latin1'))
    .map(([row]) => row)
}

async function lose(cluster: SmallCluster, name: string, key: string): Promise<void> {
  const db = cluster.database(name)
  for (const kind of ['e', 'h', 'd', 't']) for (const row of await rowsTo(cluster, name, kind, key)) await db.del(row)
}

/** A node takes or drops an entry while it is down, with a sum that is right: nothing that it knows of is wrong. */
async function tamper(cluster: SmallCluster, name: string, entry: Entry, how: 'drop' | 'take'): Promise<void> {
  cluster.crash(name)
  await cluster.time.advance(0)
  const db = cluster.database(name)
  const store = await LevelStore.open({ hash: sha256, openDatabase: async () => db })
  const leaf = leafOf(entry.keyHash)
  const sum = store.state.sums.slice(leaf * 32, leaf * 32 + 32)
  const change = how === 'drop' ? subtractDigest : addDigest
  change(sum, entryDigest(entry, sha256))
  await store.commit({
    atMs: 0,
    changes: [how === 'drop' ? { after: undefined, before: entry } : { after: entry, before: undefined }],
    dots: [],
    adopted: [],
    leaves: [{ leaf, sum }],
    totals: store.state.totals,
    rebuilds: 0,
  })
  await cluster.start(name)
  await cluster.until(() => cluster.node(name).status().ready)
}

/** So that the tombstone is still there: a look at the frontier may just be under way, and take it at once. */
async function deleteEverywhere(cluster: SmallCluster, key: string): Promise<void> {
  do {
    await cluster.put('n1', key, 'v', 'all')
    await cluster.put('n1', key, undefined, 'all')
    await cluster.until(() => cluster.isConverged(...ALL))
  } while (cluster.get('n2', key) !== null)
}

/** Until the frontier of all is above this entry. */
async function passFrontier(cluster: SmallCluster, entry: Entry): Promise<void> {
  await cluster.put('n1', 'passing', 'x')
  await cluster.put('n1', 'passing', undefined)
  await cluster.until(() => ALL.every((name) => cluster.node(name).status().frontier.wallMs > entry.version.hlc.wallMs))
  await cluster.until(() => cluster.isConverged(...ALL))
}

describe('a row that cannot be read, of a key that was deleted everywhere', () => {
  it('goes, with all that led to it: a clean peer that has seen all holds nothing', async () => {
    const cluster = await withKeys(5)
    await deleteEverywhere(cluster, 'k3')
    await flip(cluster, 'n2', 'k3')
    await cluster.until(() => cluster.get('n1', 'k3') === undefined && cluster.get('n3', 'k3') === undefined)
    expect(cluster.get('n2', 'k3')).toBe('corrupt')
    expect(await cluster.finish(cluster.node('n2').heal(addressOf('things', 'k3')))).toBeUndefined()
    expect(cluster.get('n2', 'k3')).toBeUndefined()
    await cluster.until(() => cluster.isConverged(...ALL))
    expect(await rowsTo(cluster, 'n2', 'h', 'k3')).toEqual([])
    expect(cluster.node('n2').status().report.totals).toMatchObject({ values: 4, tombstones: 0 })
    // A put of the key lives on as any other.
    await cluster.put('n2', 'k3', 'anew')
    await cluster.until(() => ALL.every((name) => cluster.get(name, 'k3') === 'anew'))
  })

  it('stays as it is while no peer has seen all that was seen here', async () => {
    const cluster = await withKeys(5)
    cluster.cut.add('n2>*')
    await cluster.put('n2', 'only here', 'x')
    await flip(cluster, 'n2', 'only here')
    for (const name of ALL) cluster.node(name).pause('rumors')
    cluster.cut.clear()
    expect(await cluster.finish(cluster.node('n2').heal(addressOf('things', 'only here')))).toBe('corrupt')
  })

  it('changes no sum when a condition on it is refused', async () => {
    const cluster = await withKeys(5)
    for (const name of ALL) cluster.node(name).pause('anti-entropy')
    const root = cluster.root('n2')
    await flip(cluster, 'n2', 'k3')
    const write = cluster.node('n2').write({
      address: addressOf('things', 'k3'),
      value: Buffer.from('new'),
      contentType: 'text/plain',
      expiresAtMs: 0,
      precondition: { kind: 'absent' },
      w: 1,
      timeoutMs: 2_000,
    })
    await expect(cluster.finish(write)).rejects.toThrow('durable')
    expect(cluster.get('n2', 'k3')).toBe('corrupt')
    expect(cluster.root('n2')).toBe(root)
    for (const name of ALL) cluster.node(name).resume('anti-entropy')
    await cluster.finish(cluster.node('n2').heal(addressOf('things', 'k3')))
    expect(cluster.root('n2')).toBe(root)
  })

  it('is not believed to be deleted by a peer whose own leaf does not add up', async () => {
    const cluster = await withKeys(5)
    await flip(cluster, 'n2', 'k3')
    // Both others have lost it without a trace.
    await lose(cluster, 'n1', 'k3')
    await lose(cluster, 'n3', 'k3')
    expect(await cluster.finish(cluster.node('n2').heal(addressOf('things', 'k3')))).toBe('corrupt')
    expect(cluster.node('n1').status().suspectLeaves + cluster.node('n3').status().suspectLeaves).toBeGreaterThan(0)
  })
})

describe('a tombstone that was lost without a trace', () => {
  it('is found when the others purge it, and the leaf is theirs then', async () => {
    const cluster = await withKeys(5)
    await deleteEverywhere(cluster, 'k3')
    await lose(cluster, 'n2', 'k3')
    await cluster.until(() => cluster.warnings.includes('n2: leaf-replaced'), 120_000)
    await cluster.until(() => cluster.isConverged(...ALL))
    expect(cluster.node('n2').status().suspectLeaves).toBe(0)
  })
})

describe('a node without any other', () => {
  it('takes what is left for the truth, so that others can join it', async () => {
    const cluster = await SmallCluster.of(1, PATIENT)
    for (let key = 0; key < 5; key++) await cluster.put('n1', `k${key}`, `value ${key}`)
    await lose(cluster, 'n1', 'k3')
    cluster.node('n1').scrub()
    await cluster.until(() => cluster.node('n1').scrubReport()?.running === false)
    await cluster.until(() => cluster.errors.includes('n1: leaf-lost-rows'))
    expect(cluster.node('n1').status().suspectLeaves).toBe(0)
    await cluster.start('n2')
    await cluster.until(() => cluster.node('n2').status().ready)
    expect(cluster.get('n2', 'k4')).toBe('value 4')
    expect(cluster.root('n2')).toBe(cluster.root('n1'))
  })
})

describe('two sound leaves that differ', () => {
  it('become equal above the frontier: whoever lacks the row takes it', async () => {
    // Pulls notice it; there are no exchanges but those that they begin.
    const cluster = await withKeys(5, { antiEntropyIntervalMs: 1e9 })
    const entry = heldAt(cluster, 'n1', 'k3')
    await tamper(cluster, 'n2', entry, 'drop')
    expect(cluster.get('n2', 'k3')).toBeUndefined()
    await cluster.until(() => cluster.get('n2', 'k3') === 'value 3', 120_000)
    await cluster.until(() => cluster.isConverged(...ALL))
    expect(cluster.errors.some((error) => error.endsWith('integrity-fault'))).toBe(true)
  })

  it('stay as they are at or below it, and the operator is asked: a delete decides', async () => {
    const cluster = await withKeys(5)
    const entry = heldAt(cluster, 'n1', 'k3')
    await passFrontier(cluster, entry)
    await tamper(cluster, 'n2', entry, 'drop')
    await cluster.until(() => cluster.node('n2').status().undecided.length > 0, 120_000)
    const [undecided] = cluster.node('n2').status().undecided
    expect(undecided).toMatchObject({ address: entry.address, isHeldHere: false })
    await cluster.until(() => ['n1', 'n3'].some((name) => cluster.node(name).status().undecided.length > 0), 120_000)
    expect([cluster.get('n1', 'k3'), cluster.get('n2', 'k3')]).toEqual(['value 3', undefined])
    expect(cluster.errors).toContain('n2: rows-undecided')

    await cluster.put('n2', 'k3', undefined)
    await cluster.until(() => ALL.every((name) => (cluster.get(name, 'k3') ?? null) === null))
    await cluster.until(() => ALL.every((name) => cluster.node(name).status().undecided.length === 0), 120_000)
    await cluster.until(() => cluster.isConverged(...ALL))
  })

  it('are nothing to decide any more with a member that was evicted', async () => {
    const cluster = await withKeys(5)
    await passFrontier(cluster, heldAt(cluster, 'n1', 'k3'))
    await tamper(cluster, 'n2', heldAt(cluster, 'n1', 'k3'), 'drop')
    const undecidedWith = (): string[] =>
      cluster
        .node('n2')
        .status()
        .undecided.map((key) => key.with)
    await cluster.until(() => undecidedWith().includes('n1'), 120_000)
    const evicted = cluster.idOf('n1')
    cluster.crash('n1')
    expect(await cluster.finish(cluster.node('n2').evict(evicted))).toBe(true)
    await cluster.until(() => undecidedWith().every((name) => name === 'n3'), 120_000)
  })

  it('or a write of the value that one side still holds', async () => {
    const cluster = await withKeys(5)
    const entry = heldAt(cluster, 'n1', 'k3')
    await passFrontier(cluster, entry)
    await tamper(cluster, 'n2', entry, 'drop')
    await cluster.until(() => cluster.node('n2').status().undecided.length > 0, 120_000)
    await cluster.put('n2', 'k3', 'value 3')
    await cluster.until(() => ALL.every((name) => cluster.get(name, 'k3') === 'value 3'))
    await cluster.until(() => ALL.every((name) => cluster.node(name).status().undecided.length === 0), 120_000)
    await cluster.until(() => cluster.isConverged(...ALL))
  })

  it('are decided for deletion where somebody remembers a newer one', async () => {
    const cluster = await withKeys(5)
    const entry = heldAt(cluster, 'n1', 'k3')
    await cluster.put('n1', 'k3', undefined, 'all')
    await cluster.until(() => ALL.every((name) => cluster.get(name, 'k3') === undefined))
    await passFrontier(cluster, entry)
    await tamper(cluster, 'n2', entry, 'take')
    expect(cluster.get('n2', 'k3')).toBe('value 3')
    await cluster.until(() => cluster.get('n2', 'k3') === undefined, 120_000)
    await cluster.until(() => cluster.isConverged(...ALL))
    expect(cluster.node('n2').status().undecided).toEqual([])
  })
})

describe('an index', () => {
  async function scrubbed(cluster: SmallCluster, name: string) {
    cluster.node(name).scrub()
    await cluster.until(() => cluster.node(name).scrubReport()?.running === false)
    return cluster.node(name).scrubReport()
  }

  it('leads to what it has lost again, and no more to what is not there', async () => {
    const cluster = await withKeys(9)
    await cluster.put('n1', 'k5', undefined, 'all')
    cluster.node('n2').pause('anti-entropy')
    cluster.cut.add('n2>*')
    const db = cluster.database('n2')
    const held = heldAt(cluster, 'n2', 'k2')
    const dot = (writer: string, seq: number): Buffer => {
      const row = Buffer.from(
        `64${partitionOf(held.keyHash).toString(16).padStart(2, '0')}${writer}000000000000`,
        'hex',
      )
      row.writeUIntBE(seq, 10, 6)
      return row
    }
    // k1 has no row in the dot index, k3 none in the hash index, the tombstone k5 none where a purge looks for it.
    for (const [kind, key] of [
      ['d', 'k1'],
      ['h', 'k3'],
      ['t', 'k5'],
    ] as const)
      for (const row of await rowsTo(cluster, 'n2', kind, key)) await db.del(row)
    // One leads to k2 as another write than it was, one to nothing, and one of the hash index to another key.
    const stray = [dot('e'.repeat(16), 7), dot('e'.repeat(16), 8)] as const
    await db.put(stray[0], Buffer.from(held.address, 'latin1'))
    await db.put(stray[1], Buffer.from(addressOf('things', 'never'), 'latin1'))
    const hash = Buffer.from(sha256.sha256(bytesOf(addressOf('things', 'k2'))), 'latin1')
    hash[31] = (hash[31] ?? 0) ^ 1
    const strayHash = Buffer.concat([Buffer.from('h'), hash])
    await db.put(strayHash, Buffer.from(held.address, 'latin1'))

    expect(await scrubbed(cluster, 'n2')).toMatchObject({ reindexed: 3, orphanedIndexRows: 2, suspectLeaves: 0 })
    for (const [kind, key] of [
      ['d', 'k1'],
      ['h', 'k3'],
      ['t', 'k5'],
    ] as const)
      expect(await rowsTo(cluster, 'n2', kind, key)).toHaveLength(1)
    for (const row of [...stray, strayHash]) expect(await db.get(row)).toBeUndefined()
    expect(await scrubbed(cluster, 'n2')).toMatchObject({ reindexed: 0, orphanedIndexRows: 0, hidden: 0 })
  }, 30_000)
})
