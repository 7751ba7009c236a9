import { memory, MemoryNode, type MemoryGrapevine } from '@grapevine/client/memory'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

let grapevine: MemoryGrapevine
beforeEach(() => {
  grapevine = memory({ timeoutMs: 1_000, writeIds: true })
})
afterEach(() => grapevine.close())

describe('a fault in memory', () => {
  it('is latency, and the time-outs that come of it', async () => {
    const bucket = grapevine.bucket('b')
    grapevine.faults.latencyMs = 40
    const beforeMs = performance.now()
    await bucket.put('k', 1)
    expect(performance.now() - beforeMs).toBeGreaterThan(38)
    grapevine.faults.latencyMs = 10_000
    await expect(bucket.put('k', 2, { timeoutMs: 30 })).rejects.toMatchObject({ code: 'timeout', outcome: 'unknown' })
    await expect(bucket.get('k', { timeoutMs: 30 })).rejects.toMatchObject({ code: 'timeout', outcome: undefined })
  })

  it('is nobody there', async () => {
    grapevine.faults.offline = true
    const put = grapevine.bucket('b').put('k', 1)
    await expect(put).rejects.toMatchObject({ code: 'unreachable', outcome: 'not-applied', retryable: true })
    grapevine.faults.offline = false
    await expect(grapevine.bucket('b').get('k')).resolves.toBeUndefined()
  })

  it('is a problem of a node, which is told as it is, or tried again', async () => {
    const bucket = grapevine.bucket('b')
    grapevine.faults.failNext({ code: 'forbidden' })
    await expect(bucket.put('k', 1)).rejects.toMatchObject({ status: 403, outcome: 'not-applied' })
    grapevine.faults.failNext({ code: 'overloaded' })
    await bucket.put('k', 2)
    await expect(bucket.get('k')).resolves.toBe(2)
  })

  it('is an outcome that is not known, either way', async () => {
    const bucket = grapevine.bucket('b')
    grapevine.faults.failNext({ code: 'timeout', outcome: 'unknown' })
    await expect(bucket.put('k', 1)).rejects.toMatchObject({ code: 'timeout', outcome: 'unknown' })
    await expect(bucket.get('k')).resolves.toBe(1)
    grapevine.faults.failNext({ code: 'timeout', outcome: 'unknown', applied: false })
    await expect(bucket.put('k', 2)).rejects.toMatchObject({ outcome: 'unknown' })
    await expect(bucket.get('k')).resolves.toBe(1)
  })

  it('is a lost answer, which a name makes harmless', async () => {
    const bucket = grapevine.bucket('b')
    const changes: string[] = []
    await using watch = bucket.watch()
    const first = watch.next()
    await expect.poll(() => grapevine.node.watchers).toBe(1)
    grapevine.faults.failNext({ applied: true }, 2)
    await bucket.put('k', 1)
    await bucket.put('end', 1)
    for (const { value } of [await first, await watch.next()])
      changes.push(String(value && 'key' in value && value.key))
    expect(changes).toEqual(['k', 'end'])
  })
})

it('shares one store among clients, and expires by the clock it is given', async () => {
  let nowMs = 0
  const clocked = memory({ node: new MemoryNode({ nowMs: () => nowMs }) })
  await clocked.bucket('b').put('k', 1, { ttl: '30s' })
  nowMs = 29_999
  await expect(clocked.bucket('b').get('k')).resolves.toBe(1)
  nowMs = 30_000
  await expect(clocked.bucket('b').get('k')).resolves.toBeUndefined()
  await clocked.close()
  const other = memory({ node: grapevine.node })
  await grapevine.bucket('b').put('k', 1)
  await expect(other.bucket('b').get('k')).resolves.toBe(1)
  await other.close()
})
