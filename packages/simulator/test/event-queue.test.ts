import { array, assert as assertProperty, asyncProperty, integer } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EventQueue } from '../src/event-queue.ts'
import { SeededRandom } from '../src/seeded-random.ts'

function queueOf(seed = 1): EventQueue {
  return new EventQueue(new SeededRandom(seed))
}

describe('virtual time', () => {
  it('runs everything once, in order of its time', async () => {
    await assertProperty(
      asyncProperty(array(integer({ min: 0, max: 50 })), async (delays) => {
        const queue = queueOf()
        const ran: number[] = []
        for (const delayMs of delays) queue.after(delayMs, () => void ran.push(queue.nowMs))
        await queue.run(100)
        expect(ran).toEqual(delays.toSorted((a, b) => a - b))
        expect(queue.nowMs).toBe(100)
      }),
    )
  })

  it('lets everything that an event sets going come to its end before the next one', async () => {
    const queue = queueOf()
    const seen: string[] = []
    queue.after(1, () => {
      void (async () => {
        for (let step = 0; step < 100; step++) await Promise.resolve()
        seen.push('first')
      })()
    })
    queue.after(1, () => void seen.push('second'))
    queue.after(2, () => void seen.push('third'))
    await queue.run(3)
    expect(seen.toSorted()).toEqual(['first', 'second', 'third'])
    expect(seen.at(-1)).toBe('third')
  })

  it('draws the order of what is due at one moment, the same for one seed', async () => {
    async function orderOf(seed: number): Promise<string> {
      const queue = queueOf(seed)
      const seen: number[] = []
      for (let event = 0; event < 8; event++) queue.at(5, () => void seen.push(event))
      await queue.run(5)
      return seen.join()
    }
    expect(await orderOf(1)).toBe(await orderOf(1))
    const orders = new Set(await Promise.all(Array.from({ length: 20 }, (_, seed) => orderOf(seed))))
    expect(orders.size).toBeGreaterThan(15)
  })

  it('does not run what was cancelled, nor go on when it is over', async () => {
    const queue = queueOf()
    const seen: number[] = []
    queue.after(1, () => void seen.push(1)).cancel()
    queue.after(2, () => void seen.push(2))
    queue.after(3, () => void seen.push(3))
    await queue.run(10, () => seen.length > 0)
    expect(seen).toEqual([2])
    expect(queue.nowMs).toBe(2)
  })
})
