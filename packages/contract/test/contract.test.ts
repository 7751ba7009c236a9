import { describe, expect, it } from 'vitest'
import {
  formatAcks,
  formatDuration,
  formatSessionHeader,
  isIdempotencyKey,
  parseAcks,
  parseDuration,
  parseSessionHeader,
  parseWriteConcern,
  problemOf,
  PROBLEMS,
} from '@grapevine/contract'

describe('a duration', () => {
  it.each([
    ['500ms', 500],
    ['30s', 30_000],
    ['15m', 900_000],
    ['12h', 43_200_000],
    ['7d', 604_800_000],
    ['0s', 0],
  ])('%s', (text, ms) => {
    expect(parseDuration(text)).toBe(ms)
    expect(parseDuration(formatDuration(ms))).toBe(ms)
  })

  it.each(['', '5', '-5s', '1.5s', '5 s', '5S', '9999999999999d', '1w', 's'])('is not %j', (text) => {
    expect(parseDuration(text)).toBeUndefined()
  })
})

describe('acknowledgements', () => {
  it('read as they are written', () => {
    expect(parseAcks(formatAcks({ count: 2, of: 3 }))).toEqual({ count: 2, of: 3 })
    expect(parseAcks('2')).toBeUndefined()
  })

  it('can be asked for by number, quorum or all', () => {
    expect(['1', '3', 'quorum', 'all', '0', '-1', '1.5', 'most'].map(parseWriteConcern)).toEqual([
      1,
      3,
      'quorum',
      'all',
      undefined,
      undefined,
      undefined,
      undefined,
    ])
  })
})

describe('a problem', () => {
  it('has the status and title of its code', () => {
    expect(problemOf('timeout', { detail: 'late', traceId: 't', outcome: 'unknown' })).toEqual({
      type: 'urn:problem-type:grapevine:timeout',
      title: 'No answer in time',
      status: 504,
      code: 'timeout',
      retryable: false,
      detail: 'late',
      traceId: 't',
      outcome: 'unknown',
    })
  })

  it('is retryable only where nothing can have happened', () => {
    const retryable = Object.values(PROBLEMS).filter((kind) => kind.retryable)
    expect(new Set(retryable.map((kind) => kind.status))).toEqual(new Set([429, 503, 507]))
  })
})

describe('a session header', () => {
  it('is a list of tokens in any spacing, each once', () => {
    expect(parseSessionHeader('a , b-_.~9,a')).toEqual(['a', 'b-_.~9'])
    expect(parseSessionHeader(formatSessionHeader(['x', 'y']))).toEqual(['x', 'y'])
  })

  it.each(['', ',', 'a,', 'a b', 'a;b', 'ä', 'x'.repeat(8193)])('is not %j', (text) => {
    expect(parseSessionHeader(text)).toBeUndefined()
  })
})

describe('an idempotency key', () => {
  it('is visible ASCII of up to 255 characters', () => {
    expect(['a', '~!"', 'x'.repeat(255)].every(isIdempotencyKey)).toBe(true)
    expect(['', 'a b', 'ä', 'a\n', 'x'.repeat(256)].some(isIdempotencyKey)).toBe(false)
  })
})
