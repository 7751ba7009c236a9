import { memory, type MemoryGrapevine } from '@grapevine/client/memory'
import driver from '@grapevine/unstorage'
import { createStorage, prefixStorage, restoreSnapshot, snapshot, type Storage, type StorageValue } from 'unstorage'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

let grapevine: MemoryGrapevine
let storage: Storage
beforeEach(() => {
  grapevine = memory()
})
afterEach(() => storage.dispose())

/** The cases of unstorage's driver suite and documentation, in our words: without a base and with one. */
describe.each(['', 'app:'])('unstorage on Grapevine, base %j', (base) => {
  beforeEach(() => {
    storage = createStorage({ driver: driver({ grapevine, base }) })
  })

  it('has nothing at first', async () => {
    await expect(storage.hasItem('foo')).resolves.toBe(false)
    await expect(storage.getItem('foo')).resolves.toBeNull()
    await expect(storage.getItemRaw('foo')).resolves.toBeNull()
    await expect(storage.getKeys()).resolves.toEqual([])
    await expect(storage.getMeta('foo')).resolves.toEqual({})
  })

  it.each([['text'], [''], [42], [true], [{ a: [1] }], [[1, 'x']]])('gives %j back', async (value) => {
    await storage.setItem('s1:a', value)
    await expect(storage.hasItem('s1:a')).resolves.toBe(true)
    await expect(storage.getItem('s1:a')).resolves.toEqual(value)
  })

  it('takes keys in every spelling that unstorage has', async () => {
    await storage.setItem('s1:a', 1)
    await storage.setItem('/s2/a?query', 2)
    await expect(storage.getItem('s1/a')).resolves.toBe(1)
    await expect(storage.getItem('s2:a')).resolves.toBe(2)
    expect((await storage.getKeys()).toSorted()).toEqual(['s1:a', 's2:a'])
    await expect(storage.getKeys('s1')).resolves.toEqual(['s1:a'])
  })

  it('finds keys by depth, and not beside their base', async () => {
    for (const key of ['a', 'b:c', 'b:d:e', 'bc']) await storage.setItem(key, 1)
    expect((await storage.getKeys('', { maxDepth: 0 })).toSorted()).toEqual(['a', 'bc'])
    expect((await storage.getKeys('', { maxDepth: 1 })).toSorted()).toEqual(['a', 'b:c', 'bc'])
    expect((await storage.getKeys('b')).toSorted()).toEqual(['b:c', 'b:d:e'])
  })

  it('refuses a raw value that is neither bytes nor text', async () => {
    await expect(storage.setItemRaw('k', { a: 1 })).rejects.toThrow(TypeError)
  })

  it('keeps bytes', async () => {
    await storage.setItemRaw('raw.bin', Uint8Array.of(1, 0, 255))
    await expect(storage.getItemRaw('raw.bin')).resolves.toEqual(Uint8Array.of(1, 0, 255))
    await storage.setItemRaw('buffer', Uint8Array.of(9, 8).buffer)
    await expect(storage.getItemRaw('buffer')).resolves.toEqual(Uint8Array.of(9, 8))
    await storage.setItem('text', 'é')
    await expect(storage.getItemRaw('text')).resolves.toEqual(Uint8Array.of(0xc3, 0xa9))
  })

  it('reads and writes many at once', async () => {
    const items: { key: string; value: StorageValue }[] = [
      { key: 'a', value: 'x' },
      { key: 'b', value: { n: 1 } },
    ]
    await storage.setItems(items)
    await expect(storage.getItems(['a', { key: 'b' }, 'c'])).resolves.toEqual([
      { key: 'a', value: 'x' },
      { key: 'b', value: { n: 1 } },
      { key: 'c', value: null },
    ])
  })

  it('removes, also what was set to undefined', async () => {
    await storage.setItem('a', 1)
    await storage.removeItem('a', false)
    await expect(storage.hasItem('a')).resolves.toBe(false)
    await storage.setItem('b', 1)
    await storage.setItem('b', undefined as unknown as string)
    await expect(storage.hasItem('b')).resolves.toBe(false)
  })

  it('tells what is known of an item, and keeps what the user says of it', async () => {
    await storage.setItem('k', 'value', { ttl: 60 })
    const meta = await storage.getMeta('k', { nativeOnly: true })
    expect(meta).toMatchObject({
      size: 5,
      contentType: expect.stringContaining('text/plain'),
      etag: expect.any(String),
    })
    expect(meta.mtime).toBeInstanceOf(Date)
    expect(meta.ttl).toBeGreaterThan(55)
    await storage.setMeta('k', { owner: 'me' })
    await expect(storage.getMeta('k')).resolves.toMatchObject({ size: 5, owner: 'me' })
    await expect(storage.getKeys()).resolves.toEqual(['k'])
    await storage.removeItem('k', { removeMeta: true })
    await expect(storage.getMeta('k')).resolves.toEqual({})
  })

  it('forgets what has a time to live, in seconds', async () => {
    await storage.setItem('k', 1, { ttl: 0.04 })
    await expect(storage.getItem('k')).resolves.toBe(1)
    await expect.poll(() => storage.getItem('k')).toBeNull()
  })

  it('clears what is below a base, or all of its own', async () => {
    await grapevine.bucket('unstorage').put('zzz', 'not below app:')
    await storage.setItem('a:b', 1)
    await storage.setItem('c', 1)
    // unstorage itself asks for a part only of what is mounted there.
    await driver({ grapevine: grapevine.session(), base }).clear?.('a:', {})
    expect((await storage.getKeys()).filter((key) => key !== 'zzz')).toEqual(['c'])
    await storage.clear()
    await expect(storage.getKeys()).resolves.toEqual([])
    await expect(grapevine.bucket('unstorage').get('zzz')).resolves.toBe(base === '' ? undefined : 'not below app:')
  })

  it('takes and restores a snapshot, and works under a prefix', async () => {
    await storage.setItem('s1:a', 'x')
    const taken = await snapshot(storage, '')
    await storage.clear()
    await restoreSnapshot(storage, taken)
    await expect(prefixStorage(storage, 's1').getItem('a')).resolves.toBe('x')
  })

  it('watches, whoever writes, until it is told not to', async () => {
    const seen: string[] = []
    const unwatch = await storage.watch((event, key) => void seen.push(`${event} ${key}`))
    await expect.poll(() => grapevine.node.watchers).toBe(1)
    await storage.setItem('s1:random_file', 'r')
    await grapevine.bucket('unstorage').put(`${base}elsewhere`, 1)
    await storage.removeItem('s1:random_file')
    await expect.poll(() => seen).toEqual(['update s1:random_file', 'update elsewhere', 'remove s1:random_file'])
    await unwatch()
    await expect.poll(() => grapevine.node.watchers).toBe(0)
  })

  it('tells what may have changed after a gap', async () => {
    await storage.setItem('k', 1)
    const seen: string[] = []
    await storage.watch((event, key) => void seen.push(`${event} ${key}`))
    await expect.poll(() => grapevine.node.watchers).toBe(1)
    // More than the feed remembers, while the watch is away.
    grapevine.faults.offline = true
    grapevine.node.endWatches()
    await expect.poll(() => grapevine.node.watchers).toBe(0)
    const writer = memory({ node: grapevine.node })
    for (let part = 0; part < 11; part++)
      await Promise.all(Array.from({ length: 1_000 }, () => writer.bucket('other').put('x', part)))
    await writer.close()
    grapevine.faults.offline = false
    await expect.poll(() => seen, { timeout: 4_000 }).toContain('update k')
  })
})

it('lets go of everything when it is disposed of', async () => {
  storage = createStorage({ driver: driver({ grapevine }) })
  await storage.watch(() => {})
  await expect.poll(() => grapevine.node.watchers).toBe(1)
  await storage.dispose()
  await expect.poll(() => grapevine.node.watchers).toBe(0)
  await expect(grapevine.bucket('b').get('k')).rejects.toMatchObject({ code: 'closed' })
})
