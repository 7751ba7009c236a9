import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  EMPTY_ROSTER,
  evict,
  introduce,
  membersOf,
  mergeRosters,
  rosterText,
  standingOf,
  type ReplicaId,
  type Roster,
} from '../../src/index.ts'

const IDS = ['a', 'b', 'c', 'd', 'e'].map((digit) => digit.repeat(16)) as [ReplicaId, ...ReplicaId[]]
const anyIds = fc.subarray(IDS)
const anyRoster: fc.Arbitrary<Roster> = fc.record({ known: anyIds, evicted: anyIds })

describe('a roster', () => {
  it('merges in any order and any number of times to the same', () => {
    const law = fc.property(anyRoster, anyRoster, anyRoster, (a, b, c) => {
      expect(mergeRosters(a, b)).toEqual(mergeRosters(b, a))
      expect(mergeRosters(mergeRosters(a, b), c)).toEqual(mergeRosters(a, mergeRosters(b, c)))
      expect(mergeRosters(mergeRosters(a, b), b)).toEqual(mergeRosters(a, b))
    })
    fc.assert(law)
  })

  it('is itself again when nothing was added, so that nobody stores or tells what is no news', () => {
    const law = fc.property(anyRoster, anyRoster, (a, b) => {
      const merged = mergeRosters(a, b)
      expect(mergeRosters(merged, a)).toBe(merged)
      expect(mergeRosters(merged, b)).toBe(merged)
      expect(merged === a).toBe(rosterText(merged) === rosterText(a))
    })
    fc.assert(law)
  })

  it('loses nobody, and stays in order without repetition', () => {
    const inAnyOrder = fc.array(fc.constantFrom(...IDS))
    const law = fc.property(anyRoster, inAnyOrder, inAnyOrder, (roster, known, evicted) => {
      const merged = mergeRosters(roster, { known, evicted })
      expect(merged.known).toEqual([...new Set([...roster.known, ...known])].toSorted())
      expect(merged.evicted).toEqual([...new Set([...roster.evicted, ...evicted])].toSorted())
    })
    fc.assert(law)
  })

  it('has members that are known and not evicted: eviction is for ever', () => {
    const law = fc.property(anyRoster, fc.constantFrom(...IDS), (roster, replica) => {
      expect(membersOf(roster)).toEqual(IDS.filter((each) => standingOf(roster, each) === 'member'))
      expect(standingOf(introduce(roster, replica), replica)).toBe(
        roster.evicted.includes(replica) ? 'evicted' : 'member',
      )
      expect(standingOf(introduce(evict(roster, replica), replica), replica)).toBe('evicted')
    })
    fc.assert(law)
  })

  it('knows nobody in the beginning', () => {
    expect(standingOf(EMPTY_ROSTER, IDS[0])).toBe('stranger')
    expect(membersOf(EMPTY_ROSTER)).toEqual([])
    expect(rosterText(EMPTY_ROSTER)).not.toBe(rosterText(evict(EMPTY_ROSTER, IDS[0])))
    expect(rosterText(introduce(EMPTY_ROSTER, IDS[0]))).not.toBe(rosterText(evict(EMPTY_ROSTER, IDS[0])))
  })
})
