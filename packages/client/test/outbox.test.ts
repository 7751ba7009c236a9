import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { memory, type MemoryGrapevine } from '@grapevine/client/memory'
import { openOutbox, type Outbox, type OutboxStatus } from '@grapevine/client/outbox'
import { MemoryLevel } from 'memory-level'
import { afterEach, beforeEach, expect, it } from 'vitest'

let grapevine: MemoryGrapevine
let outbox: Outbox
let puts: string[]
beforeEach(async () => {
  grapevine = memory()
  outbox = await openOutbox(grapevine, { database: new MemoryLevel() })
  puts = []
  void (async () => {
    for await (const change of grapevine.bucket('b').watch())
      if ('key' in change) puts.push(`${change.type} ${String(change.key)}`)
  })().catch(() => {})
  // oxlint-disable-next-line vitest/no-standalone-expect -- What happens before the watch is open would be missed.
  await expect.poll(() => grapevine.node.watchers).toBe(1)
})
afterEach(async () => {
  await outbox.close()
  await grapevine.close()
})

it('sends what is written, and says so', async () => {
  await outbox.bucket('b').put('k', { x: 1 })
  await outbox.flush()
  await expect(grapevine.bucket('b').get('k')).resolves.toEqual({ x: 1 })
  await expect
    .poll(() => outbox.status())
    .toEqual({
      pending: 0,
      refused: 0,
      oldestAt: undefined,
      state: 'idle',
      lastError: undefined,
    })
})

it('keeps what is written offline over a restart, and sends it in the order of each key, once', async () => {
  const location = await mkdtemp(join(tmpdir(), 'grapevine-outbox-'))
  try {
    grapevine.faults.offline = true
    const before = await openOutbox(grapevine, { location })
    const bucket = before.bucket('b')
    for (const value of [1, 2, 3]) await bucket.put('a', value)
    await bucket.put(Uint8Array.of(0xff, 0), 4, { ttl: '1h' })
    await bucket.delete('gone')
    await expect(bucket.get('a')).resolves.toBe(3)
    await expect(bucket.get('gone')).resolves.toBeUndefined()
    await expect.poll(() => before.status()).toMatchObject({ state: 'waiting', lastError: { code: 'unreachable' } })
    await before.close()
    await expect(bucket.put('late', 1)).rejects.toMatchObject({ code: 'closed' })

    const after = await openOutbox(grapevine, { location })
    expect(after.status()).toMatchObject({ pending: 5, oldestAt: expect.any(Date) })
    grapevine.faults.offline = false
    await after.flush()
    await after.close()
    await expect(grapevine.bucket('b').get('a')).resolves.toBe(3)
    const entry = await grapevine.bucket('b').entry(Uint8Array.of(0xff, 0))
    expect(entry).toMatchObject({ value: 4, expiresAt: expect.any(Date) })
    await expect.poll(() => puts.filter((put) => put === 'put a').length).toBe(3)

    const empty = await openOutbox(grapevine, { location })
    expect(empty.status().pending).toBe(0)
    await empty.close()
  } finally {
    await rm(location, { recursive: true })
  }
})

it('applies a write once whose answer is lost again and again', async () => {
  // Each attempt of the outbox is a few of the client's.
  grapevine.faults.failNext({ applied: true }, 4)
  await outbox.bucket('b').put('k', 1)
  await outbox.flush()
  await grapevine.bucket('b').put('end', 1)
  await expect.poll(() => puts).toContain('put end')
  expect(puts).toEqual(['put k', 'put end'])
})

it('sets aside what will never be taken, and goes on with the others', async () => {
  await grapevine.bucket('b').put('taken', 0)
  const bucket = outbox.bucket('b', { codec: 'text' })
  await bucket.put('taken', 'mine', { ifAbsent: true })
  await bucket.put('free', 'x')
  await outbox.flush()
  await expect(bucket.get('free')).resolves.toBe('x')
  const [refused] = await Array.fromAsync(outbox.refused())
  expect(refused).toMatchObject({ op: 'put', bucket: 'b', key: 'taken', code: 'precondition_failed' })
  expect(Buffer.from(refused?.value ?? []).toString()).toBe('mine')
  expect(outbox.status()).toMatchObject({ pending: 0, refused: 1 })
  await refused?.forget()
  expect(outbox.status().refused).toBe(0)
})

it('keeps nothing that is wrong in itself', async () => {
  const bucket = outbox.bucket('b')
  await expect(bucket.put('', 1)).rejects.toMatchObject({ code: 'bad_key' })
  await expect(bucket.put('k', undefined)).rejects.toMatchObject({ code: 'bad_value' })
  await expect(bucket.put('k', 1, { ttl: 'soon' })).rejects.toMatchObject({ code: 'bad_argument' })
  expect(outbox.status().pending).toBe(0)
  await expect(openOutbox(grapevine, {})).rejects.toMatchObject({ code: 'bad_argument' })
})

it('lets a caller give up waiting, and tells of each state', async () => {
  const states: OutboxStatus['state'][] = []
  await using told = await openOutbox(grapevine, {
    database: new MemoryLevel(),
    onStatus: ({ state }) => void states.push(state),
  })
  grapevine.faults.offline = true
  await told.bucket('b').put('k', 1)
  await expect(told.flush({ signal: AbortSignal.timeout(20) })).rejects.toMatchObject({ code: 'aborted' })
  await expect.poll(() => states, { timeout: 5_000 }).toContain('waiting')
  const flushed = told.flush()
  grapevine.faults.offline = false
  await flushed
  await expect.poll(() => states.at(-1)).toBe('idle')
})
