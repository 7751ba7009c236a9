import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { memory, type MemoryGrapevine } from '@grapevine/client/memory'
import { GrapevineError, type BatchOperation, type BatchOutcome, type Session } from '@grapevine/client'
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
  await expect(bucket.put('k', 1, { id: 'has space' })).rejects.toMatchObject({ code: 'bad_argument' })
  await expect(bucket.delete('k', { id: '' })).rejects.toMatchObject({ code: 'bad_argument' })
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

/** The cluster as the outbox sees it, where batches fare as a test says. */
function sessionWith(batch: (operations: readonly BatchOperation[]) => Promise<BatchOutcome[]>): Session {
  return { bucket: grapevine.bucket.bind(grapevine), batch } as unknown as Session
}

function failing(options: ConstructorParameters<typeof GrapevineError>[0]): BatchOutcome {
  const error = new GrapevineError(options)
  return { etag: undefined, acks: undefined, value: undefined, contentType: undefined, error }
}

it('keeps the order of writes that nobody waits for, whatever the database does first', async () => {
  const database = new MemoryLevel()
  const batch = database.batch.bind(database) as (...args: unknown[]) => Promise<void>
  let delayMs = 40
  const slow = Object.assign(database, {
    batch: async (...args: unknown[]) => {
      await sleep((delayMs = Math.max(0, delayMs - 20)))
      await batch(...args)
    },
  })
  const ordered = await openOutbox(grapevine, { database: slow })
  await Promise.all(Array.from({ length: 10 }, (_, value) => ordered.bucket('b').put('k', value)))
  await expect(ordered.bucket('b').get('k')).resolves.toBe(9)
  await ordered.flush()
  await ordered.close()
  await expect(grapevine.bucket('b').get('k')).resolves.toBe(9)
})

it.each([
  ['a body that came too slowly', { code: 'timeout', status: 408 }],
  ['a session of another cluster', { code: 'wrong_cluster', status: 421 }],
  ['headers that are too many', { code: 'bad_header', status: 431 }],
  ['no permission yet', { code: 'forbidden', status: 403 }],
] as const)('tries again after %s', async (_, problem) => {
  let attempts = 0
  const session = sessionWith((operations) =>
    attempts++ === 0
      ? Promise.resolve(operations.map(() => failing({ ...problem, message: 'no', outcome: 'not-applied' })))
      : grapevine.batch(operations),
  )
  const patient = await openOutbox(session, { database: new MemoryLevel() })
  await patient.bucket('b').put('k', 1)
  await patient.flush()
  expect(patient.status()).toMatchObject({ pending: 0, refused: 0 })
  await patient.close()
})

it('gets through where only little does in the time there is', async () => {
  const sizes: number[] = []
  const session = sessionWith((operations) => {
    const bytes = operations.reduce((sum, one) => sum + (one.op === 'put' ? one.value.length : 0), 0)
    sizes.push(bytes)
    if (bytes <= 100_000) return grapevine.batch(operations)
    return Promise.resolve(operations.map(() => failing({ code: 'timeout', message: 'no', outcome: 'unknown' })))
  })
  const slow = await openOutbox(session, { database: new MemoryLevel() })
  const bucket = slow.bucket('b', { codec: 'bytes' })
  await Promise.all(Array.from({ length: 50 }, (_, index) => bucket.put(`k${index}`, new Uint8Array(20_000))))
  await slow.flush()
  await slow.close()
  expect(Math.max(...sizes)).toBeLessThan(256 * 1024)
  // What was sent in vain is less than what had to be sent.
  expect(sizes.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(2_000_000)
})

it('is not held up by a write that an older version should not have kept', async () => {
  const database = new MemoryLevel()
  const row = { op: 'put', bucket: 'b', key: 'bad', id: 'has space', value: 'MQ==', atMs: 1 }
  await database.open()
  await database.put('w!0000000000000001-aaaaaa', JSON.stringify(row))
  await database.put('w!0000000000000002-aaaaaa', JSON.stringify({ ...row, key: 'good', id: 'fine' }))
  const later = await openOutbox(grapevine, { database })
  await later.flush()
  expect(later.status()).toMatchObject({ pending: 0, refused: 1 })
  await later.close()
  await expect(grapevine.bucket('b').get('good')).resolves.toBe(1)
})
