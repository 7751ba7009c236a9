import { describe, expect, it } from 'vitest'
import { checkHistory } from '../../src/index.ts'
import { PERMITTED } from './permitted.ts'

describe('the checkers do not complain when', () => {
  it.each(PERMITTED)('$story', ({ history, options }) => {
    expect(checkHistory(history, options)).toEqual([])
  })
})
