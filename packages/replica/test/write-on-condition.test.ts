import { addressOf, ReadError, RefusalError, StoreError } from '@grapevine/core'
import { expect, it } from 'vitest'
import { writeOnCondition } from '../src/write-on-condition.ts'

const REQUEST = {
  address: addressOf('things', 'a'),
  value: undefined,
  contentType: '',
  expiresAtMs: 0,
  precondition: { kind: 'absent' },
  w: 'quorum',
  timeoutMs: 1_000,
} as const

it.each([
  ['the majority is not there', new ReadError('quorum_not_met', 'too few are live'), 'quorum_not_met'],
  ['the store is being opened again', new StoreError('io_error', 'try again shortly'), 'io_error'],
  ['the node has just started', new RefusalError('not-founded', 'no member yet'), 'not_ready'],
])('is not applied when %s, and says so as every write does', async (_, failure, code) => {
  let written = 0
  const write = writeOnCondition(REQUEST, {
    readFromQuorum: () => Promise.reject(failure),
    read: () => undefined,
    write: () => {
      written++
      return Promise.reject(new Error('nothing was to be written'))
    },
    monotonicMs: () => 0,
  })
  await expect(write).rejects.toMatchObject({ name: 'WriteError', code, outcome: 'not-applied' })
  expect(written).toBe(0)
})
