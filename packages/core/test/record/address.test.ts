import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  addressOf,
  bucketOf,
  byteStringOf,
  bytesOf,
  hexOf,
  isAddress,
  isBucketName,
  KEY_BYTES_MAX,
  keyOf,
  readHex,
  writeHex,
} from '../../src/index.ts'
import { anyBucket, anyKey } from './any-entry.ts'

describe('an address', () => {
  it('gives back its bucket and its key, whatever bytes the key has', () => {
    const law = fc.property(anyBucket, anyKey, (bucket, key) => {
      const address = addressOf(bucket, key)
      expect(bucketOf(address)).toBe(bucket)
      expect(keyOf(address)).toBe(key)
      expect(isAddress(address)).toBe(true)
    })
    fc.assert(law)
  })

  it('sorts by bucket, then bytewise by key', () => {
    const law = fc.property(anyBucket, anyBucket, anyKey, anyKey, (bucketA, bucketB, keyA, keyB) => {
      const byAddress = Math.sign(Buffer.compare(bytesOf(addressOf(bucketA, keyA)), bytesOf(addressOf(bucketB, keyB))))
      const byParts = compare(bucketA, bucketB) || Math.sign(Buffer.compare(bytesOf(keyA), bytesOf(keyB)))
      expect(byAddress).toBe(byParts)
      expect(compare(addressOf(bucketA, keyA), addressOf(bucketB, keyB))).toBe(byParts)
    })
    fc.assert(law)
  })

  it('has 1 to 1,024 bytes of key', () => {
    expect(isAddress(addressOf('b', ''))).toBe(false)
    expect(isAddress(addressOf('b', '\0'))).toBe(true)
    expect(isAddress(addressOf('b', 'ÿ'.repeat(KEY_BYTES_MAX)))).toBe(true)
    expect(isAddress(addressOf('b', 'a'.repeat(KEY_BYTES_MAX + 1)))).toBe(false)
  })

  it.each([
    '',
    'no nul',
    '\0key',
    'B\0key',
    '.b\0key',
    '-b\0key',
    'ä\0key',
    `${'b'.repeat(64)}\0key`,
    'b \0key',
    'b\n\0key',
  ])('is not %j', (text) => {
    expect(isAddress(text)).toBe(false)
  })

  it('has a bucket named in lower case, with 1 to 63 characters', () => {
    const good = ['b', '0', 'a.b_c-d', 'b'.repeat(63)]
    const bad = ['', 'A', '_b', '.b', 'b/c', 'b'.repeat(64), 'b\0', 'b\n', 'ä']
    expect([...good, ...bad].filter(isBucketName)).toEqual(good)
  })
})

describe('a byte string', () => {
  it('holds any bytes, of any length, and gives them back', () => {
    const law = fc.property(fc.uint8Array({ maxLength: 1_200 }), (bytes) => {
      const text = byteStringOf(bytes)
      expect(bytesOf(text)).toEqual(bytes)
      expect(text).toBe(Buffer.from(bytes).toString('latin1'))
      expect(hexOf(text)).toBe(Buffer.from(bytes).toString('hex'))
      const back = new Uint8Array(text.length)
      writeHex(back, 0, hexOf(text))
      expect(byteStringOf(back)).toBe(text)
      expect(readHex(back, 0, back.length)).toBe(hexOf(text))
    })
    fc.assert(law)
  })
})

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
