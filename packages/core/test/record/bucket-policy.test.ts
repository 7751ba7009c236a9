import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  addressOf,
  bytesOf,
  decodePolicy,
  encodePolicy,
  expiryByPolicy,
  isAddress,
  isBucketName,
  isReserved,
  NO_POLICY,
  policyAddress,
  WALL_MS_MAX,
} from '../../src/index.ts'
import { anyBucket, anyKey } from './any-entry.ts'

describe('the policy of a bucket', () => {
  it('has an address that is one, and that no client can name', () => {
    const law = fc.property(anyBucket, anyBucket, anyKey, (bucket, other, key) => {
      const address = policyAddress(bucket)
      expect(isAddress(address)).toBe(true)
      expect(isReserved(address)).toBe(true)
      expect(isBucketName(address.slice(0, address.indexOf('\0')))).toBe(false)
      expect(isReserved(addressOf(other, key))).toBe(false)
    })
    fc.assert(law)
  })

  it('keeps nothing but policies beside the buckets', () => {
    const [reserved = ''] = policyAddress('b').split('\0')
    expect(isAddress(`${reserved}\0Not a bucket`)).toBe(false)
    expect(isAddress(`_other\0b`)).toBe(false)
  })

  it('is read as it was written', () => {
    const law = fc.property(fc.nat(Number.MAX_SAFE_INTEGER), (ttlMs) => {
      expect(decodePolicy(encodePolicy({ ttlMs }))).toEqual({ ttlMs })
    })
    fc.assert(law)
  })

  it('is none whatever else the bytes are', () => {
    const law = fc.property(fc.oneof(fc.uint8Array(), fc.json().map(utf8)), (bytes) => {
      const { ttlMs } = decodePolicy(bytes)
      expect(Number.isSafeInteger(ttlMs) && ttlMs >= 0).toBe(true)
    })
    fc.assert(law)
    for (const text of ['{"ttlMs":-1}', '{"ttlMs":"1"}', '{"ttlMs":1.5}', 'null', '1'])
      expect(decodePolicy(bytesOf(text))).toEqual(NO_POLICY)
    expect(decodePolicy(undefined)).toEqual(NO_POLICY)
  })

  it('never leads beyond the range of dates', () => {
    const law = fc.property(fc.nat(Number.MAX_SAFE_INTEGER), fc.nat(WALL_MS_MAX), (ttlMs, wallMs) => {
      const expiresAtMs = expiryByPolicy({ ttlMs }, wallMs)
      expect(expiresAtMs).toBe(ttlMs === 0 ? 0 : Math.min(WALL_MS_MAX, wallMs + ttlMs))
    })
    fc.assert(law)
  })
})

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
