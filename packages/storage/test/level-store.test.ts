import { StoreError, type Identity } from '@grapevine/core'
import { MemoryLevel } from 'memory-level'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { asidesIn, forgetFormer, formerOf, LevelStore, openStore, setAside, type Database } from '../src/index.ts'
import { batchOf, entryOf, receiptWith, sha256 } from './entries.ts'
import { collect, testStore } from './store-suite.ts'

const FORMER = { replicas: ['c'.repeat(16)], addresses: ['h:7701'] }

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'grapevine-store-'))
  closing.push(() => rm(directory, { recursive: true, force: true }))
  return directory
}

async function openOnDisk(directory: string): Promise<LevelStore> {
  const store = await openStore({ directory, hash: sha256, writeBufferBytes: 1 << 20, cacheBytes: 1 << 20 })
  closing.push(() => store.close().catch(() => {}))
  return store
}

async function openInMemory(db: MemoryLevel<Buffer, Buffer>): Promise<LevelStore> {
  const openDatabase = async (): Promise<Database> => {
    await db.open()
    return db
  }
  return LevelStore.open({ openDatabase, hash: sha256 })
}

function memory(): MemoryLevel<Buffer, Buffer> {
  return new MemoryLevel({ keyEncoding: 'buffer', valueEncoding: 'buffer' })
}

it('refuses everything once it is closed, as an error of the store', async () => {
  const store = await openInMemory(memory())
  await store.close()
  for (const use of [() => store.read('a\0b'), () => store.view()]) expect(use).toThrow(StoreError)
  await expect(store.readMany(['a\0b'])).rejects.toThrow(StoreError)
})

testStore('memory-level', async () => {
  const db = memory()
  return { store: await openInMemory(db), crashAndOpen: () => openInMemory(db) }
})

testStore('classic-level', async () => {
  const directory = await temporaryDirectory()
  const store = await openOnDisk(directory)
  return {
    store,
    crashAndOpen: async () => {
      await store.close()
      return openOnDisk(directory)
    },
  }
})

it('takes a receipt that is damaged for none, and a damaged group for one to forget', async () => {
  const db = memory()
  const store = await openInMemory(db)
  const id = 'a'.repeat(16)
  await store.commit(batchOf([], { receipts: [[id, receiptWith()]] }))
  for (const name of [`i${id}`, 'k\0\0\0\0\0\x01']) {
    const row = Buffer.from((await db.get(Buffer.from(name, 'latin1'))) ?? [])
    row[12] = (row[12] ?? 0) ^ 1
    await db.put(Buffer.from(name, 'latin1'), row)
  }
  expect(store.receipt(id)).toBeUndefined()
  const view = store.view()
  expect(await view.oldestReceipts(9)).toEqual({ total: 0, groups: [{ number: 1, atMs: 0, total: 0, ids: [] }] })
  await view.close()
  await store.reopen()
  expect(store.receipt(id)).toBeUndefined()
})

const IDENTITY: Identity = {
  cluster: 'c'.repeat(32),
  replica: 'd'.repeat(16),
  name: 'n1',
  stage: 'member',
  sponsor: '',
  incarnation: 1,
}

describe('a failed write', () => {
  /** A database whose n-th batch fails, either before or after it reached the disk. */
  function failing(db: MemoryLevel<Buffer, Buffer>, nth: number, lands: boolean): { failed: boolean } {
    const plan = { failed: false }
    const original = db.batch.bind(db)
    let count = 0
    Object.assign(db, {
      batch: (...args: []) => {
        const rows = original(...args)
        const write = rows.write.bind(rows)
        rows.write = async (options?: object) => {
          count++
          if (count !== nth) return write(options ?? {})
          if (lands) await write(options ?? {})
          plan.failed = true
          throw new Error('IO error: no space left on device')
        }
        return rows
      },
    })
    return plan
  }

  it.each([false, true])('poisons the handle until it is opened again (the batch landed: %s)', async (lands) => {
    const db = memory()
    failing(db, 2, lands)
    const store = await openInMemory(db)
    const first = entryOf({ key: 'a', wallMs: 1, seq: 1, value: 'one' })
    const second = entryOf({ key: 'b', wallMs: 2, seq: 2, value: 'two' })
    await store.commit(batchOf([{ after: first }]))
    await expect(store.commit(batchOf([{ after: second }]))).rejects.toMatchObject({ code: 'disk_full' })
    // Reads go on: on a full disk it may take long until the database can be opened again.
    expect(store.read(first.address)).toMatchObject({ dot: { seq: 1 } })
    await expect(store.commit(batchOf([{ after: second }]))).rejects.toMatchObject({ code: 'io_error' })
    await store.reopen()
    expect(store.read(first.address)).toMatchObject({ dot: { seq: 1 } })
    expect(store.read(second.address) !== undefined).toBe(lands)
    const third = entryOf({ key: 'c', wallMs: 3, seq: 3, value: 'three' })
    await store.commit(batchOf([{ after: third }]))
    expect(store.read(third.address)).toMatchObject({ dot: { seq: 3 } })
  })
})

describe('a view of a store that is opened again', () => {
  it('ends with an error of the store, wherever its reader is', async () => {
    const db = memory()
    const store = await openInMemory(db)
    for (let seq = 1; seq <= 3; seq++)
      await store.commit(batchOf([{ after: entryOf({ key: `k${seq}`, wallMs: seq, seq, value: 'v' }) }]))
    const view = store.view()
    const range = { from: 'things\0', below: 'things\u0001' }
    const scanning = view.scan(range)[Symbol.asyncIterator]()
    await scanning.next()
    await store.reopen()
    for (let step = 0; step < 2; step++) await scanning.next()
    await expect(scanning.next()).rejects.toMatchObject({ code: 'io_error' })
    await expect(collect(view.scan(range))).rejects.toMatchObject({ code: 'io_error' })
    await expect(view.leaf(0)).rejects.toMatchObject({ code: 'io_error' })
  })
})

describe('damage', () => {
  it('makes an entry corrupt and never a wrong value, for every flipped bit', async () => {
    const db = memory()
    const store = await openInMemory(db)
    const entry = entryOf({ key: 'a', wallMs: 1, seq: 1, value: 'some value' })
    await store.commit(batchOf([{ after: entry }]))
    for (let bit = 0; bit < entry.envelope.length * 8; bit++) {
      const damaged = Buffer.from(entry.envelope)
      damaged[bit >>> 3] = (damaged[bit >>> 3] ?? 0) ^ (1 << (bit & 7))
      await db.put(Buffer.from(`e${entry.address}`, 'latin1'), damaged)
      expect(store.read(entry.address)).toBe('corrupt')
    }
  })

  it('is told of by a view, and counted in its leaf', async () => {
    const db = memory()
    const store = await openInMemory(db)
    const entry = entryOf({ key: 'a', wallMs: 1, seq: 1, value: 'some value' })
    await store.commit(batchOf([{ after: entry }]))
    await db.put(Buffer.from(`e${entry.address}`, 'latin1'), Buffer.from('nonsense'))
    const view = store.view()
    expect(await collect(view.scan({ from: 'things\0', below: 'things\u0001' }))).toEqual([{ corrupt: entry.address }])
    expect(await view.leaf((entry.keyHash.charCodeAt(0) << 8) | entry.keyHash.charCodeAt(1))).toEqual({
      entries: [],
      corrupt: 1,
      strays: [],
      unreadable: [entry.address],
    })
    await view.close()
  })

  it('of the journal is noticed at opening: a lost batch, and a flipped bit', async () => {
    const db = memory()
    const store = await openInMemory(db)
    for (const seq of [1, 2, 3])
      await store.commit(batchOf([{ after: entryOf({ key: `k${seq}`, wallMs: seq, seq, value: 'v' }) }]))
    const name = Buffer.from([0x6a, 0, 0, 0, 0, 0, 2])
    const row = (await db.get(name)) ?? Buffer.alloc(0)
    await db.del(name)
    await expect(openInMemory(db)).rejects.toMatchObject({ code: 'data_missing' })
    const flipped = Buffer.from(row)
    flipped[20] = (flipped[20] ?? 0) ^ 1
    await db.open()
    await db.put(name, flipped)
    await expect(openInMemory(db)).rejects.toMatchObject({ code: 'data_missing' })
    await db.open()
    await db.put(name, row)
    await expect(openInMemory(db)).resolves.toMatchObject({ state: { replayedBatches: 3 } })
  })

  it('of a name is noticed at opening: a partition has no other one’s vector, and what was there is not forgotten', async () => {
    const db = memory()
    const store = await openInMemory(db)
    const roster = { known: [IDENTITY.replica], evicted: [] }
    await store.commit(batchOf([{ after: entryOf({ key: 'a', wallMs: 1, seq: 1, value: 'v' }) }], { roster }))
    const sums = new Uint8Array(256 * 32)
    const checkpoint = [0x40, 0x50].map((partition) => ({
      partition,
      sums,
      vector: [['f'.repeat(16), [1, 7]]] as const,
    }))
    await store.commit(batchOf([{ after: entryOf({ key: 'b', wallMs: 2, seq: 2, value: 'v' }) }], { checkpoint }))

    const names = [Buffer.from([0x70, 0x40]), Buffer.from('mroster')]
    for (const name of names) {
      const row = (await db.get(name)) ?? Buffer.alloc(0)
      await db.del(name)
      await expect(openInMemory(db)).rejects.toMatchObject({
        code: 'data_missing',
        message: expect.stringContaining('lost'),
      })
      const flipped = Buffer.from(name)
      flipped[1] = (flipped[1] ?? 0) ^ 1
      await db.open()
      await db.put(flipped, row)
      await expect(openInMemory(db)).rejects.toMatchObject({ code: 'data_missing' })
      await db.open()
      await db.del(flipped)
      // Where another one's row is in its place.
      await db.put(name, (await db.get(Buffer.from(name.length === 2 ? [0x70, 0x50] : 'mcheckpoint'))) ?? row)
      await expect(openInMemory(db)).rejects.toMatchObject({
        code: 'data_missing',
        message: expect.stringContaining('checksum'),
      })
      await db.open()
      await db.put(name, row)
    }
    await expect(openInMemory(db)).resolves.toMatchObject({ state: { roster } })
  })

  it('that LevelDB finds itself is an error of the store as well', async () => {
    const db = memory()
    await (await openInMemory(db)).close()
    const broken = Object.assign(db, {
      iterator: () => {
        throw new Error('Corruption: corrupted compressed block contents')
      },
    })
    await expect(openInMemory(broken)).rejects.toMatchObject({ name: 'StoreError', code: 'data_missing' })
  })
})

describe('the data directory', () => {
  async function withData(): Promise<string> {
    const directory = await temporaryDirectory()
    const store = await openOnDisk(directory)
    await store.commit(
      batchOf([{ after: entryOf({ key: 'a', wallMs: 1, seq: 1, value: 'one' }) }], { identity: IDENTITY }),
    )
    await store.close()
    return directory
  }

  it('opens again with the same identity', async () => {
    const directory = await withData()
    expect((await openOnDisk(directory)).state.identity).toEqual(IDENTITY)
    expect(JSON.parse(await readFile(join(directory, 'identity.json'), 'utf8'))).toMatchObject({
      replica: IDENTITY.replica,
      sealed: true,
    })
  })

  it('gives back what dropped rows took, and holds what it held', async () => {
    const directory = await withData()
    const store = await openOnDisk(directory)
    const bytes = async (): Promise<number> => {
      const names = await readdir(join(directory, 'db'))
      // LevelDB drops its files by itself, and may do so between the two.
      const sizes = await Promise.all(
        names.map((name) =>
          stat(join(directory, 'db', name)).then(
            ({ size }) => size,
            () => 0,
          ),
        ),
      )
      return sizes.reduce((sum, size) => sum + size, 0)
    }
    const entries = Array.from({ length: 500 }, (_, index) =>
      // Nothing that a table could compress.
      entryOf({ key: `k${index}`, wallMs: 1, seq: index + 2, value: randomBytes(3_000).toString('base64') }),
    )
    await store.commit(batchOf(entries.map((after) => ({ after }))))
    const full = await bytes()
    await store.commit(batchOf(entries.map((before) => ({ after: undefined, before }))))
    expect(await bytes()).toBeGreaterThan(full / 2)
    store.wantCheckpoint()
    expect(store.wantsCheckpoint).toBe(true)
    await store.commit(batchOf([], { checkpoint: [] }))
    expect(store.wantsCheckpoint).toBe(false)
    await store.compact()
    // What is left remembers the purge.
    expect(await bytes()).toBeLessThan(full / 20)
    await store.close()
    await expect(store.compact()).rejects.toThrow(StoreError)
    const again = await openOnDisk(directory)
    expect(again.read(entryOf({ key: 'a', wallMs: 1, seq: 1 }).address)).toMatchObject({ dot: { seq: 1 } })
    expect(again.read(entries[7]?.address ?? '')).toBeUndefined()
  })

  it('is refused while another process has it', async () => {
    const directory = await temporaryDirectory()
    await openOnDisk(directory)
    await expect(openOnDisk(directory)).rejects.toMatchObject({ code: 'locked' })
  })

  it.each([
    ['CURRENT', (name: string) => name === 'CURRENT'],
    ['the MANIFEST', (name: string) => name.startsWith('MANIFEST')],
    ['all of the database', () => true],
  ])('is refused, with what to do, when %s is gone', async (_, isGone) => {
    const directory = await withData()
    for (const name of await readdir(join(directory, 'db'))) if (isGone(name)) await unlink(join(directory, 'db', name))
    await expect(openOnDisk(directory)).rejects.toMatchObject({
      code: 'data_missing',
      message: expect.stringContaining('--rebuild'),
    })
  })

  it('is refused when CURRENT is gone and no identity tells of it', async () => {
    const directory = await withData()
    await unlink(join(directory, 'identity.json'))
    await unlink(join(directory, 'db', 'CURRENT'))
    await expect(openOnDisk(directory)).rejects.toMatchObject({ code: 'data_missing' })
  })

  it('is new where the first opening of all was cut off', async () => {
    const directory = await temporaryDirectory()
    await mkdir(join(directory, 'db'))
    for (const name of ['LOCK', 'LOG', 'MANIFEST-000001', '000001.dbtmp'])
      await writeFile(join(directory, 'db', name), '')
    expect((await openOnDisk(directory)).state.identity).toBeUndefined()
  })

  it('is refused when a table is gone', async () => {
    const directory = await temporaryDirectory()
    const store = await openOnDisk(directory)
    for (let batch = 0; batch < 40; batch++) {
      const entries = Array.from({ length: 8 }, (_, index) => {
        const seq = batch * 8 + index + 1
        return { after: entryOf({ key: `k${seq}`, wallMs: seq, seq, value: String(Math.random()).repeat(600) }) }
      })
      await store.commit(batchOf(entries, batch === 0 ? { identity: IDENTITY } : {}))
    }
    await store.close()
    const tables = (await readdir(join(directory, 'db'))).filter((name) => name.endsWith('.ldb'))
    expect(tables.length).toBeGreaterThan(0)
    await unlink(join(directory, 'db', tables[0] ?? ''))
    await expect(openOnDisk(directory)).rejects.toMatchObject({ code: 'data_missing' })
  })

  it('is refused when its identity file is gone, damaged or of another replica', async () => {
    const directory = await withData()
    const path = join(directory, 'identity.json')
    const text = await readFile(path, 'utf8')
    await unlink(path)
    await expect(openOnDisk(directory)).rejects.toMatchObject({ code: 'data_missing' })
    await writeFile(path, '{ "format": 9')
    await expect(openOnDisk(directory)).rejects.toMatchObject({ code: 'wrong_directory' })
    await writeFile(path, text.replace(IDENTITY.replica, 'e'.repeat(16)))
    await expect(openOnDisk(directory)).rejects.toMatchObject({ code: 'wrong_directory' })
    await writeFile(path, text)
    expect((await openOnDisk(directory)).state.identity).toEqual(IDENTITY)
  })

  it('heals itself from a crash between the file and the database', async () => {
    const directory = await withData()
    const path = join(directory, 'identity.json')
    await writeFile(path, (await readFile(path, 'utf8')).replace('true', 'false'))
    await (await openOnDisk(directory)).close()
    expect(JSON.parse(await readFile(path, 'utf8'))).toMatchObject({ sealed: true })
  })

  it('can be set aside as a whole, and then begins anew', async () => {
    const directory = await withData()
    const aside = await setAside(directory, { ...FORMER, stamp: 'then' })
    expect(await readdir(aside ?? '')).toEqual(expect.arrayContaining(['db', 'identity.json']))
    expect((await openOnDisk(directory)).state.identity).toBeUndefined()
    expect(await formerOf(directory)).toMatchObject(FORMER)
    expect(await asidesIn(directory)).toEqual([aside])
    await forgetFormer(directory)
    expect(await formerOf(directory)).toBeUndefined()
  })

  it.each(['nothing was moved yet', 'half of it was moved'])(
    'is set aside to the end after a crash when %s',
    async (when) => {
      const directory = await withData()
      const note = { format: 1, ...FORMER, joiner: '', moving: 'aside-then', discards: false }
      await writeFile(join(directory, 'former.json'), JSON.stringify(note))
      const aside = join(directory, 'aside-then')
      if (when.startsWith('half')) {
        await mkdir(aside)
        await rename(join(directory, 'db'), join(aside, 'db'))
      }
      expect(await formerOf(directory)).toMatchObject(FORMER)
      expect((await readdir(aside)).toSorted()).toEqual(['db', 'identity.json'])
      expect((await openOnDisk(directory)).state.identity).toBeUndefined()
      // What came after the move is not moved by a later look.
      expect(await formerOf(directory)).toMatchObject(FORMER)
      expect(await readdir(directory)).toContain('db')
    },
  )

  it('is set aside without a trace when it is to be discarded, and not while a process has it', async () => {
    const directory = await withData()
    const store = await openOnDisk(directory)
    const discards = { ...FORMER, stamp: 'then', discards: true }
    await expect(setAside(directory, discards)).rejects.toMatchObject({ code: 'locked' })
    await store.close()
    expect(await setAside(directory, discards)).toBeUndefined()
    expect(await readdir(directory)).toEqual(['former.json'])
    expect(await formerOf(directory)).toMatchObject(FORMER)
  })

  it('leads nowhere but into itself', async () => {
    const directory = await withData()
    const note = { format: 1, ...FORMER, joiner: '', moving: 'aside-/../..', discards: true }
    await writeFile(join(directory, 'former.json'), JSON.stringify(note))
    await expect(formerOf(directory)).rejects.toMatchObject({ code: 'wrong_directory' })
    expect(await readdir(directory)).toContain('db')
  })
})
