import { describe, expect, it } from 'vitest'
import { checkHistory, type HistoryEvent } from '../../src/index.ts'
import { opinion, purges } from './events.ts'
import { C_STAYS_AWAY, everywhere, holding, joinsAnew, tale, and, Y2 } from './tale.ts'

// In the tale the tombstone of y stays, since most tales do not say how often nodes look.
const PURGE_INTERVAL_MS = 10_000

function complaints(
  history: readonly HistoryEvent[],
  options: object = { purgeIntervalMs: PURGE_INTERVAL_MS },
): string[] {
  return checkHistory(history, options).map(({ checker, node, key }) => `${checker}: ${node} ${key}`)
}

describe('tombstones-collected', () => {
  it('complains of a tombstone that nobody held back', () => {
    const left = ['a', 'b', 'c'].map((node) => `tombstones-collected: ${node} y`)
    expect(complaints(tale())).toEqual(left)
    expect(complaints(tale(), {})).toEqual([])
  })

  it('is content when all are gone', () => {
    const gone = everywhere((node) => and(purges(30_000, node, 'y', Y2)))
    expect(
      complaints(
        tale(
          gone,
          everywhere((node) => holding(node, { y: undefined })),
        ),
      ),
    ).toEqual([])
  })

  it('waits two periods after the last change', () => {
    expect(complaints(tale(), { purgeIntervalMs: 40_000 })).toEqual([])
  })

  it('lets a node that is away hold them back, until it is evicted', () => {
    expect(complaints(tale(...C_STAYS_AWAY))).toEqual([])
    const evicted = and(opinion(20_000, 'a', 'c', 'evicted'), opinion(20_000, 'b', 'c', 'evicted'))
    expect(complaints(tale(...C_STAYS_AWAY, evicted))).toEqual(
      ['a', 'b'].map((node) => `tombstones-collected: ${node} y`),
    )
  })

  it('does not count an eviction that only a node knew whose directory is gone', () => {
    const known = and(opinion(13_000, 'a', 'c', 'evicted'))
    expect(complaints(tale(...C_STAYS_AWAY, known)).length).toBeGreaterThan(0)
    const forgotten = complaints(tale(...C_STAYS_AWAY, known, joinsAnew(14_000, 'a', 'e')))
    expect(forgotten.filter((complaint) => complaint.startsWith('tombstones-collected'))).toEqual([])
  })

  it('asks nothing of a node that has parked something', () => {
    expect(complaints(tale(holding('b', {}, { parked: 1 })))).toEqual([])
  })
})
