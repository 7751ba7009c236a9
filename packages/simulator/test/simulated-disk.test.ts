import { LevelStore } from '@grapevine/storage'
import { describe, expect, it } from 'vitest'
import { batchOf, entryOf, sha256 } from '../../storage/test/entries.ts'
import { testStore } from '../../storage/test/store-suite.ts'
import { SeededRandom } from '../src/seeded-random.ts'
import { SimulatedDatabase } from '../src/simulated-database.ts'
import { SimulatedDisk } from '../src/simulated-disk.ts'

/** The disk's time is not what these tests are about. */
const atOnce = { pass: async () => {} }

function newDisk(seed = 1): SimulatedDisk {
  return new SimulatedDisk(new SeededRandom(seed))
}

async function databaseOn(disk: SimulatedDisk): Promise<SimulatedDatabase> {
  const db = new SimulatedDatabase(disk, atOnce)
  await db.open()
  return db
}

function storeOn(disk: SimulatedDisk): Promise<LevelStore> {
  return LevelStore.open({ openDatabase: () => databaseOn(disk), hash: sha256 })
}

async function put(db: SimulatedDatabase, name: string, sync = true): Promise<void> {
  await db.batch([{ type: 'put', key: Buffer.from(name), value: Buffer.from(`value of ${name}`) }], {
    sync,
  } as object)
}

async function names(db: SimulatedDatabase): Promise<string[]> {
  return (await db.keys().all()).map(String)
}

testStore('the simulated disk', async () => {
  const disk = newDisk()
  return {
    store: await storeOn(disk),
    crashAndOpen: () => {
      disk.crash()
      return storeOn(disk)
    },
  }
})

describe('a simulated disk', () => {
  it('keeps what was synced over a power cut, and loses of the rest some end', async () => {
    const left = new Set<number>()
    for (let seed = 0; seed < 30; seed++) {
      const disk = newDisk(seed)
      const db = await databaseOn(disk)
      for (const name of ['a', 'b']) await put(db, name)
      for (const name of ['c', 'd', 'e']) await put(db, name, false)
      disk.losePower()
      const kept = await names(await databaseOn(disk))
      expect(['a', 'b', 'c', 'd', 'e'].slice(0, kept.length)).toEqual(kept)
      left.add(kept.length)
    }
    expect([...left].toSorted((a, b) => a - b)).toEqual([2, 3, 4, 5])
  })

  it('keeps everything that was written when only the process is killed', async () => {
    const disk = newDisk()
    const db = await databaseOn(disk)
    await put(db, 'a')
    await put(db, 'b', false)
    disk.crash()
    expect(await names(await databaseOn(disk))).toEqual(['a', 'b'])
  })

  it('goes on acknowledging after it was full, and has lost all that at the next opening', async () => {
    const disk = newDisk()
    const db = await databaseOn(disk)
    await put(db, 'a')
    disk.fail({ kind: 'full' })
    await expect(put(db, 'b')).rejects.toThrow('No space left')
    await put(db, 'c')
    expect(await names(db)).toEqual(['a', 'c'])
    await db.close()
    await expect(databaseOn(disk)).rejects.toMatchObject({ cause: { message: 'IO error: No space left on device' } })
    disk.recover()
    expect(await names(await databaseOn(disk))).toEqual(['a'])
  })

  it('fails until it is opened again after a failed fsync, and the failed write may be there', async () => {
    const found = new Set<string>()
    for (let seed = 0; seed < 20; seed++) {
      const disk = newDisk(seed)
      const db = await databaseOn(disk)
      await put(db, 'a')
      disk.fail({ kind: 'sync-error' })
      await expect(put(db, 'b')).rejects.toThrow('fsync')
      await expect(put(db, 'c')).rejects.toThrow('fsync')
      expect(await names(db)).toEqual(['a'])
      await db.close()
      const again = await databaseOn(disk)
      await put(again, 'd')
      found.add((await names(again)).join())
    }
    expect([...found].toSorted()).toEqual(['a,b,d', 'a,d'])
  })

  it('flips a bit at rest, and the store says corrupt and never another value', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const disk = newDisk(seed)
      const store = await storeOn(disk)
      const entry = entryOf({ key: 'a', wallMs: 1, seq: 1, value: 'some value' })
      await store.commit(batchOf([{ after: entry }]))
      expect(disk.flipBit('e')).toBe(`e${entry.address}`)
      expect(store.read(entry.address)).toBe('corrupt')
      await store.close()
      expect((await storeOn(disk)).read(entry.address)).toBe('corrupt')
    }
  })

  it('may have a hole in its log, which the store notices', async () => {
    const disk = newDisk()
    const store = await storeOn(disk)
    for (let seq = 1; seq <= 5; seq++)
      await store.commit(batchOf([{ after: entryOf({ key: `k${seq}`, wallMs: seq, seq, value: 'v' }) }]))
    disk.crash()
    expect(disk.tearHole()).toBe(true)
    await expect(storeOn(disk)).rejects.toMatchObject({ code: 'data_missing' })
  })

  it('can be as it once was, be copied to another machine, and be lost', async () => {
    const disk = newDisk()
    const db = await databaseOn(disk)
    await put(db, 'a')
    disk.identity = 'me'
    const image = disk.image()
    await put(db, 'b')
    const other = newDisk(2)
    other.become(image)
    expect(other.identity).toBe('me')
    expect(await names(await databaseOn(other))).toEqual(['a'])
    disk.become(image)
    expect(await names(await databaseOn(disk))).toEqual(['a'])
    disk.wipe()
    expect(disk.exists).toBe(false)
    expect(disk.identity).toBeUndefined()
    expect(await names(await databaseOn(disk))).toEqual([])
  })

  it('belongs to one process at a time', async () => {
    const disk = newDisk()
    await databaseOn(disk)
    await expect(databaseOn(disk)).rejects.toMatchObject({ cause: { code: 'LEVEL_LOCKED' } })
  })
})
