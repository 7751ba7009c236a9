import {
  addressOf,
  bytesOf,
  compareVersions,
  leafOf,
  NO_MEASURES,
  partitionOf,
  type Entry,
  type Log,
  type Precondition,
  type Store,
} from '@grapevine/core'
import { addDigest, entryDigest, HashTree } from '@grapevine/merkle'
import { LevelStore } from '@grapevine/storage'
import { MemoryLevel } from 'memory-level'
import { expect, it } from 'vitest'
import type { LocalOutcome } from '../src/arrival.ts'
import { Committer } from '../src/committer.ts'
import { membershipChanger } from '../src/membership-change.ts'
import { seededRandom, sha256, valueOf } from './small-cluster.ts'
import { VirtualTime } from './virtual-time.ts'

const SILENT: Log = { info: () => {}, warn: () => {}, error: () => {} }

interface Bench {
  readonly time: VirtualTime
  readonly store: LevelStore
  readonly committer: Committer
  readonly db: MemoryLevel<Buffer, Buffer>
  /** Batches that fail instead of being written, and openings that fail. */
  readonly faults: { batches: number; openings: number; commits: number }
}

async function bench(): Promise<Bench> {
  const db = new MemoryLevel<Buffer, Buffer>({ keyEncoding: 'buffer', valueEncoding: 'buffer' })
  const time = new VirtualTime()
  const faults = { batches: 0, openings: 0, commits: 0 }
  const store = await LevelStore.open({
    hash: sha256,
    openDatabase: async () => {
      if (faults.openings-- > 0) throw new Error('IO error: still no space')
      await db.open()
      return db
    },
  })
  const commit = store.commit.bind(store)
  store.commit = async (batch) => {
    faults.commits++
    return commit(batch)
  }
  const begin = db.batch.bind(db)
  Object.assign(db, {
    batch: () => {
      const rows = begin()
      const write = rows.write.bind(rows)
      rows.write = (options?: object) =>
        faults.batches-- > 0 ? Promise.reject(new Error('IO error: no space left')) : write(options ?? {})
      return rows
    },
  })
  faults.openings = 0
  faults.batches = 0
  const random = seededRandom(7)
  const committer = new Committer({
    store,
    clock: time,
    timers: time,
    random,
    hash: sha256,
    measures: NO_MEASURES,
    log: SILENT,
    onFatal: (error) => expect.unreachable(String(error)),
  })
  const identity = {
    cluster: random.hex(16),
    replica: random.hex(8),
    name: 'n1',
    stage: 'member',
    sponsor: '',
    incarnation: 1,
  } as const
  await membershipChanger(committer)(() => ({ identity, roster: { known: [identity.replica], evicted: [] } }))
  faults.commits = 0
  return { time, store, committer, db, faults }
}

function put(
  { committer }: Bench,
  key: string,
  value: string | undefined,
  precondition?: Precondition,
): Promise<LocalOutcome> {
  const address = addressOf('things', key)
  return new Promise((settle, fail) => {
    committer.submit({
      kind: 'write',
      address,
      keyHash: sha256.sha256(bytesOf(address)),
      value: value === undefined ? undefined : Buffer.from(value),
      contentType: 'text/plain',
      expiresAtMs: 0,
      precondition,
      settle,
      fail,
    })
  })
}

async function applied(outcome: Promise<LocalOutcome>): Promise<Entry> {
  const settled = await outcome
  if (settled.kind !== 'applied') throw new Error('the write was not applied')
  return settled.entry
}

/** The root that the entries in the store make from scratch. */
async function rootOf(store: Store): Promise<string> {
  const tree = new HashTree(sha256)
  const view = store.view()
  for await (const row of view.scan({ from: '\0', below: '\u00ff' })) {
    if ('corrupt' in row) continue
    const sum = tree.sum(leafOf(row.keyHash)).slice()
    addDigest(sum, entryDigest(row, sha256))
    tree.setSum(leafOf(row.keyHash), sum)
  }
  await view.close()
  return tree.root()
}

it('commits what came in one turn as one batch, each as if it came alone', async () => {
  const b = await bench()
  const outcomes = await Promise.all([
    put(b, 'a', 'one'),
    put(b, 'a', 'two'),
    put(b, 'a', 'never', { kind: 'absent' }),
    put(b, 'b', 'three', { kind: 'absent' }),
    put(b, 'b', undefined),
    put(b, 'b', 'four', { kind: 'absent' }),
  ])
  expect(b.faults.commits).toBe(1)
  expect(outcomes.map(({ kind }) => kind)).toEqual([
    'applied',
    'applied',
    'precondition-failed',
    'applied',
    'applied',
    'applied',
  ])
  expect(valueOf(b.store.read(addressOf('things', 'a')))).toBe('two')
  expect(valueOf(b.store.read(addressOf('things', 'b')))).toBe('four')
  expect(b.committer.state.totals).toMatchObject({ values: 2, tombstones: 0 })
  const partition = partitionOf(sha256.sha256(bytesOf(addressOf('things', 'b'))))
  expect(b.committer.state.vector(partition).contiguous(b.committer.state.writer)).toBeGreaterThanOrEqual(3)
  expect(b.committer.state.tree.root()).toBe(await rootOf(b.store))
})

it('gives each write of a key a greater version, whatever the wall clock does', async () => {
  const b = await bench()
  let last = await applied(put(b, 'k', 'v'))
  for (const jumpMs of [3_600_000, -7_200_000, 0, -1, 1]) {
    b.time.wallOffsetMs += jumpMs
    const next = await applied(put(b, 'k', String(jumpMs)))
    expect(compareVersions(next.version, last.version)).toBeGreaterThan(0)
    last = next
  }
})

it('calls a write of a failed batch unknown, and goes on as another writer after opening again', async () => {
  const b = await bench()
  const before = await applied(put(b, 'k', 'before'))
  b.faults.batches = 1
  await expect(put(b, 'k', 'lost')).rejects.toMatchObject({ outcome: 'unknown' })
  const after = await applied(put(b, 'k', 'after'))
  expect(after.dot.writer).not.toBe(before.dot.writer)
  expect(compareVersions(after.version, before.version)).toBeGreaterThan(0)
  expect(valueOf(b.store.read(before.address))).toBe('after')
  expect(b.committer.state.tree.root()).toBe(await rootOf(b.store))
})

it('calls writes not applied that wait while the database cannot be opened, and recovers by itself', async () => {
  const b = await bench()
  b.faults.batches = 1
  b.faults.openings = 2
  const first = put(b, 'a', 'one')
  await expect(first).rejects.toMatchObject({ outcome: 'unknown' })
  const second = put(b, 'b', 'two')
  second.catch(() => {})
  await b.time.advance(1_500)
  await expect(second).rejects.toMatchObject({ outcome: 'not-applied' })
  await b.time.advance(1_500)
  expect(b.committer.isReopening).toBe(false)
  expect((await applied(put(b, 'b', 'three'))).dot.seq).toBe(1)
  expect(b.store.read(addressOf('things', 'a'))).toBeUndefined()
})

it('overwrites an entry that cannot be read, and recomputes its leaf alone', async () => {
  const b = await bench()
  for (let key = 0; key < 200; key++) await put(b, `k${key}`, 'v')
  const address = addressOf('things', 'k7')
  await b.db.put(Buffer.from(`e${address}`, 'latin1'), Buffer.from('nonsense'))
  expect(b.store.read(address)).toBe('corrupt')
  await put(b, 'k7', 'new')
  expect(valueOf(b.store.read(address))).toBe('new')
  expect(b.committer.state.rebuilds).toBe(1)
  expect(b.committer.state.tree.root()).toBe(await rootOf(b.store))
  await b.store.reopen()
  expect(b.store.state.rebuilds).toBe(1)
})

it('starts from checkpoints with the same tree and vectors as from the journal', async () => {
  const b = await bench()
  Object.defineProperty(b.store, 'wantsCheckpoint', { get: () => b.faults.commits % 5 === 0 })
  for (let key = 0; key < 60; key++) await put(b, `k${key % 23}`, key % 7 === 0 ? undefined : `v${key}`)
  const root = b.committer.state.tree.root()
  const vectors = b.committer.state.partitionVectorHashes()
  await b.store.reopen()
  expect(b.store.state.replayedBatches).toBeLessThan(6)
  const again = new Committer({
    store: b.store,
    clock: b.time,
    timers: b.time,
    random: seededRandom(8),
    hash: sha256,
    measures: NO_MEASURES,
    log: SILENT,
    onFatal: (error) => expect.unreachable(String(error)),
  })
  expect(again.state.tree.root()).toBe(root)
  expect(again.state.partitionVectorHashes()).toEqual(vectors)
  expect(await rootOf(b.store)).toBe(root)
})

it('takes nothing more once it is closed, and answers what it took before', async () => {
  const b = await bench()
  const before = put(b, 'a', 'one')
  const closing = b.committer.close()
  await expect(put(b, 'b', 'two')).rejects.toMatchObject({ outcome: 'not-applied' })
  expect(await before).toMatchObject({ kind: 'applied' })
  await closing
})
