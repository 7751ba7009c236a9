import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  admit,
  DRIFT_MS_MAX,
  HLC_ZERO,
  isBeyondDrift,
  merge,
  type AdmissionContext,
  type Entry,
  type Hlc,
} from '../../src/index.ts'
import { entryWith } from '../record/any-entry.ts'

const REPLICA = 'b'.repeat(16)

function at(wallMs: number): Entry {
  return entryWith({ version: { hlc: { wallMs, counter: 0 }, replica: REPLICA } })
}

function deletedAt(wallMs: number): Entry {
  return entryWith({ version: { hlc: { wallMs, counter: 0 }, replica: REPLICA }, value: undefined })
}

const anyEntry = fc
  .tuple(fc.integer({ min: 1, max: 6 }), fc.boolean())
  .map(([wallMs, isDelete]) => (isDelete ? deletedAt(wallMs) : at(wallMs)))
const anyFrontier: fc.Arbitrary<Hlc> = fc.record({ wallMs: fc.nat(7), counter: fc.nat(1) })

function context(differences: Partial<AdmissionContext>): AdmissionContext {
  return {
    held: undefined,
    clock: HLC_ZERO,
    covered: false,
    frontier: HLC_ZERO,
    bootstrapping: false,
    healing: false,
    ...differences,
  }
}

describe('an entry whose key is held and cannot be read', () => {
  it('is news only when it is later than anything seen, and else cannot be judged (R7)', () => {
    const clock: Hlc = { wallMs: 5, counter: 0 }
    expect(admit(at(6), context({ held: 'corrupt', clock }))).toBe('news')
    for (const covered of [false, true])
      expect(admit(at(5), context({ held: 'corrupt', clock, covered }))).toBe('failed')
  })
})

describe('an entry that was fetched because its key cannot be read', () => {
  it('takes the place of what cannot be read, and of nothing else', () => {
    const clock: Hlc = { wallMs: 9, counter: 0 }
    const healing = { clock, covered: true, healing: true }
    expect(admit(at(2), context({ ...healing, held: 'corrupt' }))).toBe('news')
    expect(admit(at(2), context({ ...healing, held: at(3) }))).toBe('superseded')
    expect(admit(at(2), context(healing))).toBe('refused')
  })
})

describe('an entry whose key is held (R4)', () => {
  it.each([
    { what: 'newer', entry: at(3), held: at(2), admission: 'news' },
    { what: 'older', entry: at(2), held: at(3), admission: 'superseded' },
    { what: 'the same', entry: at(2), held: at(2), admission: 'known' },
    { what: 'a newer delete', entry: deletedAt(3), held: at(2), admission: 'news' },
    { what: 'older than a delete', entry: at(2), held: deletedAt(3), admission: 'superseded' },
  ])('is $admission when it is $what', ({ entry, held, admission }) => {
    expect(admit(entry, context({ held }))).toBe(admission)
  })

  it('is decided by the greater version alone: neither vector, frontier nor bootstrap has a say', () => {
    const law = fc.property(
      anyEntry,
      anyEntry,
      fc.boolean(),
      fc.boolean(),
      anyFrontier,
      (entry, held, covered, bootstrapping, frontier) => {
        const admission = admit(entry, context({ held, covered, bootstrapping, frontier }))
        expect(admission).toBe(admit(entry, context({ held })))
        expect(admission === 'news').toBe(merge(entry, held) === entry && entry.hash !== held.hash)
      },
    )
    fc.assert(law)
  })
})

describe('an entry whose key is absent (R5)', () => {
  const frontier: Hlc = { wallMs: 5, counter: 0 }

  it.each([
    { covered: false, wallMs: 6, bootstrapping: false, admission: 'news' },
    { covered: false, wallMs: 5, bootstrapping: false, admission: 'refused' },
    { covered: false, wallMs: 4, bootstrapping: false, admission: 'refused' },
    { covered: true, wallMs: 6, bootstrapping: false, admission: 'refused' },
    { covered: true, wallMs: 4, bootstrapping: false, admission: 'refused' },
    { covered: false, wallMs: 6, bootstrapping: true, admission: 'news' },
    { covered: false, wallMs: 4, bootstrapping: true, admission: 'news' },
    { covered: true, wallMs: 4, bootstrapping: true, admission: 'news' },
  ])('is $admission at $wallMs, covered: $covered, bootstrapping: $bootstrapping', ({ wallMs, admission, ...rest }) => {
    expect(admit(at(wallMs), context({ ...rest, frontier }))).toBe(admission)
    expect(admit(deletedAt(wallMs), context({ ...rest, frontier }))).toBe(admission)
  })

  it('looks at the counter, too', () => {
    const entry = entryWith({ version: { hlc: { wallMs: 5, counter: 1 }, replica: REPLICA } })
    expect(admit(entry, context({ frontier: { wallMs: 5, counter: 0 } }))).toBe('news')
    expect(admit(entry, context({ frontier: { wallMs: 5, counter: 1 } }))).toBe('refused')
  })
})

describe('the order of arrival', () => {
  it('does not change what a replica ends with, as long as nothing was purged', () => {
    const twoOrders = fc
      .array(anyEntry, { minLength: 1, maxLength: 6 })
      .chain((all) => fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length })))
    const law = fc.property(twoOrders, ([one, other]) => {
      expect(heldAfter(one)).toEqual(heldAfter(other))
    })
    fc.assert(law)
  })

  function heldAfter(arrivals: readonly Entry[]): Entry | undefined {
    let held: Entry | undefined
    for (const entry of arrivals) if (admit(entry, context({ held })) === 'news') held = entry
    return held
  }
})

describe('drift (R3)', () => {
  it('is judged by the wall clock, and its bound is permitted', () => {
    expect(isBeyondDrift(at(20_000), 10_000, DRIFT_MS_MAX)).toBe(false)
    expect(isBeyondDrift(at(20_001), 10_000, DRIFT_MS_MAX)).toBe(true)
    expect(isBeyondDrift(at(1), 10_000, DRIFT_MS_MAX)).toBe(false)
  })
})
