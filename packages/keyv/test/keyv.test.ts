import { memory, type MemoryGrapevine } from '@grapevine/client/memory'
import { KeyvGrapevine } from '@grapevine/keyv'
import { Keyv, KeyvBridgeAdapter } from 'keyv'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

let grapevine: MemoryGrapevine
let nowMs: number
beforeEach(() => {
  grapevine = memory()
  nowMs = Date.now()
})
afterEach(() => grapevine.close())

/** The cases of Keyv's own suites and documentation, in our words: once without, once within a namespace. */
describe.each([undefined, 'ns'])('Keyv on Grapevine, namespace %s', (namespace) => {
  let store: KeyvGrapevine
  let keyv: Keyv
  beforeEach(() => {
    store = new KeyvGrapevine(grapevine)
    keyv = new Keyv({ store, throwOnErrors: true, ...(namespace !== undefined && { namespace }) })
  })

  it('is taken as a store of the sixth version, without a bridge', () => {
    expect(store.capabilities).toMatchObject({ expires: true, compatible: true, store: 'keyvStorage' })
    expect(keyv.store).not.toBeInstanceOf(KeyvBridgeAdapter)
  })

  it.each([['text'], [''], ['ключ ☃'], [0], [false], [null], [{ a: [1, { b: 'c' }] }], [[1, 2]]])(
    'gives %j back',
    async (value) => {
      await expect(keyv.set('k', value)).resolves.toBe(true)
      await expect(keyv.get('k')).resolves.toEqual(value)
      await expect(keyv.has('k')).resolves.toBe(true)
    },
  )

  it('gives bytes back, and dates and big numbers as Keyv writes them', async () => {
    await keyv.set('buffer', Buffer.from([0, 255, 7]))
    const back: unknown = await keyv.get('buffer')
    expect(Buffer.from(back as Uint8Array)).toEqual(Buffer.from([0, 255, 7]))
  })

  it('has nothing where nothing is', async () => {
    await expect(keyv.get('missing')).resolves.toBeUndefined()
    await expect(keyv.has('missing')).resolves.toBe(false)
    await expect(keyv.delete('missing')).resolves.toBe(false)
    await expect(keyv.getMany(['a', 'b'])).resolves.toEqual([undefined, undefined])
  })

  it('deletes, and says whether there was something', async () => {
    await keyv.set('k', 1)
    await expect(keyv.delete('k')).resolves.toBe(true)
    await expect(keyv.delete('k')).resolves.toBe(false)
    await expect(keyv.get('k')).resolves.toBeUndefined()
  })

  it('forgets at an absolute time', async () => {
    await keyv.set('k', 'v', 40)
    await expect(keyv.get('k')).resolves.toBe('v')
    await expect.poll(() => keyv.get('k')).toBeUndefined()
    await expect(keyv.has('k')).resolves.toBe(false)
    await store.set('direct', 'x', nowMs + 3_600_000)
    await expect(store.get('direct')).resolves.toBe('x')
    await store.set('direct', 'y', nowMs - 1)
    await expect(store.get('direct')).resolves.toBeUndefined()
  })

  it('replaces a value with its expiry', async () => {
    await keyv.set('k', 1, 30)
    await keyv.set('k', 2)
    await expect.poll(() => Date.now()).toBeGreaterThan(nowMs + 60)
    await expect(keyv.get('k')).resolves.toBe(2)
  })

  it('does many at once, in their order', async () => {
    const entries = ['a', 'b', 'c'].map((key, index) => ({ key, value: index }))
    await expect(keyv.setMany(entries)).resolves.toEqual([true, true, true])
    await expect(keyv.get(['c', 'missing', 'a'])).resolves.toEqual([2, undefined, 0])
    await expect(keyv.hasMany(['a', 'missing'])).resolves.toEqual([true, false])
    await expect(keyv.deleteMany(['a', 'missing', 'c'])).resolves.toEqual([true, false, true])
    await expect(keyv.getMany(['a', 'b', 'c'])).resolves.toEqual([undefined, 1, undefined])
    await expect(keyv.setMany([])).resolves.toEqual([])
  })

  it('goes through all of its own entries', async () => {
    for (let index = 0; index < 120; index++) await keyv.set(`k${index}`, index)
    await keyv.set('gone', 1, 1)
    await expect.poll(() => keyv.has('gone')).toBe(false)
    const found = new Map<string, unknown>()
    for await (const [key, value] of keyv.iterator()) found.set(key, value)
    expect(found.size).toBe(120)
    expect(found.get('k7')).toBe(7)
  })

  it('clears its own entries and no others', async () => {
    const other = new Keyv({ store: new KeyvGrapevine(grapevine), namespace: 'other' })
    await other.set('k', 'stays')
    if (namespace === undefined) await other.delete('k')
    await keyv.setMany(['a', 'b'].map((key) => ({ key, value: 1 })))
    await keyv.clear()
    await expect(keyv.get(['a', 'b'])).resolves.toEqual([undefined, undefined])
    await expect(other.get('k')).resolves.toBe(namespace === undefined ? undefined : 'stays')
    await keyv.clear()
  })

  it('takes any key up to 1024 bytes, and refuses longer ones', async () => {
    for (const key of ['.', '..', 'a/b', '\0', 'a\\b', '%2e', '\ud800', 'é', '__proto__', 'x'.repeat(1_000)]) {
      await keyv.set(key, key)
      await expect(keyv.get(key)).resolves.toBe(key)
    }
    await expect(keyv.set('x'.repeat(1_025), 1)).rejects.toMatchObject({ code: 'bad_key' })
  })
})

it('keeps namespaces apart', async () => {
  const [a, b] = ['a', 'b'].map((namespace) => new Keyv({ store: new KeyvGrapevine(grapevine), namespace }))
  await a?.set('k', 1)
  await expect(b?.get('k')).resolves.toBeUndefined()
})

it('takes values as they are when Keyv does not write them', async () => {
  const keyv = new Keyv({ store: new KeyvGrapevine(grapevine), serialization: false })
  await keyv.set('k', { a: 1 })
  await expect(keyv.get('k')).resolves.toEqual({ a: 1 })
})

it('tells of failures by an event, and as false', async () => {
  const store = new KeyvGrapevine(grapevine)
  const errors: unknown[] = []
  store.on('error', (error: unknown) => errors.push(error))
  await expect(
    store.setMany([
      { key: '', value: 1 },
      { key: 'k', value: 2 },
    ]),
  ).resolves.toEqual([false, true])
  expect(errors).toMatchObject([{ code: 'bad_key' }])
  const keyv = new Keyv({ store })
  keyv.on('error', (error: unknown) => errors.push(error))
  grapevine.faults.failNext({ code: 'disk_full' }, 20)
  await expect(keyv.set('k', 1)).resolves.toBe(false)
  expect(errors.at(-1)).toMatchObject({ code: 'disk_full' })
})

it('tells of them as false also when nobody listens', async () => {
  grapevine.faults.offline = true
  const store = new KeyvGrapevine(grapevine)
  await expect(store.setMany([{ key: 'k', value: 'v' }])).resolves.toEqual([false])
})

it('deletes nothing while the next page is awaited, where nobody would hear of a failure', async () => {
  let deleted = 0
  const bucket = {
    async *keys() {
      yield { key: 'a' }
      await Promise.resolve()
      throw new Error('the cluster is gone')
    },
    delete: () => Promise.reject(new Error(`deleted ${++deleted}`)),
  }
  const store = new KeyvGrapevine({ bucket: () => bucket } as unknown as MemoryGrapevine)
  await expect(store.clear()).rejects.toThrow('the cluster is gone')
  expect(deleted).toBe(0)
})

it('closes the client when it is disconnected, and not that of a session', async () => {
  const session = new KeyvGrapevine(grapevine.session())
  await session.disconnect()
  await expect(grapevine.bucket('b').get('k')).resolves.toBeUndefined()
  await new Keyv({ store: new KeyvGrapevine(grapevine) }).disconnect()
  await expect(grapevine.bucket('b').get('k')).rejects.toMatchObject({ code: 'closed' })
})
