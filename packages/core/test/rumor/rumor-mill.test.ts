import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  compareEntries,
  RUMOR_QUEUE_BYTES_MAX,
  RUMOR_QUEUE_ENTRIES_MAX,
  RumorMill,
  type DemersOptions,
  type Entry,
} from '../../src/index.ts'
import { entryOf } from './entries.ts'
import { seededRandom } from './seeded-random.ts'

const TWO_STRIKES: DemersOptions = { exchange: 'push', loss: 'feedback', counting: 'counter', k: 2 }
const NO_LIMIT = Number.POSITIVE_INFINITY

describe('the rumor mill', () => {
  it('holds the newest entry of each key, in whatever order they come', () => {
    const anyEntry = fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.nat(9)).map(([key, counter]) => entryOf(key, counter))
    const law = fc.property(fc.array(anyEntry), (entries) => {
      const mill = millOf(entries)
      const newest = new Map<string, Entry>()
      for (const entry of entries) {
        const held = newest.get(entry.address)
        if (held === undefined || compareEntries(held, entry) < 0) newest.set(entry.address, entry)
      }
      expect(hashesOf(mill.hot(NO_LIMIT, NO_LIMIT)).toSorted()).toEqual(hashesOf([...newest.values()]).toSorted())
      expect(mill.size).toBe(newest.size)
    })
    fc.assert(law)
  })

  it('forgets a rumor that k contacts in a row knew', () => {
    const [a, b] = [entryOf('a', 1), entryOf('b', 1)]
    const mill = millOf([a, b])
    for (const wasNews of [false, true, false]) mill.feedback(a, wasNews)
    expect(mill.size).toBe(2)
    mill.feedback(a, false)
    expect(mill.hot(NO_LIMIT, NO_LIMIT)).toEqual([b])
  })

  it('does not let an older entry’s feedback cool a newer one, nor an entry that is ignited again start anew', () => {
    const [older, newer] = [entryOf('a', 1), entryOf('a', 2)]
    const mill = millOf([older])
    mill.feedback(older, false)
    mill.ignite(newer)
    mill.feedback(older, false)
    mill.feedback(newer, false)
    mill.ignite(newer)
    expect(mill.size).toBe(1)
    mill.feedback(newer, false)
    expect(mill.size).toBe(0)
  })

  it('gives the oldest first, within both limits, and one at least', () => {
    const mill = millOf([entryOf('a', 1, 60), entryOf('b', 1, 30), entryOf('c', 1, 30)])
    expect(hashesOf(mill.hot(2, NO_LIMIT))).toEqual(['a@1', 'b@1'])
    expect(hashesOf(mill.hot(NO_LIMIT, 119))).toEqual(['a@1', 'b@1'])
    expect(hashesOf(mill.hot(NO_LIMIT, 10))).toEqual(['a@1'])
  })

  it('lets the oldest go when it is full, by number or by bytes, and says how many', () => {
    const mill = millOf(Array.from({ length: RUMOR_QUEUE_ENTRIES_MAX }, (_, index) => entryOf(`${index}`, 1, 10)))
    expect(mill.ignite(entryOf('one more', 1, 10))).toBe(1)
    expect(hashesOf(mill.hot(1, NO_LIMIT))).toEqual(['1@1'])
    expect(mill.ignite(entryOf('large', 1, RUMOR_QUEUE_BYTES_MAX))).toBe(RUMOR_QUEUE_ENTRIES_MAX)
    expect(hashesOf(mill.hot(NO_LIMIT, NO_LIMIT))).toEqual(['large@1'])
  })

  it('counts its bytes over any history', () => {
    const mill = millOf([entryOf('a', 1, RUMOR_QUEUE_BYTES_MAX)])
    mill.ignite(entryOf('a', 2, 10))
    mill.ignite(entryOf('b', 1, RUMOR_QUEUE_BYTES_MAX - 10))
    expect(mill.size).toBe(2)
    mill.clear()
    expect(mill.ignite(entryOf('c', 1, RUMOR_QUEUE_BYTES_MAX))).toBe(0)
    expect(mill.size).toBe(1)
  })
})

function millOf(entries: readonly Entry[]): RumorMill {
  const mill = new RumorMill(TWO_STRIKES, seededRandom(1))
  for (const entry of entries) mill.ignite(entry)
  return mill
}

function hashesOf(entries: readonly Entry[]): string[] {
  return entries.map(({ hash }) => hash)
}
