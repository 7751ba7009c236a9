import { array, assert as assertProperty, constantFrom, integer, property, record, uniqueArray } from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  acknowledgements,
  advanceFrontier,
  areTombstonesPilingUp,
  compareHlc,
  covers,
  foldableWriters,
  HLC_ZERO,
  isRolledBack,
  tombstoneRatio,
  VersionVector,
  type Barrier,
  type Dot,
  type Hlc,
  type Publication,
  type ReplicaId,
  type Roster,
} from '../../src/index.ts'

const A = 'a'.repeat(16)
const B = 'b'.repeat(16)
const C = 'c'.repeat(16)
const WRITERS = ['1', '2', '3'].map((digit) => digit.repeat(16))

const at = (wallMs: number): Hlc => ({ wallMs, counter: 0 })
const rosterOf = (known: readonly ReplicaId[], evicted: readonly ReplicaId[] = []): Roster => ({ known, evicted })

function publicationOf(
  replica: ReplicaId,
  promise: Hlc,
  dots: readonly Dot[],
  more: Partial<Publication> = {},
): Publication {
  const vector = new VersionVector()
  for (const dot of dots) vector.add(dot)
  return { replica, roster: rosterOf([A, B]), promise, vectors: [vector], folded: new Set(), closed: [], ...more }
}

function step(
  roster: Roster,
  publications: readonly Publication[],
  before: { frontier?: Hlc; barrier?: Barrier | undefined } = {},
): ReturnType<typeof advanceFrontier> {
  const latest = new Map(publications.map((publication) => [publication.replica, publication]))
  return advanceFrontier({ roster, frontier: HLC_ZERO, barrier: undefined, ...before, publications: latest })
}

const [W, V] = [WRITERS[0] ?? '', WRITERS[1] ?? '']
const X: Dot = { writer: W, seq: 1 }
const T: Dot = { writer: V, seq: 1 }

describe('the frontier', () => {
  it('is the least promise when all have seen the same', () => {
    const { frontier, holds } = step(rosterOf([A, B]), [
      publicationOf(A, at(7), [X, T]),
      publicationOf(B, at(5), [X, T]),
    ])
    expect([frontier, holds]).toEqual([at(5), []])
  })

  it('does not pass a tombstone that all cover while somebody holds what another lacks', () => {
    // A put X, B deleted blind: T has reached A, all cover T, and X is still on its way to B.
    const first = step(rosterOf([A, B]), [publicationOf(A, at(7), [X, T]), publicationOf(B, at(7), [T])])
    expect(first.frontier).toEqual(HLC_ZERO)
    expect(first.holds).toEqual([{ replica: B, reason: 'lacks-entries' }])
    const again = step(rosterOf([A, B]), [publicationOf(A, at(9), [X, T]), publicationOf(B, at(9), [T])], first)
    expect(again.frontier).toEqual(HLC_ZERO)
    const caughtUp = step(rosterOf([A, B]), [publicationOf(A, at(9), [X, T]), publicationOf(B, at(9), [X, T])], again)
    expect(compareHlc(caughtUp.frontier, at(7))).toBeGreaterThanOrEqual(0)
  })

  it('reaches a barrier however much is written behind it', () => {
    const first = step(rosterOf([A, B]), [publicationOf(A, at(7), [X]), publicationOf(B, at(8), [T])])
    const later = { writer: V, seq: 2 }
    const second = step(
      rosterOf([A, B]),
      [publicationOf(A, at(20), [X, T]), publicationOf(B, at(21), [X, T, later])],
      first,
    )
    expect(second.frontier).toEqual(at(7))
    expect(second.barrier?.promise).toEqual(at(20))
  })

  it('waits for every member, heard of or not', () => {
    const { frontier, holds } = step(rosterOf([A, B, C]), [publicationOf(A, at(7), []), publicationOf(B, at(7), [])])
    expect([frontier, holds]).toEqual([HLC_ZERO, [{ replica: C, reason: 'silent' }]])
  })

  it('begins anew with an eviction, since nobody will ever see what only the evicted had', () => {
    const first = step(rosterOf([A, B]), [publicationOf(A, at(7), [X]), publicationOf(B, at(8), [])])
    expect(first.holds).toEqual([{ replica: B, reason: 'lacks-entries' }])
    const roster = rosterOf([A, B], [A])
    const { frontier, holds } = step(roster, [publicationOf(B, at(9), [], { roster })], first)
    expect([frontier, holds]).toEqual([at(9), []])
  })

  it('does not wait for the evicted, but for those who do not know of it yet', () => {
    const roster = rosterOf([A, B, C], [C])
    const aware = { roster }
    const unaware = step(roster, [publicationOf(A, at(7), [], aware), publicationOf(B, at(7), [])])
    expect([unaware.frontier, unaware.holds]).toEqual([HLC_ZERO, [{ replica: B, reason: 'unaware-of-eviction' }]])
    const all = step(roster, [publicationOf(A, at(7), [], aware), publicationOf(B, at(7), [], aware)])
    expect(all.frontier).toEqual(at(7))
  })

  it('asks a new member to take part in the second round', () => {
    const first = step(rosterOf([A, B]), [publicationOf(A, at(7), [X]), publicationOf(B, at(8), [T])])
    const two = [publicationOf(A, at(20), [X, T]), publicationOf(B, at(20), [X, T])]
    expect(step(rosterOf([A, B, C]), two, first).holds).toEqual([{ replica: C, reason: 'silent' }])
    const three = step(rosterOf([A, B, C]), [...two, publicationOf(C, at(30), [X, T])], first)
    expect(compareHlc(three.frontier, at(7))).toBeGreaterThanOrEqual(0)
  })

  it('never goes back, and never passes what somebody has not promised', () => {
    const anyDot = record({ writer: constantFrom(...WRITERS), seq: integer({ min: 1, max: 4 }) })
    const anyPublished = record({ promise: integer({ min: 1, max: 50 }), dots: array(anyDot, { maxLength: 6 }) })
    const law = property(array(array(anyPublished, { minLength: 3, maxLength: 3 }), { maxLength: 6 }), (rounds) => {
      let now: { frontier: Hlc; barrier?: Barrier | undefined } = { frontier: HLC_ZERO }
      const promised = [0, 0, 0]
      const seen: Dot[][] = [[], [], []]
      for (const round of rounds) {
        const publications = round.map(({ promise, dots }, index) => {
          // A replica only ever promises more and covers more.
          promised[index] = Math.max(promised[index] ?? 0, promise)
          seen[index] = [...(seen[index] ?? []), ...dots]
          return publicationOf([A, B, C][index] ?? A, at(promised[index]), seen[index])
        })
        const next = step(rosterOf([A, B, C]), publications, now)
        expect(compareHlc(next.frontier, now.frontier)).toBeGreaterThanOrEqual(0)
        expect(next.frontier.wallMs).toBeLessThanOrEqual(Math.min(...promised))
        now = next
      }
    })
    assertProperty(law)
  })
})

describe('acknowledgements', () => {
  const said = (need: Hlc, roster: Roster, publications: readonly Publication[], barrier?: Barrier) => {
    const latest = new Map(publications.map((publication) => [publication.replica, publication]))
    return acknowledgements(need, { roster, barrier, publications: latest })
  }

  it('say of each member what it has promised, what it lacks, and why it is waited for', () => {
    const aware = { roster: rosterOf([A, B, C], [C]) }
    expect(said(at(6), rosterOf([A, B, C]), [publicationOf(A, at(7), [X, T]), publicationOf(B, at(5), [T])])).toEqual([
      { replica: A, promise: at(7), lacks: 0, waits: undefined },
      { replica: B, promise: at(5), lacks: 1, waits: 'lacks-entries' },
      { replica: C, promise: undefined, lacks: 0, waits: 'silent' },
    ])
    expect(said(at(6), aware.roster, [publicationOf(A, at(7), [], aware), publicationOf(B, at(9), [])])).toEqual([
      { replica: A, promise: at(7), lacks: 0, waits: undefined },
      { replica: B, promise: undefined, lacks: 0, waits: 'unaware-of-eviction' },
    ])
    const equal = [publicationOf(A, at(7), [X]), publicationOf(B, at(5), [X])]
    expect(said(at(6), rosterOf([A, B]), equal).map(({ waits }) => waits)).toEqual([undefined, 'promised-less'])
  })

  it('ask in a round under way for what was known when it began, and not for what came since', () => {
    const first = step(rosterOf([A, B]), [publicationOf(A, at(7), [X]), publicationOf(B, at(8), [])])
    const now = [publicationOf(A, at(20), [X, T]), publicationOf(B, at(9), [X])]
    expect(said(at(7), rosterOf([A, B]), now, first.barrier).map(({ waits }) => waits)).toEqual([undefined, undefined])
    expect(said(at(8), rosterOf([A, B]), now, first.barrier)[1]).toMatchObject({ lacks: 1, waits: 'lacks-entries' })
  })

  it('name somebody exactly as long as the frontier does not pass', () => {
    const anyDot = record({ writer: constantFrom(...WRITERS), seq: integer({ min: 1, max: 3 }) })
    const anyPublished = record({ promise: integer({ min: 1, max: 9 }), dots: array(anyDot, { maxLength: 5 }) })
    const anyRounds = array(array(anyPublished, { minLength: 3, maxLength: 3 }), { minLength: 1, maxLength: 5 })
    const law = property(anyRounds, integer({ min: 1, max: 9 }), (rounds, need) => {
      let now: { frontier: Hlc; barrier?: Barrier | undefined } = { frontier: HLC_ZERO }
      const promised = [0, 0, 0]
      const seen: Dot[][] = [[], [], []]
      for (const round of rounds) {
        const publications = round.map(({ promise, dots }, index) => {
          promised[index] = Math.max(promised[index] ?? 0, promise)
          seen[index] = [...(seen[index] ?? []), ...dots]
          return publicationOf([A, B, C][index] ?? A, at(promised[index]), seen[index])
        })
        const waited = said(at(need), rosterOf([A, B, C]), publications, now.barrier).filter(({ waits }) => waits)
        const next = step(rosterOf([A, B, C]), publications, now)
        if (compareHlc(now.frontier, at(need)) < 0)
          expect(waited.length === 0).toBe(compareHlc(next.frontier, at(need)) >= 0)
        if (compareHlc(next.frontier, now.frontier) > 0) expect(next.reached?.promise).toEqual(next.frontier)
        now = next
      }
    })
    assertProperty(law)
  })

  it('have the round that raised the frontier told', () => {
    const { reached } = step(rosterOf([A, B]), [publicationOf(A, at(7), [X, T]), publicationOf(B, at(5), [X, T])])
    expect(reached).toMatchObject({ promise: at(5) })
    expect(reached?.union[0]?.rows()).toEqual([
      [W, [1, 1]],
      [V, [1, 1]],
    ])
    const first = step(rosterOf([A, B]), [publicationOf(A, at(7), [X]), publicationOf(B, at(8), [])])
    expect(first.reached).toBeUndefined()
    const later = { writer: V, seq: 2 }
    const second = step(rosterOf([A, B]), [publicationOf(A, at(9), [X]), publicationOf(B, at(9), [X, later])], first)
    expect(second.reached?.union[0]?.rows()).toEqual([[W, [1, 1]]])
  })
})

describe('tombstones that pile up', () => {
  const now = { oldestMs: 61_000, purgeIntervalMs: 10_000, ratioMax: 0.5 }

  it.each([
    [{ values: 1_000, tombstones: 1_000 }, {}, true],
    [{ values: 0, tombstones: 1_000 }, {}, true],
    [{ values: 1_001, tombstones: 1_000 }, {}, false],
    // Few of them are no trouble, whatever their share.
    [{ values: 0, tombstones: 999 }, {}, false],
    // Much was deleted just now, and goes.
    [{ values: 0, tombstones: 100_000 }, { oldestMs: 60_000 }, false],
    [{ values: 0, tombstones: 100_000 }, { ratioMax: 0 }, false],
  ])('are those of %j with %j: %s', (totals, more, expected) => {
    expect(areTombstonesPilingUp(totals, { ...now, ...more })).toBe(expected)
  })

  it('are a share of all entries', () => {
    expect([
      tombstoneRatio({ values: 0, tombstones: 0 }),
      tombstoneRatio({ values: 3, tombstones: 1 }),
      tombstoneRatio({ values: 0, tombstones: 1 }),
    ]).toEqual([0, 0.25, 1])
  })
})

describe('folding', () => {
  const dots = (writer: string, upTo: number): Dot[] =>
    Array.from({ length: upTo }, (_, index) => ({ writer, seq: index + 1 }))

  it('takes a closed writer once every member has the last of it', () => {
    const closing = publicationOf(A, at(1), dots(W, 3), { closed: [W] })
    const behind = new Map([closing, publicationOf(B, at(1), dots(W, 2))].map((each) => [each.replica, each]))
    expect(foldableWriters(rosterOf([A, B]), behind, new Set())).toEqual([])
    const equal = new Map([closing, publicationOf(B, at(1), dots(W, 3))].map((each) => [each.replica, each]))
    expect(foldableWriters(rosterOf([A, B]), equal, new Set())).toEqual([W])
    expect(foldableWriters(rosterOf([A, B]), equal, new Set([W]))).toEqual([])
    expect(foldableWriters(rosterOf([A, B, C]), equal, new Set())).toEqual([])
  })

  it('never takes a writer that may still write', () => {
    const open = new Map([publicationOf(A, at(1), dots(W, 3))].map((each) => [each.replica, each]))
    expect(foldableWriters(rosterOf([A]), open, new Set())).toEqual([])
  })

  it('changes nothing in what is covered', () => {
    const law = property(
      uniqueArray(integer({ min: 1, max: 6 })),
      uniqueArray(integer({ min: 1, max: 6 })),
      (mine, theirs) => {
        const dotsOf = (seqs: readonly number[]): Dot[] => seqs.map((seq) => ({ writer: V, seq }))
        const plain = publicationOf(A, at(1), [...dots(W, 3), ...dotsOf(mine)])
        const folded = publicationOf(A, at(1), dotsOf(mine), { folded: new Set([W]) })
        const needed = publicationOf(B, at(1), [...dots(W, 3), ...dotsOf(theirs)]).vectors
        expect(covers(folded, needed)).toBe(covers(plain, needed))
      },
    )
    assertProperty(law)
  })
})

describe('a rolled back directory', () => {
  it('shows by a clock or a vector that has lost something', () => {
    const before = publicationOf(A, at(5), [X, T])
    expect(isRolledBack(before, publicationOf(A, at(5), [X, T]))).toBe(false)
    expect(isRolledBack(before, publicationOf(A, at(4), [X, T]))).toBe(true)
    expect(isRolledBack(before, publicationOf(A, at(9), [X]))).toBe(true)
    expect(isRolledBack(before, publicationOf(A, at(9), [X], { folded: new Set([V]) }))).toBe(false)
  })
})
