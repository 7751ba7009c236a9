import { addressOf, ReadError, StoreError } from '@grapevine/core'
import { expect, it } from 'vitest'
import { writeOnCondition, type ConditionContext } from '../src/write-on-condition.ts'

const REQUEST = {
  address: addressOf('things', 'k'),
  value: undefined,
  contentType: '',
  expiresAtMs: 0,
  precondition: { kind: 'present' },
  w: 'quorum',
  timeoutMs: 1_000,
} as const

const CONTEXT: ConditionContext = {
  readFromQuorum: () => Promise.resolve(undefined),
  read: () => undefined,
  write: () => Promise.reject(new Error('nothing may be written')),
  monotonicMs: () => 0,
}

it.each([
  ['too few members answer', new ReadError('quorum_not_met', 'too few'), 'quorum_not_met'],
  ['the store is being opened again', new StoreError('io_error', 'not usable'), 'not_ready'],
])('is not applied when %s before anything is written', async (_, error, code) => {
  const readFromQuorum = (): Promise<never> => Promise.reject(error)
  await expect(writeOnCondition(REQUEST, { ...CONTEXT, readFromQuorum })).rejects.toMatchObject({
    name: 'WriteError',
    code,
    outcome: 'not-applied',
  })
})

it('is not applied when the store is opened again while a majority is asked', async () => {
  const read = (): never => {
    throw new StoreError('io_error', 'not usable')
  }
  await expect(writeOnCondition(REQUEST, { ...CONTEXT, read })).rejects.toMatchObject({
    code: 'not_ready',
    outcome: 'not-applied',
  })
})
