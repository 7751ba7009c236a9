import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { acksNeeded, Tally, type ReplicaId, type Verdict } from '../../src/index.ts'

const PEERS = ['a', 'b', 'c', 'd'].map((digit) => digit.repeat(16)) as [ReplicaId, ...ReplicaId[]]
const STRANGER = 'f'.repeat(16)
const anyReport = fc.tuple(fc.constantFrom(...PEERS, STRANGER), fc.boolean())

describe('how many acknowledgements are needed', () => {
  it.each([
    { members: 1, quorum: 1 },
    { members: 2, quorum: 2 },
    { members: 3, quorum: 2 },
    { members: 4, quorum: 3 },
    { members: 5, quorum: 3 },
  ])('of $members members, a quorum is $quorum', ({ members, quorum }) => {
    expect(acksNeeded('quorum', members)).toBe(quorum)
    expect(acksNeeded('all', members)).toBe(members)
    expect(acksNeeded(2, members)).toBe(2)
  })

  it('is such that two quorums meet', () => {
    const law = fc.property(fc.integer({ min: 1, max: 1_000 }), (members) => {
      expect(2 * acksNeeded('quorum', members)).toBeGreaterThan(members)
      expect(acksNeeded('quorum', members)).toBeLessThanOrEqual(members)
    })
    fc.assert(law)
  })
})

describe('a tally', () => {
  it('agrees with plain sets', () => {
    const law = fc.property(
      fc.integer({ min: 1, max: 7 }),
      fc.subarray(PEERS),
      fc.array(anyReport),
      (needed, asked, reports) => {
        const tally = new Tally(needed, asked)
        const first = new Map<ReplicaId, boolean>()
        for (const [replica, holds] of reports) {
          if (asked.includes(replica) && !first.has(replica)) first.set(replica, holds)
          const acks = 1 + [...first.values()].filter(Boolean).length
          const waiting = asked.length - first.size
          const expected: Verdict = acks >= needed ? 'reached' : acks + waiting < needed ? 'impossible' : 'waiting'
          expect(tally.record(replica, holds)).toBe(expected)
          expect(tally.verdict).toBe(expected)
          expect(tally.acks).toBe(acks)
        }
      },
    )
    fc.assert(law)
  })

  it('does not change its mind once it is final', () => {
    const law = fc.property(fc.integer({ min: 1, max: 6 }), fc.array(anyReport), (needed, reports) => {
      const tally = new Tally(needed, PEERS)
      for (const [replica, holds] of reports) {
        const before = tally.verdict
        const after = tally.record(replica, holds)
        expect(before === 'waiting' ? after : before).toBe(after)
      }
    })
    fc.assert(law)
  })

  it('is final when everybody has answered', () => {
    const law = fc.property(
      fc.integer({ min: 1, max: 6 }),
      fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
      (needed, answers) => {
        const tally = new Tally(needed, PEERS)
        for (const [index, replica] of PEERS.entries()) tally.record(replica, answers[index] ?? false)
        expect(tally.verdict).not.toBe('waiting')
      },
    )
    fc.assert(law)
  })

  it('counts the coordinator at once', () => {
    expect(new Tally(1, []).verdict).toBe('reached')
    expect(new Tally(2, []).verdict).toBe('impossible')
    expect(new Tally(2, PEERS).verdict).toBe('waiting')
  })

  it('counts nobody twice, and nobody who was not asked', () => {
    const tally = new Tally(3, PEERS.slice(0, 2))
    expect(tally.record(PEERS[0], true)).toBe('waiting')
    expect(tally.record(PEERS[0], true)).toBe('waiting')
    expect(tally.record(STRANGER, true)).toBe('waiting')
    expect(tally.acks).toBe(2)
  })
})
