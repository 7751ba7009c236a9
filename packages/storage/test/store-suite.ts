import {
  FRONTIER_GROUNDS_MAX,
  leafOf,
  partitionOf,
  VersionVector,
  type Entry,
  type FrontierGrounds,
  type Store,
  type StoreView,
  type WriterId,
} from '@grapevine/core'
import { describe, expect, it } from 'vitest'
import { batchOf, entryOf, receiptWith, WRITER } from './entries.ts'

const NO_WRITERS: ReadonlySet<WriterId> = new Set()

/** What a suite needs to run a store: open one, and open it again as after a crash. */
export interface StoreUnderTest {
  readonly store: Store
  /** Opens what is on disk without closing in an orderly way first, where the medium permits that. */
  crashAndOpen(): Promise<Store>
}

/** What every {@link Store} must do, whatever it is made of. */
export function testStore(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`the store: ${name}`, () => {
    it('begins empty', async () => {
      const { store } = await open()
      expect(store.state).toMatchObject({ identity: undefined, totals: { values: 0, tombstones: 0, bytes: 0 } })
      expect(store.read(entryOf({ key: 'a', wallMs: 1, seq: 1 }).address)).toBeUndefined()
    })

    it('returns what was committed, to the byte', async () => {
      const { store } = await open()
      const entries = [
        entryOf({ key: 'a', wallMs: 1, seq: 1, value: 'one' }),
        entryOf({ key: 'b', wallMs: 2, seq: 2, value: '' }),
        entryOf({ key: 'c\0\u00ff/', wallMs: 3, seq: 3 }),
      ]
      await store.commit(batchOf(entries.map((after) => ({ after }))))
      for (const entry of entries) expect(envelopeOf(store.read(entry.address))).toEqual(Buffer.from(entry.envelope))
      const many = await store.readMany(entries.map(({ address }) => address))
      expect(many.map(envelopeOf)).toEqual(entries.map(({ envelope }) => Buffer.from(envelope)))
    })

    it('remembers vectors, sums, totals, identity, roster, peers and clock reserve over a crash', async () => {
      const under = await open()
      const after = entryOf({ key: 'a', wallMs: 1, seq: 1, value: 'one' })
      const leaf = leafOf(after.keyHash)
      const sum = new Uint8Array(32).fill(7)
      const identity = {
        cluster: 'c'.repeat(32),
        replica: 'd'.repeat(16),
        name: 'n1',
        stage: 'member',
        sponsor: '',
        incarnation: 3,
      } as const
      await under.store.commit(
        batchOf([{ after }], {
          leaves: [{ leaf, sum }],
          adopted: [{ partition: 9, rows: [['e'.repeat(16), [1, 4, 7, 7]]] }],
          totals: { values: 1, tombstones: 2, bytes: 3, tombstoneBytes: 1 },
          rebuilds: 4,
          identity,
          roster: { known: [identity.replica], evicted: ['f'.repeat(16)] },
          peers: [{ replica: 'e'.repeat(16), name: 'n2', address: 'h:1', clientUrl: 'http://h:2' }],
          reserve: { wallMs: 5_000, counter: 0 },
        }),
      )
      const { state } = await under.crashAndOpen()
      expect(state).toMatchObject({
        identity,
        roster: { known: [identity.replica], evicted: ['f'.repeat(16)] },
        peers: [{ name: 'n2' }],
        reserve: { wallMs: 5_000, counter: 0 },
        totals: { values: 1, tombstones: 2, bytes: 3, tombstoneBytes: 1 },
        rebuilds: 4,
      })
      expect(state.vectors[partitionOf(after.keyHash)]?.covers(after.dot)).toBe(true)
      expect(state.vectors[9]?.rows()).toContainEqual(['e'.repeat(16), [1, 4, 7, 7]])
      expect(Buffer.from(state.sums.subarray(leaf * 32, leaf * 32 + 32))).toEqual(Buffer.from(sum))
    })

    it('starts from a checkpoint and what came after it', async () => {
      const under = await open()
      const [first, second] = [1, 2].map((seq) => entryOf({ key: 'a', wallMs: seq, seq, value: `${seq}` }))
      if (first === undefined || second === undefined) throw new Error('two entries were made')
      const partition = partitionOf(first.keyHash)
      await under.store.commit(batchOf([{ after: first }]))
      const vector = new VersionVector()
      vector.add(first.dot)
      const checkpoint = [{ partition, sums: new Uint8Array(256 * 32).fill(5), vector: vector.rows() }]
      await under.store.commit(batchOf([{ after: second, before: first }], { checkpoint }))
      const { state } = await under.crashAndOpen()
      expect(state.replayedBatches).toBe(1)
      expect(state.vectors[partition]?.rows()).toEqual([[WRITER, [1, 2]]])
      expect(state.sums[partition * 256 * 32]).toBe(5)
    })

    it('lists the entries of a leaf, and each key once however often it was overwritten', async () => {
      const { store } = await open()
      const first = entryOf({ key: 'a', wallMs: 1, seq: 1, value: 'one' })
      const second = entryOf({ key: 'a', wallMs: 2, seq: 2, value: 'two' })
      await store.commit(batchOf([{ after: first }]))
      await store.commit(batchOf([{ after: second, before: first }]))
      await during(store.view(), async (view) => {
        const { entries, corrupt } = await view.leaf(leafOf(first.keyHash))
        expect(corrupt).toBe(0)
        expect(entries.map(({ dot }) => dot.seq)).toEqual([2])
        expect(await view.readByKeyHash([second.keyHash, 'x'.repeat(32)])).toMatchObject([
          { dot: { seq: 2 } },
          undefined,
        ])
      })
    })

    it('finds exactly the entries whose dots a vector lacks', async () => {
      const { store } = await open()
      // More than one page, all in one partition, with the even ones seen.
      const entries = inOnePartition(600)
      await store.commit(batchOf(entries.map((after) => ({ after }))))
      const partition = partitionOf(entries[0]?.keyHash ?? '')
      const vector = VersionVector.of([[WRITER, [1, 300]]])
      for (let seq = 302; seq <= 600; seq += 2) vector.add({ writer: WRITER, seq })
      await during(store.view(), async (view) => {
        const found = await collect(view.missing(partition, vector, NO_WRITERS))
        const expected = entries.filter(({ dot }) => dot.seq > 300 && dot.seq % 2 === 1)
        expect(found.map((row) => 'dot' in row && row.dot.seq)).toEqual(expected.map(({ dot }) => dot.seq))
      })
    })

    it('forgets the dot that an overwrite superseded', async () => {
      const { store } = await open()
      const first = entryOf({ key: 'a', wallMs: 1, seq: 1, value: 'one' })
      const second = entryOf({ key: 'a', wallMs: 2, seq: 2 })
      await store.commit(batchOf([{ after: first }]))
      await store.commit(batchOf([{ after: second, before: first }]))
      await during(store.view(), async (view) => {
        const found = await collect(view.missing(partitionOf(first.keyHash), new VersionVector(), NO_WRITERS))
        expect(found).toMatchObject([{ dot: { seq: 2 } }])
        const { hlc } = second.version
        expect(await view.purgeable(hlc, 10)).toEqual([{ at: hlc, address: second.address }])
      })
    })

    it('remembers what was purged, when, and since when, over a crash', async () => {
      const under = await open()
      const tombstone = entryOf({ key: 'a', wallMs: 1, seq: 1 })
      const expired = entryOf({ key: 'b', wallMs: 2, seq: 2, value: 'v', expiresAtMs: 700 })
      const kept = entryOf({ key: 'c', wallMs: 3, seq: 3 })
      await under.store.commit(batchOf([tombstone, expired, kept].map((after) => ({ after }))))
      await during(under.store.view(), async (view) => expect(await view.purgesSinceMs()).toBeUndefined())
      await under.store.commit(batchOf([{ after: undefined, before: tombstone }], { atMs: 800 }))
      await under.store.commit(batchOf([{ after: undefined, before: expired }], { atMs: 900 }))
      // The same key once more: what is told is the last of it.
      const again = entryOf({ key: 'a', wallMs: 4, seq: 4 })
      await under.store.commit(batchOf([{ after: again }]))
      await under.store.commit(batchOf([{ after: undefined, before: again }], { atMs: 950 }))
      const store = await under.crashAndOpen()
      await during(store.view(), async (view) => {
        expect(await view.purgeRecord(again.keyHash)).toEqual({
          version: again.version,
          expiresAtMs: 0,
          purgedAtMs: 950,
        })
        expect(await view.purgeRecord(expired.keyHash)).toEqual({
          version: expired.version,
          expiresAtMs: 700,
          purgedAtMs: 900,
        })
        expect(await view.purgeRecord(kept.keyHash)).toBeUndefined()
        expect(await view.purgesSinceMs()).toBe(800)
      })
    })

    it('remembers why the frontier was raised, the newest first, and no more than it has to', async () => {
      const under = await open()
      const grounds = (wallMs: number): FrontierGrounds => ({
        frontier: { wallMs, counter: 0 },
        atMs: wallMs + 1,
        takenFrom: '',
        promises: [['a'.repeat(16), { wallMs: wallMs + 5, counter: 2 }]],
        evicted: ['e'.repeat(16)],
        union: { hash: '0123456789abcdef', writes: wallMs },
      })
      for (let wallMs = 1; wallMs <= FRONTIER_GROUNDS_MAX + 3; wallMs++)
        await under.store.commit(batchOf([], { frontier: grounds(wallMs) }))
      const store = await under.crashAndOpen()
      expect(store.state.frontier).toEqual({ wallMs: FRONTIER_GROUNDS_MAX + 3, counter: 0 })
      await during(store.view(), async (view) => {
        const all = await view.frontierGrounds()
        expect(all).toHaveLength(FRONTIER_GROUNDS_MAX)
        expect([all[0], all.at(-1)]).toEqual([grounds(FRONTIER_GROUNDS_MAX + 3), grounds(4)])
      })
    })

    it('scans in order of addresses, both ways, within a range', async () => {
      const { store } = await open()
      const keys = ['a', 'b', 'b\0', 'b\u00ff', 'c']
      await store.commit(
        batchOf(keys.map((key, index) => ({ after: entryOf({ key, wallMs: 1, seq: index + 1, value: key }) }))),
      )
      const range = { from: 'things\0b', below: 'things\0c' }
      await during(store.view(), async (view) => {
        expect((await collect(view.scan(range))).map(keyOf)).toEqual(['b', 'b\0', 'b\u00ff'])
        expect((await collect(view.scan({ ...range, reverse: true }))).map(keyOf)).toEqual(['b\u00ff', 'b\0', 'b'])
      })
    })

    it('remembers receipts over a crash, and in what order they came', async () => {
      const under = await open()
      expect(under.store.hasReceipts).toBe(false)
      const ids = ['a', 'b', 'c', 'd'].map((letter) => letter.repeat(16))
      const [a = '', b = '', c = '', d = ''] = ids
      const later = receiptWith({ atMs: 2_000 })
      await under.store.commit(
        batchOf([], {
          atMs: 1_000,
          receipts: [
            [a, receiptWith()],
            [b, receiptWith()],
          ],
        }),
      )
      await under.store.commit(batchOf([]))
      await under.store.commit(batchOf([], { atMs: 2_000, receipts: [[c, later]] }))
      const store = await under.crashAndOpen()
      expect(store.hasReceipts).toBe(true)
      expect(store.receipt(a)).toEqual(receiptWith())
      expect(await store.receipts([c, d, b])).toEqual([later, undefined, receiptWith()])
      await during(store.view(), async (view) => {
        const first = { number: 1, atMs: 1_000, total: 2, ids: [a, b] }
        const second = { number: 3, atMs: 2_000, total: 3, ids: [c] }
        expect(await view.oldestReceipts(100)).toEqual({ total: 3, groups: [first, second] })
        expect(await view.oldestReceipts(2)).toEqual({ total: 3, groups: [first] })
        expect(await view.oldestReceipts(1)).toEqual({ total: 3, groups: [first] })
      })
      await store.commit(batchOf([], { forgotten: { groups: [1], ids: [a] } }))
      expect(await store.receipts(ids)).toEqual([undefined, receiptWith(), later, undefined])
      await during(store.view(), async (view) => {
        expect(await view.oldestReceipts(9)).toMatchObject({ total: 3, groups: [{ number: 3 }] })
      })
    })

    it('forgets and keeps one receipt in the same batch', async () => {
      const { store } = await open()
      const id = 'a'.repeat(16)
      await store.commit(batchOf([], { receipts: [[id, receiptWith()]] }))
      const again = receiptWith({ expiresAtMs: 5 })
      await store.commit(batchOf([], { receipts: [[id, again]], forgotten: { groups: [1], ids: [] } }))
      expect(store.receipt(id)).toEqual(again)
      await during(store.view(), async (view) => {
        expect((await view.oldestReceipts(9)).groups).toMatchObject([{ number: 2, total: 2 }])
      })
    })

    it('shows one moment in a view, whatever is committed meanwhile', async () => {
      const { store } = await open()
      const first = entryOf({ key: 'a', wallMs: 1, seq: 1, value: 'one' })
      await store.commit(batchOf([{ after: first }]))
      await during(store.view(), async (view) => {
        await store.commit(batchOf([{ after: entryOf({ key: 'a', wallMs: 2, seq: 2, value: 'two' }), before: first }]))
        await store.commit(batchOf([{ after: entryOf({ key: 'b', wallMs: 3, seq: 3, value: 'three' }) }]))
        expect(view.read(first.address)).toMatchObject({ dot: { seq: 1 } })
        expect(await collect(view.scan({ from: 'things\0', below: 'things\u0001' }))).toHaveLength(1)
        expect(await collect(view.missing(partitionOf(first.keyHash), new VersionVector(), NO_WRITERS))).toMatchObject([
          { dot: { seq: 1 } },
        ])
      })
    })
  })
}

export async function collect<T>(rows: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = []
  for await (const row of rows) collected.push(row)
  return collected
}

function inOnePartition(count: number): Entry[] {
  const entries: Entry[] = []
  for (let candidate = 0; entries.length < count; candidate++) {
    const entry = entryOf({ key: `k${candidate}`, wallMs: 1, seq: entries.length + 1, value: 'v' })
    if (partitionOf(entry.keyHash) === 7) entries.push(entry)
  }
  return entries
}

function envelopeOf(held: unknown): Buffer | undefined {
  return typeof held === 'object' && held !== null && 'envelope' in held
    ? Buffer.from(held.envelope as Uint8Array)
    : undefined
}

function keyOf(row: Entry | { corrupt: string }): string {
  return ('corrupt' in row ? row.corrupt : row.address).slice('things\0'.length)
}

async function during(view: StoreView, use: (view: StoreView) => Promise<void>): Promise<void> {
  try {
    await use(view)
  } finally {
    await view.close()
  }
}
