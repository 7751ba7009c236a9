import { assert as assertProperty, boolean, integer, property } from 'fast-check'
import { expect, it } from 'vitest'
import { isOutOfSpace, reserveBytesFor, writeBufferBytesFor } from '../../src/index.ts'

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

it('leaves room for data on a small disk, and for what LevelDB does on its own on every disk', () => {
  const law = property(integer({ min: 64 * MIB, max: 2 ** 45 }), (diskBytes) => {
    const writeBuffer = writeBufferBytesFor(diskBytes)
    const reserve = reserveBytesFor(writeBuffer)
    expect(reserve).toBeLessThan(diskBytes / 2)
    expect(reserve).toBeGreaterThanOrEqual(Math.max(26 * MIB, 8 * writeBuffer))
  })
  assertProperty(law)
  expect([writeBufferBytesFor(64 * MIB), writeBufferBytesFor(Infinity)]).toEqual([MIB, 32 * MIB])
})
