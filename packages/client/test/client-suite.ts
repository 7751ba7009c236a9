import { GrapevineError, json, type Change, type Grapevine } from '@grapevine/client'
import type { MemoryNode } from '@grapevine/client/memory'
import { asyncProperty, assert as assertProperty, constantFrom, oneof, string, uint8Array } from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'

export interface Opened {
  readonly grapevine: Grapevine
  /** The node behind it. */
  readonly node: MemoryNode
  close(): Promise<void>
}

/** What every way to a node has to do alike. */
export function testClient(name: string, open: () => Promise<Opened>): void {
  describe(`the client: ${name}`, () => {
    let opened: Opened
    let grapevine: Grapevine
    beforeEach(async () => {
      opened = await open()
      grapevine = opened.grapevine
    })
    afterEach(() => opened.close())

    it('puts, gets, and deletes', async () => {
      const carts = grapevine.bucket('carts')
      await expect(carts.get('42')).resolves.toBeUndefined()
      const receipt = await carts.put('42', { items: 1 }, { w: 'quorum' })
      expect(receipt).toMatchObject({ acks: { count: 1, of: 1 }, servedBy: 'memory' })
      await expect(carts.get('42')).resolves.toEqual({ items: 1 })
      const entry = await carts.entry('42')
      expect(entry).toMatchObject({ value: { items: 1 }, etag: receipt.etag, contentType: 'application/json' })
      expect(entry?.lastModified).toBeInstanceOf(Date)
      expect(entry?.expiresAt).toBeUndefined()
      await carts.delete('42')
      await expect(carts.entry('42')).resolves.toBeUndefined()
    })

    it('keeps bytes, text, emptiness and content types', async () => {
      const bytes = grapevine.bucket('b', { codec: 'bytes' })
      const text = grapevine.bucket('b', { codec: 'text' })
      await bytes.put('empty', new Uint8Array())
      await expect(bytes.get('empty')).resolves.toEqual(new Uint8Array())
      await text.put('t', '\ufeffé😀', { contentType: 'text/css' })
      await expect(text.entry('t')).resolves.toMatchObject({ value: '\ufeffé😀', contentType: 'text/css' })
    })

    it('gives the same key back for every byte string and every text', async () => {
      const bucket = grapevine.bucket('b', { codec: 'text' })
      const anyKey = oneof(
        uint8Array({ minLength: 1, maxLength: 20 }),
        string({ unit: 'binary', minLength: 1, maxLength: 20 }),
        constantFrom(
          '.',
          '..',
          '\\',
          '\0',
          'a/b',
          '%2e',
          '\ud800',
          'a\udfff\ud800b',
          'é',
          'e\u0301',
          '__proto__',
          '+ ?#',
        ),
        constantFrom(Uint8Array.of(0xed, 0xa0, 0x80, 0xed, 0xb0, 0x80), Uint8Array.of(0xed, 0xa0)),
      )
      await assertProperty(
        asyncProperty(anyKey, async (key) => {
          await bucket.put(key, 'here')
          const found = await Array.fromAsync(bucket.list())
          expect(found).toHaveLength(1)
          const [{ key: back } = { key: '' }] = found
          if (typeof key === 'string') expect(back).toBe(key)
          await expect(bucket.get(back)).resolves.toBe('here')
          await bucket.delete(back)
          await expect(bucket.get(key)).resolves.toBeUndefined()
        }),
        { numRuns: 60 },
      )
    })

    it('lists in order, by prefix, range and direction, over pages', async () => {
      const bucket = grapevine.bucket('b')
      await Promise.all(
        Array.from({ length: 250 }, (_, index) => bucket.put(`k${String(index).padStart(3, '0')}`, index)),
      )
      await bucket.put('z', 'other')
      const all = await Array.fromAsync(bucket.list({ prefix: 'k' }))
      expect(all.map(({ value }) => value)).toEqual(Array.from({ length: 250 }, (_, index) => index))
      const some = await Array.fromAsync(bucket.list({ start: 'k010', end: 'k013', reverse: true }))
      expect(some.map(({ key }) => key)).toEqual(['k012', 'k011', 'k010'])
      expect(await Array.fromAsync(bucket.keys({ limit: 3 }))).toHaveLength(3)
    })

    it('does what is asked in one tick together, each with its own fate', async () => {
      const bucket = grapevine.bucket('b')
      const answers = await Promise.allSettled([
        bucket.put('a', 1),
        bucket.put('b', 2, { ifMatch: 'nothing' }),
        bucket.get('a'),
        bucket.get('c'),
        bucket.delete('d'),
      ])
      expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', ...Array(3).fill('fulfilled')])
      expect(answers[1]).toMatchObject({ reason: { code: 'precondition_failed', outcome: 'not-applied' } })
      expect(answers[2]).toMatchObject({ value: 1 })
      expect(answers[3]).toMatchObject({ value: undefined })
    })

    it('keeps conditions', async () => {
      const bucket = grapevine.bucket('b')
      const { etag } = await bucket.put('k', 1, { ifAbsent: true })
      await expect(bucket.put('k', 2, { ifAbsent: true })).rejects.toMatchObject({ status: 412 })
      await bucket.put('k', 3, { ifMatch: etag })
      await expect(bucket.delete('k', { ifMatch: etag })).rejects.toMatchObject({ code: 'precondition_failed' })
      await expect(bucket.get('k')).resolves.toBe(3)
    })

    it('updates without losing one of many', async () => {
      const counters = grapevine.bucket('b', { codec: json(z.number()) })
      const once = () => counters.update('n', (old) => (old ?? 0) + 1, { attempts: 50 })
      await Promise.all(Array.from({ length: 10 }, once))
      await expect(counters.get('n')).resolves.toBe(10)
    })

    it('forgets what has expired', async () => {
      const bucket = grapevine.bucket('b')
      await bucket.put('short', 1, { ttl: 30 })
      await bucket.put('long', 1, { ttl: '1h' })
      const entry = await bucket.entry('long')
      expect(entry?.expiresAt?.getTime()).toBeGreaterThan(Date.now() + 3_500_000)
      await expect.poll(() => bucket.get('short')).toBeUndefined()
    })

    it('keeps a policy, against which a put may say otherwise', async () => {
      const bucket = grapevine.bucket('b')
      await bucket.setPolicy({ ttl: '1h' }, { w: 'all' })
      await expect(bucket.policy()).resolves.toEqual({ ttl: '1h' })
      await Promise.all([bucket.put('a', 1), bucket.put('b', 1, { ttl: 'none' })])
      expect((await bucket.entry('a'))?.expiresAt).toBeInstanceOf(Date)
      expect((await bucket.entry('b'))?.expiresAt).toBeUndefined()
      await bucket.setPolicy({})
      await expect(bucket.policy()).resolves.toEqual({ ttl: null })
    })

    it('sends no value that its codec refuses', async () => {
      const numbers = grapevine.bucket('b', { codec: json(z.object({ n: z.number() })) })
      // @ts-expect-error -- What the compiler would not let through.
      await expect(numbers.put('k', { n: 'x' })).rejects.toMatchObject({ code: 'bad_value', outcome: 'not-applied' })
      const cyclic: Record<string, unknown> = {}
      cyclic['self'] = cyclic
      await expect(grapevine.bucket('b').put('k', cyclic)).rejects.toMatchObject({ code: 'bad_value' })
      await expect(grapevine.bucket('b', { codec: 'text' }).put('k', '\ud800')).rejects.toMatchObject({
        code: 'bad_value',
      })
      expect(await Array.fromAsync(grapevine.keys('b'))).toEqual([])
    })

    it('applies a write with one name once, and refuses the name for another', async () => {
      const bucket = grapevine.bucket('b')
      const first = await bucket.put('k', 1, { id: 'once' })
      await bucket.put('k', 2)
      const again = await bucket.put('k', 1, { id: 'once' })
      expect(again.etag).toBe(first.etag)
      await expect(bucket.get('k')).resolves.toBe(2)
      await expect(bucket.put('k', 3, { id: 'once' })).rejects.toMatchObject({ code: 'idempotency_mismatch' })
    })

    it('tells who holds a write, and who does when it is too few', async () => {
      const receipt = await grapevine.bucket('b').put(Uint8Array.of(0xff), 1)
      const { holders } = await receipt.visible({ on: 'all', within: 2_000 })
      expect(holders).toMatchObject([{ name: 'memory', committedAt: expect.any(Date) }])
      const error: unknown = await receipt.visible({ on: 3, within: 50 }).catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({ code: 'timeout', status: 504, holders: [{ name: 'memory' }] })
      await expect(receipt.visible({ within: 0 })).rejects.toMatchObject({ code: 'bad_argument' })
      // No node waits longer than a minute, and asking for more is no reason to fail.
      await expect(receipt.visible({ on: 1, within: 90_000 })).resolves.toBeDefined()
    })

    it('carries a session, and goes on with an exported one', async () => {
      const session = grapevine.session()
      expect(session.sessionToken).toBeUndefined()
      await session.bucket('b').put('k', 1)
      const saved = session.sessionToken
      expect(saved).toMatch(/^[\w.,~-]+$/)
      await expect(grapevine.session(saved).bucket('b').get('k')).resolves.toBe(1)
      expect(() => grapevine.session('no token')).toThrow(GrapevineError)
      const foreign = grapevine.session('foreign').bucket('b').put('k', 2)
      await expect(foreign).rejects.toMatchObject({ code: 'bad_header', outcome: 'not-applied' })
      await expect(grapevine.bucket('b').get('k')).resolves.toBe(1)
    })

    it('watches, over the end of a connection, and misses nothing', async () => {
      const bucket = grapevine.bucket('b')
      const changes: Change[] = []
      const watch = bucket.watch({ prefix: 'w' })
      const watching = (async () => {
        for await (const change of watch) if (changes.push(change) === 5) break
      })()
      await expect.poll(() => opened.node.watchers).toBe(1)
      await bucket.put('w1', 1)
      await bucket.put('other', 1)
      await bucket.delete('w1')
      await expect.poll(() => changes.length).toBe(2)
      opened.node.endWatches()
      await bucket.put('w2', 2)
      await bucket.put('w3', 3, { ttl: 40 })
      await watching
      expect(changes.map(({ type, ...rest }) => `${type} ${'key' in rest ? String(rest.key) : ''}`)).toEqual([
        'put w1',
        'delete w1',
        'put w2',
        'put w3',
        'expire w3',
      ])
      await expect.poll(() => opened.node.watchers).toBe(0)
    })

    it('says that something may be missed when it goes on from before the feed begins', async () => {
      await using watch = grapevine.bucket('b').watch({ after: 'unknown.7' })
      expect(await watch.next()).toMatchObject({ value: { type: 'resync' } })
    })

    it('begins a watch with a resync when told to: who lists then has missed nothing', async () => {
      const bucket = grapevine.bucket('b')
      await bucket.put('before', 1)
      await using watch = bucket.watch({ initial: true })
      expect(await watch.next()).toMatchObject({ value: { type: 'resync', id: expect.any(String) } })
      await bucket.put('after', 2)
      expect(await watch.next()).toMatchObject({ value: { type: 'put', key: 'after' } })
    })

    it('leaves a watch at any moment, and nothing stays behind', async () => {
      const watch = grapevine.bucket('b').watch()
      const pending = watch.next()
      await expect.poll(() => opened.node.watchers).toBe(1)
      await watch.return?.()
      expect(await pending).toEqual({ done: true, value: undefined })
      await expect.poll(() => opened.node.watchers).toBe(0)

      const controller = new AbortController()
      const aborted = grapevine.bucket('b').watch({ signal: controller.signal }).next()
      await expect.poll(() => opened.node.watchers).toBe(1)
      controller.abort()
      await expect(aborted).rejects.toMatchObject({ code: 'aborted' })
      await expect.poll(() => opened.node.watchers).toBe(0)
    })

    it('leaves a watch with changes that nobody has read, and nothing stays behind', async () => {
      const bucket = grapevine.bucket('b')
      const watch = bucket.watch()
      const first = watch.next()
      await expect.poll(() => opened.node.watchers).toBe(1)
      await Promise.all(Array.from({ length: 20 }, (_, index) => bucket.put(`k${index}`, index)))
      expect(await first).toMatchObject({ value: { type: 'put', key: 'k0' } })
      await bucket.put('more', 1)
      await watch.return?.()
      await expect.poll(() => opened.node.watchers).toBe(0)
    })

    it('stops at a signal before anything is sent', async () => {
      const signal = AbortSignal.abort()
      const put = grapevine.bucket('b').put('k', 1, { signal })
      await expect(put).rejects.toMatchObject({ code: 'aborted', outcome: 'not-applied' })
      await expect(Array.fromAsync(grapevine.keys('b', { signal }))).rejects.toMatchObject({ code: 'aborted' })
    })

    it('is closed once it is closed', async () => {
      await grapevine.close()
      await expect(grapevine.bucket('b').put('k', 1)).rejects.toMatchObject({ code: 'closed', outcome: 'not-applied' })
    })
  })
}
