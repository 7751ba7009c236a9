import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  bytesOf,
  forgettable,
  judgeName,
  RECEIPT_AGE_MS_MAX,
  receiptOf,
  RECEIPTS_MAX,
  writeNameOf,
  type NamedRequest,
  type Precondition,
  type Receipt,
  type ReceiptGroup,
} from '../../src/index.ts'
import { anyAddress, entryWith, sha256 } from './any-entry.ts'

const NAME = { id: 'i'.repeat(16), fingerprint: 'f'.repeat(8) }
const DAY = RECEIPT_AGE_MS_MAX

const anyPrecondition: fc.Arbitrary<Precondition | undefined> = fc.constantFrom<Precondition | undefined>(
  undefined,
  { kind: 'present' },
  { kind: 'absent' },
  { kind: 'one-of', etags: ['a'] },
  { kind: 'one-of', etags: ['a', 'b'] },
)
const anyRequest: fc.Arbitrary<NamedRequest> = fc.record({
  address: anyAddress,
  value: fc.constantFrom(undefined, bytesOf(''), bytesOf('v')),
  contentType: fc.constantFrom('', 'text/plain', 'v'),
  ttlMs: fc.constantFrom(undefined, 0, 1_000),
  precondition: anyPrecondition,
})

describe('the name of a write', () => {
  it('tells requests apart, and the same request is the same', () => {
    const law = fc.property(anyRequest, anyRequest, (a, b) => {
      const [first, second] = [writeNameOf('k', a, sha256), writeNameOf('k', b, sha256)]
      expect(first.fingerprint === second.fingerprint).toBe(sayOf(a) === sayOf(b))
      expect(writeNameOf('k', { ...a }, sha256)).toEqual(first)
      expect([first.id.length, first.fingerprint.length]).toEqual([16, 8])
    })
    fc.assert(law)
  })

  it('does not depend on the request in its id', () => {
    const request: NamedRequest = {
      address: 'b\0k',
      value: undefined,
      contentType: '',
      ttlMs: undefined,
      precondition: undefined,
    }
    const [a, b] = ['one', 'two'].map((key) => writeNameOf(key, request, sha256))
    expect(a?.fingerprint).toBe(b?.fingerprint)
    expect(a?.id).not.toBe(b?.id)
    expect(writeNameOf('one', { ...request, contentType: 'x' }, sha256).id).toBe(a?.id)
  })
})

describe('a receipt', () => {
  const receipt: Receipt = {
    version: { hlc: { wallMs: 5, counter: 0 }, replica: 'a'.repeat(16) },
    expiresAtMs: 0,
    fingerprint: NAME.fingerprint,
    atMs: 1_000,
  }

  it('answers a repetition for a day, and tells another request', () => {
    expect(judgeName(NAME, undefined, 1_000)).toBe('new')
    expect(judgeName(NAME, receipt, 1_000 + DAY - 1)).toBe('replay')
    expect(judgeName({ ...NAME, fingerprint: 'g'.repeat(8) }, receipt, 1_000 + DAY - 1)).toBe('mismatch')
    expect(judgeName(NAME, receipt, 1_000 + DAY)).toBe('new')
    expect(judgeName({ ...NAME, fingerprint: 'g'.repeat(8) }, receipt, 1_000 + DAY)).toBe('new')
    // A clock that was put back must not make it new.
    expect(judgeName(NAME, receipt, 0)).toBe('replay')
  })

  it('is kept of an entry with a name that is younger than that', () => {
    const version = { hlc: { wallMs: 9_000, counter: 1 }, replica: 'a'.repeat(16) }
    expect(receiptOf(entryWith({ version }), 9_000)).toBeUndefined()
    const named = entryWith({ version, name: NAME, expiresAtMs: 77 })
    const kept = { version, expiresAtMs: 77, fingerprint: NAME.fingerprint, atMs: 9_500 }
    expect(receiptOf(named, 9_500)).toEqual(kept)
    expect(receiptOf(named, 9_000 + DAY)).toBeUndefined()
  })

  it('is forgotten oldest first, as far as all before are to be', () => {
    const law = fc.property(
      fc.array(
        fc.record({ count: fc.integer({ min: 1, max: 400_000 }), ageMs: fc.integer({ min: 0, max: 2 * DAY }) }),
        {
          maxLength: 12,
        },
      ),
      (parts) => {
        let total = 0
        const nowMs = 10 * DAY
        const groups: ReceiptGroup[] = parts.map(({ count, ageMs }, index) => {
          total += count
          return { number: index + 1, atMs: nowMs - ageMs, total, ids: [] }
        })
        const gone = forgettable(groups, total, nowMs)
        expect(groups.slice(0, gone.length)).toEqual(gone)
        for (const { atMs, total: upTo } of gone) expect(atMs <= nowMs - DAY || total - upTo >= RECEIPTS_MAX).toBe(true)
        const next = groups[gone.length]
        if (next !== undefined) {
          expect(next.atMs).toBeGreaterThan(nowMs - DAY)
          expect(total - next.total).toBeLessThan(RECEIPTS_MAX)
        }
      },
    )
    fc.assert(law)
  })
})

function sayOf({ value, ...rest }: NamedRequest): string {
  const { address, contentType, ttlMs, precondition } = rest
  return JSON.stringify([
    address,
    contentType,
    ttlMs ?? 'none',
    precondition ?? 'none',
    value === undefined ? 'delete' : [...value],
  ])
}
