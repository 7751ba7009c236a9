import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MEMBER_VALUES_MAX, memberValuesText, MemberValues, REVISION_MAX, type MemberValue } from '../../src/index.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

function said(owner: string, name: string, revision: number): MemberValue {
  return { owner, name, revision, contentType: '', value: bytes(`${owner}${name}${revision}`) }
}

const anySaid = fc
  .tuple(fc.constantFrom('a', 'b'), fc.constantFrom('x', 'y', 'z'), fc.integer({ min: 1, max: 9 }))
  .map(([owner, name, revision]) => said(owner, name, revision))

describe('what members tell of themselves', () => {
  it('is the same for all who heard the same, in any order and however often', () => {
    const law = fc.property(
      fc.array(anySaid, { maxLength: 20 }),
      fc.array(fc.nat(19), { maxLength: 10 }),
      (all, again) => {
        const [one, other] = [new MemberValues('self'), new MemberValues('self')]
        for (const value of all) one.take(value)
        for (const value of [...again.flatMap((index) => all[index] ?? []), ...all.toReversed()]) other.take(value)
        expect(memberValuesText(one.all())).toBe(memberValuesText(other.all()))
        for (const { owner, name, revision } of all)
          expect(one.get(owner, name)?.revision).toBeGreaterThanOrEqual(revision)
      },
    )
    fc.assert(law)
  })

  it('is news exactly when it is later than what is known', () => {
    const values = new MemberValues('self')
    expect(values.take(said('a', 'x', 5))).toBeDefined()
    expect(values.take(said('a', 'x', 5))).toBeUndefined()
    expect(values.take(said('a', 'x', 4))).toBeUndefined()
    expect(values.take(said('a', 'x', 6))?.revision).toBe(6)
    expect(values.take(said('a', 'x', REVISION_MAX + 1))).toBeUndefined()
    values.forget('a')
    expect([values.isEmpty, values.all()]).toEqual([true, []])
  })

  it('rises with each word of its owner, whatever the clock does', () => {
    const values = new MemberValues('self')
    const revisions = [1_000, 1_000, 10, 2_000.7].map((wallMs) => values.set('x', bytes('v'), '', wallMs)?.revision)
    expect(revisions).toEqual([1_000, 1_001, 1_002, 2_000])
  })

  it('comes back to its owner after a restart, and what it says anew holds', () => {
    const values = new MemberValues('self')
    // Nothing said yet in this run: what the others remember is what we said.
    expect(values.take(said('self', 'x', 50))?.value).toEqual(bytes('selfx50'))
    values.set('y', bytes('new'), '', 10)
    const outbid = values.take(said('self', 'y', 70))
    expect([outbid?.revision, outbid?.value]).toEqual([71, bytes('new')])
    expect(values.set('x', bytes('newer'), '', 20)?.revision).toBe(51)
  })

  it('is bounded for each member', () => {
    const values = new MemberValues('self')
    for (let index = 0; index < MEMBER_VALUES_MAX + 3; index++) {
      const isWithin = index < MEMBER_VALUES_MAX
      expect(values.set(`n${index}`, bytes('v'), '', 1) !== undefined).toBe(isWithin)
      expect(values.take(said('a', `n${index}`, 1)) !== undefined).toBe(isWithin)
    }
    expect(values.set('n0', bytes('again'), '', 2)).toBeDefined()
    expect(values.of('a')).toHaveLength(MEMBER_VALUES_MAX)
  })
})
