import { describe, expect, it } from 'vitest'
import { checkHistory, CHECKER_KINDS } from '../../src/index.ts'
import { ANOMALIES } from './anomalies.ts'
import { tale } from './tale.ts'

describe('the checkers', () => {
  it('do not complain of the tale', () => {
    expect(checkHistory(tale())).toEqual([])
  })

  it.each(ANOMALIES)('find that $story: $foundBy', ({ history, foundBy, also = [] }) => {
    const violations = checkHistory(history)
    const names = new Set(violations.map(({ checker }) => checker))
    expect([...names].toSorted()).toEqual([foundBy, ...also].toSorted())
  })

  it('are each put to the test', () => {
    const tested = new Set(ANOMALIES.map(({ foundBy }) => foundBy))
    expect(CHECKER_KINDS.map(({ name }) => name).filter((name) => !tested.has(name))).toEqual([])
  })
})
