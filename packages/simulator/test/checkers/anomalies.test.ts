import { describe, expect, it } from 'vitest'
import { checkHistory, CHECKER_KINDS } from '../../src/index.ts'
import { ANOMALIES } from './anomalies.ts'
import { queue } from './events.ts'
import { tale } from './tale.ts'

describe('the checkers', () => {
  it('do not complain of the tale', () => {
    expect(checkHistory(tale())).toEqual([])
  })

  it.each(ANOMALIES)('find that $story: $foundBy', ({ history, foundBy, also = [], options }) => {
    const violations = checkHistory(history, options)
    const names = new Set(violations.map(({ checker }) => checker))
    expect([...names].toSorted()).toEqual([foundBy, ...also].toSorted())
  })

  it('say how many more there are, when one thing goes wrong again and again', () => {
    const violations = checkHistory(Array.from({ length: 50 }, (_, atMs) => queue(atMs, 'a', 'writes', 9, 8)))
    expect(violations).toHaveLength(21)
    expect(violations.at(-1)?.message).toBe('and 30 more of this kind')
  })

  it('are each put to the test', () => {
    const tested = new Set(ANOMALIES.map(({ foundBy }) => foundBy))
    expect(CHECKER_KINDS.map(({ name }) => name).filter((name) => !tested.has(name))).toEqual([])
  })
})
