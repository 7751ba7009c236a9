import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ProbeOrder, sample, type Random } from '../../src/index.ts'

const anyRandom = fc.infiniteStream(fc.integer({ min: 0, max: 999 })).map((stream): Random => ({
  next: () => Number(stream.next().value) / 1_000,
  hex: () => '',
}))
const anyCount = fc.integer({ min: 1, max: 20 })

describe('the order of probes', () => {
  it('gives every member one turn a cycle', () => {
    const law = fc.property(anyRandom, anyCount, (random, count) => {
      const order = new ProbeOrder(random)
      const members = ids(count)
      // The first cycle is made of insertions, the others are shuffled.
      for (let cycle = 0; cycle < 4; cycle += 1) {
        const turns = members.map(() => order.next(members))
        expect(new Set(turns)).toEqual(new Set(members))
      }
    })
    fc.assert(law)
  })

  it('gives a newcomer its turn within two cycles', () => {
    const law = fc.property(anyRandom, anyCount, fc.nat(40), (random, count, turnsBefore) => {
      const order = new ProbeOrder(random)
      const members = ids(count)
      for (let turn = 0; turn < turnsBefore; turn += 1) order.next(members)
      const grown = [...members, 'newcomer']
      const turns = Array.from({ length: 2 * grown.length }, () => order.next(grown))
      expect(turns).toContain('newcomer')
    })
    fc.assert(law)
  })

  it('never names one that is not there any more', () => {
    const law = fc.property(anyRandom, anyCount, fc.array(fc.nat(20)), (random, count, sizes) => {
      const order = new ProbeOrder(random)
      for (const size of sizes) {
        const members = ids(count).slice(0, size)
        const turn = order.next(members)
        expect(turn === undefined ? members.length === 0 : members.includes(turn)).toBe(true)
      }
    })
    fc.assert(law)
  })

  it('takes different ones', () => {
    const law = fc.property(anyRandom, anyCount, fc.nat(30), (random, count, wanted) => {
      const taken = new ProbeOrder(random).take(wanted, ids(count))
      expect(new Set(taken).size).toBe(Math.min(wanted, count))
    })
    fc.assert(law)
  })
})

it('a sample has no item twice', () => {
  const law = fc.property(anyRandom, anyCount, fc.nat(30), (random, count, wanted) => {
    const chosen = sample(ids(count), wanted, random)
    expect(new Set(chosen).size).toBe(chosen.length)
    expect(chosen.length).toBe(Math.min(wanted, count))
  })
  fc.assert(law)
})

function ids(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `member-${index}`)
}
