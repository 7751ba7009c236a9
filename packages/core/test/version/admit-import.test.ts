import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  admit,
  admitImport,
  compareHlc,
  leavesNoTrace,
  type Entry,
  type Held,
  type Hlc,
  type ImportContext,
} from '../../src/index.ts'
import { entryWith } from '../record/any-entry.ts'

const REPLICA = 'b'.repeat(16)

function at(wallMs: number, isDelete = false): Entry {
  const version = { hlc: { wallMs, counter: 0 }, replica: REPLICA }
  return entryWith({ version, ...(isDelete && { value: undefined }) })
}

const anyEntry = fc
  .tuple(fc.integer({ min: 1, max: 6 }), fc.boolean())
  .map(([wallMs, isDelete]) => at(wallMs, isDelete))
const anyHlc: fc.Arbitrary<Hlc> = fc.record({ wallMs: fc.nat(7), counter: fc.nat(1) })
const anyHeld: fc.Arbitrary<Held> = fc.oneof(fc.constant(undefined), fc.constant('corrupt' as const), anyEntry)
/** A frontier is never above a promise, nor a promise above the clock. */
const anyContext: fc.Arbitrary<ImportContext> = fc
  .tuple(anyHeld, fc.boolean(), fc.tuple(anyHlc, anyHlc, anyHlc))
  .map(([held, covered, hlcs]) => {
    const [frontier, promise, clock] = hlcs.toSorted(compareHlc) as [Hlc, Hlc, Hlc]
    return { held, covered, frontier, promise, clock }
  })

describe('an entry of a snapshot (R17)', () => {
  it('is judged as every other when it is covered, or above the promise', () => {
    const law = fc.property(anyEntry, anyContext, (entry, context) => {
      fc.pre(context.covered || compareHlc(entry.version.hlc, context.promise) > 0)
      expect(admitImport(entry, context)).toBe(admit(entry, { ...context, bootstrapping: false, healing: false }))
    })
    fc.assert(law)
  })

  it('changes nothing when it is neither, whatever is held', () => {
    const law = fc.property(anyEntry, anyContext, (entry, context) => {
      fc.pre(!context.covered && compareHlc(entry.version.hlc, context.promise) <= 0)
      expect(leavesNoTrace(admitImport(entry, context))).toBe(true)
    })
    fc.assert(law)
  })

  it('never brings anything in at or below the promise that was not seen before (I2)', () => {
    const law = fc.property(anyEntry, anyContext, (entry, context) => {
      const isNews = admitImport(entry, context) === 'news' && !context.covered
      if (isNews) expect(compareHlc(entry.version.hlc, context.promise)).toBeGreaterThan(0)
    })
    fc.assert(law)
  })

  it.each([
    { what: 'its key is absent', held: undefined, admission: 'quarantined' },
    { what: 'something older is held', held: at(1), admission: 'quarantined' },
    { what: 'something newer is held', held: at(4), admission: 'outdated' },
    { what: 'a newer delete is held', held: at(4, true), admission: 'outdated' },
    { what: 'what is held cannot be read', held: 'corrupt' as const, admission: 'failed' },
  ])('is $admission when it was never seen, is not above the promise, and $what', ({ held, admission }) => {
    const hlc = { wallMs: 5, counter: 0 }
    const context = { held, covered: false, frontier: { wallMs: 0, counter: 0 }, promise: hlc, clock: hlc }
    expect(admitImport(at(3), context)).toBe(admission)
  })

  it('stays deleted when it was seen and its key is gone, at or above the frontier', () => {
    const clock = { wallMs: 9, counter: 0 }
    for (const wallMs of [0, 5]) {
      const context = { held: undefined, covered: true, frontier: { wallMs, counter: 0 }, promise: clock, clock }
      expect(admitImport(at(3), context)).toBe('refused')
    }
  })
})
