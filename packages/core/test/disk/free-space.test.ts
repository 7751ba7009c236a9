import { assert as assertProperty, boolean, integer, property } from 'fast-check'
import { expect, it } from 'vitest'
import { isOutOfSpace } from '../../src/index.ts'

const MIB = 1024 ** 2

it('is out of space below the reserve, and writes again only well above it', () => {
  const at = (freeBytes: number, was: boolean): boolean => isOutOfSpace({ freeBytes, reserveBytes: 8 * MIB }, was)
  expect([at(8 * MIB, false), at(8 * MIB - 1, false)]).toEqual([false, true])
  expect([at(8 * MIB, true), at(10 * MIB - 1, true), at(10 * MIB, true)]).toEqual([true, true, false])
})

it('never stops a node that is to keep nothing free', () => {
  const law = property(integer({ min: 0 }), boolean(), (freeBytes, was) => {
    expect(isOutOfSpace({ freeBytes, reserveBytes: 0 }, was)).toBe(false)
  })
  assertProperty(law)
})

it('lets more space never be worse than less', () => {
  const amount = integer({ min: 0, max: 2 ** 40 })
  const law = property(amount, amount, amount, boolean(), (less, more, reserveBytes, was) => {
    const verdict = (freeBytes: number): boolean => isOutOfSpace({ freeBytes, reserveBytes }, was)
    if (!verdict(Math.min(less, more))) expect(verdict(Math.max(less, more))).toBe(false)
  })
  assertProperty(law)
})
