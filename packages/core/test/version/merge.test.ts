import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  compareEntries,
  compareVersions,
  etagOf,
  isClusterId,
  isId,
  merge,
  parseEtag,
  type Entry,
} from '../../src/index.ts'
import { anyVersion, entryWith } from '../record/any-entry.ts'

/** Entries of one key, so alike that every step of the order has to decide now and then. */
const anyRival: fc.Arbitrary<Entry> = fc
  .record({
    wallMs: fc.constantFrom(1, 2),
    counter: fc.constantFrom(0, 1),
    replica: fc.constantFrom('a'.repeat(16), 'b'.repeat(16)),
    value: fc.option(fc.uint8Array({ maxLength: 1 }), { nil: undefined }),
  })
  .map(({ wallMs, counter, replica, value }) => entryWith({ version: { hlc: { wallMs, counter }, replica }, value }))

describe('the order of versions', () => {
  it('is total', () => {
    const law = fc.property(anyVersion, anyVersion, anyVersion, (a, b, c) => {
      expect(Math.sign(compareVersions(a, b)) + Math.sign(compareVersions(b, a))).toBe(0)
      expect(compareVersions(a, b) === 0).toBe(etagOf(a) === etagOf(b))
      const [low, middle, high] = [a, b, c].toSorted(compareVersions)
      if (low === undefined || middle === undefined || high === undefined) throw new Error('three went in')
      expect(compareVersions(low, high)).toBeLessThanOrEqual(0)
      expect(compareVersions(middle, high)).toBeLessThanOrEqual(0)
    })
    fc.assert(law)
  })

  it('is the order of the entity tags', () => {
    const law = fc.property(anyVersion, anyVersion, (a, b) => {
      const [tagOfA, tagOfB] = [etagOf(a), etagOf(b)]
      expect(Math.sign(compareVersions(a, b))).toBe(tagOfA < tagOfB ? -1 : tagOfA > tagOfB ? 1 : 0)
    })
    fc.assert(law)
  })
})

describe('an entity tag', () => {
  it('comes back as the version it was made of', () => {
    const law = fc.property(anyVersion, (version) => {
      expect(parseEtag(etagOf(version))).toEqual(version)
    })
    fc.assert(law)
  })

  it('is nothing else', () => {
    const law = fc.property(anyVersion, fc.nat(32), fc.string({ minLength: 1, maxLength: 2 }), (version, at, text) => {
      const tag = etagOf(version)
      const changed = tag.slice(0, at) + text + tag.slice(at)
      expect(parseEtag(changed)).toBeUndefined()
      expect(parseEtag(tag.slice(0, at))).toBeUndefined()
    })
    fc.assert(law)
    expect(parseEtag(`${'A'.repeat(16)}-${'b'.repeat(16)}`)).toBeUndefined()
    expect(parseEtag(`${'a'.repeat(16)}_${'b'.repeat(16)}`)).toBeUndefined()
  })

  it('holds an id, which is 16 lower-case digits; a cluster has 32', () => {
    expect(['0123456789abcdef', '0123456789ABCDEF', '0123', `${'0'.repeat(16)}\n`].map(isId)).toEqual([
      true,
      false,
      false,
      false,
    ])
    expect(['a'.repeat(32), 'a'.repeat(16), 'g'.repeat(32)].map(isClusterId)).toEqual([true, false, false])
  })
})

describe('merging two entries of one key', () => {
  it('does not depend on their order', () => {
    const law = fc.property(anyRival, anyRival, (a, b) => {
      expect(merge(a, b)).toEqual(merge(b, a))
    })
    fc.assert(law)
  })

  it('does not depend on which two come first', () => {
    const law = fc.property(anyRival, anyRival, anyRival, (a, b, c) => {
      expect(merge(merge(a, b), c)).toEqual(merge(a, merge(b, c)))
    })
    fc.assert(law)
  })

  it('changes nothing when it is done again', () => {
    const law = fc.property(anyRival, anyRival, (a, b) => {
      expect(merge(a, a)).toBe(a)
      expect(merge(merge(a, b), b)).toEqual(merge(a, b))
    })
    fc.assert(law)
  })

  it('leaves any number of replicas with one survivor, in whatever order the entries came', () => {
    const twoOrders = fc
      .array(anyRival, { minLength: 1, maxLength: 8 })
      .chain((all) => fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length })))
    const law = fc.property(twoOrders, ([one, other]) => {
      expect(one.reduce(merge)).toEqual(other.reduce(merge))
    })
    fc.assert(law)
  })

  it('keeps the later hlc, then the greater replica, then the greater hash', () => {
    const late = entryWith({ version: { hlc: { wallMs: 2, counter: 0 }, replica: 'a'.repeat(16) } })
    const early = entryWith({ version: { hlc: { wallMs: 1, counter: 9 }, replica: 'f'.repeat(16) } })
    const rival = entryWith({ version: { hlc: { wallMs: 2, counter: 0 }, replica: 'b'.repeat(16) } })
    const deleted = entryWith({ version: late.version, value: undefined })
    expect(merge(late, early)).toBe(late)
    expect(merge(late, rival)).toBe(rival)
    expect(merge(late, deleted)).toBe(late.hash > deleted.hash ? late : deleted)
    expect(compareEntries(late, deleted)).not.toBe(0)
    expect(compareEntries(late, { version: late.version, hash: late.hash })).toBe(0)
  })
})
