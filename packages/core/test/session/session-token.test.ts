import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  compareHlc,
  firstSessionText,
  fittedSessionText,
  HLC_ZERO,
  MalformedSessionError,
  parseSessionText,
  SESSION_TOKEN_CHARS_MAX,
  sessionText,
  SessionToken,
  VersionVector,
  type Hlc,
  type Partition,
  type SessionView,
  type Sighting,
} from '../../src/index.ts'

const CLUSTER = '0123456789abcdef0123456789abcdef'
const REPLICAS = ['a', 'b', 'c'].map((digit) => digit.repeat(16))
const WRITERS = ['1', '2', '3'].map((digit) => digit.repeat(16))
const PARTITIONS = 2
const SEQS = 4

/** Every write there is: each writer's, in order, with hlcs that grow. */
const WRITES: readonly Sighting[] = WRITERS.flatMap((writer, index) =>
  Array.from({ length: PARTITIONS * SEQS }, (_, number) => ({
    keyHash: String.fromCharCode(number % PARTITIONS) + '\0'.repeat(31),
    version: { hlc: { wallMs: 1_000 + number, counter: index }, replica: REPLICAS[index] ?? '' },
    dot: { writer, seq: Math.floor(number / PARTITIONS) + 1 },
  })),
)

const partitionIn = ({ keyHash }: Sighting): Partition => keyHash.charCodeAt(0)

/** A replica of the law's world: what it covers only grows, and it covers all that is at or below the frontier. */
class World {
  readonly #covered = REPLICAS.map(() => new Set<Sighting>())
  #frontier: Hlc = HLC_ZERO

  cover(replica: number, write: Sighting): void {
    this.#covered[replica]?.add(write)
  }

  raise(frontier: Hlc): void {
    if (compareHlc(frontier, this.#frontier) > 0) this.#frontier = frontier
    for (const covered of this.#covered)
      for (const write of WRITES) if (compareHlc(write.version.hlc, this.#frontier) <= 0) covered.add(write)
  }

  /** @param knowsFrontier a replica may hear of it late. */
  view(replica: number, knowsFrontier = true): SessionView {
    const vectors = Array.from({ length: PARTITIONS }, () => new VersionVector())
    let clock = HLC_ZERO
    for (const write of this.#covered[replica] ?? []) {
      vectors[partitionIn(write)]?.add(write.dot)
      if (compareHlc(write.version.hlc, clock) > 0) clock = write.version.hlc
    }
    return {
      cluster: CLUSTER,
      replica: REPLICAS[replica] ?? '',
      clock,
      frontier: knowsFrontier ? this.#frontier : HLC_ZERO,
      folded: new Set(),
      vector: (partition) => vectors[partition] ?? new VersionVector(),
      lost: () => undefined,
    }
  }

  has(replica: number, write: Sighting): boolean {
    return this.#covered[replica]?.has(write) ?? false
  }
}

type Step =
  | { readonly kind: 'see' | 'arrive'; readonly write: Sighting; readonly replica: number }
  | { readonly kind: 'bridge' | 'generalise' | 'see-all'; readonly replica: number }
  | { readonly kind: 'raise'; readonly wallMs: number }

const anyReplica = fc.nat({ max: REPLICAS.length - 1 })
const anyWrite = fc.constantFrom(...WRITES)
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('see'), write: anyWrite, replica: anyReplica }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('arrive'), write: anyWrite, replica: anyReplica }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('bridge'), replica: anyReplica }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('generalise'), replica: anyReplica }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('see-all'), replica: anyReplica }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('raise'), wallMs: fc.integer({ min: 1_000, max: 1_010 }) }) },
)

/** What a session saw, and what became of its token. */
function live(steps: readonly Step[], world = new World()): { token: SessionToken; saw: Set<Sighting>; world: World } {
  const token = new SessionToken(CLUSTER)
  const saw = new Set<Sighting>()
  for (const step of steps)
    if (step.kind === 'raise') world.raise({ wallMs: step.wallMs, counter: 0 })
    else if (step.kind === 'arrive') world.cover(step.replica, step.write)
    else if (step.kind === 'see') {
      // Nobody sees what the replica that answers does not hold.
      world.cover(step.replica, step.write)
      token.see(step.write)
      saw.add(step.write)
    } else if (step.kind === 'see-all') {
      token.seeAll(world.view(step.replica))
      for (const write of WRITES) if (world.has(step.replica, write)) saw.add(write)
    } else if (step.kind === 'bridge') token.bridge(world.view(step.replica))
    else token.generalise(world.view(step.replica))
  return { token, saw, world }
}

const anySteps = fc.array(anyStep, { maxLength: 25 })
const anyToken = anySteps.map((steps) => live(steps).token)

const joined = (...tokens: readonly SessionToken[]): SessionToken => {
  const all = new SessionToken(CLUSTER)
  for (const token of tokens) all.join(token)
  return all
}
const passes = (token: SessionToken, view: SessionView, partition?: Partition): boolean =>
  token.standing(view, partition) !== 'lacking'

describe('a session token', () => {
  it('lets no replica answer that lacks something that the session has seen', () => {
    const law = fc.property(anySteps, fc.boolean(), (steps, knows) => {
      const { token, saw, world } = live(steps)
      for (let replica = 0; replica < REPLICAS.length; replica++)
        for (const partition of [0, 1, undefined]) {
          if (!passes(token, world.view(replica, knows), partition)) continue
          for (const write of saw)
            if (partition === undefined || partition === partitionIn(write))
              expect(world.has(replica, write)).toBe(true)
        }
    })
    fc.assert(law, { numRuns: 2_000 })
  })

  it('is not changed by what becomes of a token that it was joined to', () => {
    const law = fc.property(anyToken, anyToken, fc.array(anyWrite, { maxLength: 8 }), (one, other, writes) => {
      const [before, otherBefore] = [sessionText(one), sessionText(other)]
      const all = joined(one, other)
      for (const write of writes) all.see(write)
      all.seeAll(new World().view(0))
      all.bridge(new World().view(0))
      expect([sessionText(one), sessionText(other)]).toEqual([before, otherBefore])
      expect(sessionText(joined(one, other, all))).toBe(sessionText(all))
    })
    fc.assert(law)
  })

  it('that only saw lets every replica answer that has seen the same', () => {
    const law = fc.property(fc.array(anyWrite, { maxLength: 12 }), anyWrite, (writes, last) => {
      const world = new World()
      const token = new SessionToken(CLUSTER)
      for (const write of [...writes, last]) {
        token.see(write)
        world.cover(0, write)
        if (writes.includes(write)) world.cover(1, write)
      }
      expect(passes(token, world.view(0))).toBe(true)
      expect(passes(token, world.view(1))).toBe(writes.includes(last))
      expect(passes(token, world.view(1), 1 - partitionIn(last))).toBe(true)
      expect(token.lacking(world.view(1), undefined)).toEqual(writes.includes(last) ? [] : [partitionIn(last)])
      expect([...token.ownersOfLacking(world.view(1), [0, 1])]).toEqual(
        writes.includes(last) ? [] : [last.version.replica],
      )
    })
    fc.assert(law)
  })

  it('is satisfied for good: a replica that sees more still has seen it', () => {
    const law = fc.property(anySteps, fc.array(fc.tuple(anyReplica, anyWrite)), (steps, arrivals) => {
      const { token, world } = live(steps)
      const before = REPLICAS.map((_, replica) => passes(token, world.view(replica)))
      for (const [replica, write] of arrivals) world.cover(replica, write)
      for (const [replica, passed] of before.entries())
        if (passed) expect(passes(token, world.view(replica))).toBe(true)
    })
    fc.assert(law)
  })

  it('joins as a semilattice: in any order, any grouping, any number of times', () => {
    const law = fc.property(anyToken, anyToken, anyToken, (a, b, c) => {
      expect(sessionText(joined(a, b))).toBe(sessionText(joined(b, a)))
      expect(sessionText(joined(joined(a, b), c))).toBe(sessionText(joined(a, joined(b, c))))
      expect(sessionText(joined(a, a))).toBe(sessionText(a))
    })
    fc.assert(law)
  })

  it('contains what it was joined from: whoever satisfies it satisfies each of them', () => {
    const law = fc.property(anySteps, anySteps, anySteps, (first, second, later) => {
      const world = new World()
      const [a, b] = [live(first, world).token, live(second, world).token]
      live(later, world)
      const both = joined(a, b)
      for (let replica = 0; replica < REPLICAS.length; replica++) {
        const view = world.view(replica)
        expect(compareHlc(both.hlc, a.hlc)).toBeGreaterThanOrEqual(0)
        if (passes(both, view)) expect([passes(a, view), passes(b, view)]).toEqual([true, true])
      }
    })
    fc.assert(law)
  })

  it('asks for no less after it was made shorter, and of a replica that had seen all of it for nothing more', () => {
    const law = fc.property(anySteps, anyReplica, anySteps, (steps, at, later) => {
      const { token, world } = live(steps)
      const before = joined(token)
      const passedHere = passes(token, world.view(at))
      token.bridge(world.view(at))
      expect(passes(token, world.view(at))).toBe(passedHere)
      token.generalise(world.view(at))
      if (passedHere) expect(passes(token, world.view(at))).toBe(true)
      live(later, world)
      for (let replica = 0; replica < REPLICAS.length; replica++)
        if (passes(token, world.view(replica))) expect(passes(before, world.view(replica))).toBe(true)
    })
    fc.assert(law, { numRuns: 1_000 })
  })

  it('is satisfied with a gap when what it lacks no member has any more', () => {
    const { token, world } = live([{ kind: 'see', write: WRITES[0] as Sighting, replica: 0 }])
    const view = world.view(1)
    expect(token.standing(view, undefined)).toBe('lacking')
    const lost = new VersionVector()
    lost.adopt(token.rows(0))
    const told = { ...view, lost: (partition: Partition) => (partition === 0 ? lost : undefined) }
    expect([token.standing(told, undefined), token.standing(told, 0), token.standing(told, 1)]).toEqual([
      'gap',
      'gap',
      'seen',
    ])
  })

  it('counts every dot of a folded writer as seen', () => {
    const { token, world } = live([{ kind: 'see', write: WRITES[0] as Sighting, replica: 0 }])
    expect(token.standing({ ...world.view(1), folded: new Set(WRITERS) }, undefined)).toBe('seen')
  })
})

describe('the text of a token', () => {
  it('comes back as it was', () => {
    const law = fc.property(anyToken, (token) => {
      const text = sessionText(token)
      expect(text).toMatch(/^[A-Za-z0-9._~-]+$/)
      expect(sessionText(parseSessionText(text))).toBe(text)
      expect(parseSessionText(text).hlc).toEqual(token.hlc)
    })
    fc.assert(law)
  })

  it('that was cut off, edited or made up is no token', () => {
    const law = fc.property(
      anyToken,
      fc.nat(),
      fc.constantFrom('0', 'a', 'Z', '~', '.', '_', '-'),
      (token, at, character) => {
        const text = sessionText(token)
        const place = at % text.length
        const edited = text.slice(0, place) + character + text.slice(place + 1)
        if (edited !== text) expect(() => parseSessionText(edited)).toThrow(MalformedSessionError)
        expect(() => parseSessionText(text.slice(0, place))).toThrow(MalformedSessionError)
      },
    )
    fc.assert(law)
    for (const text of ['', '1', 'x', 'a'.repeat(9_000), '1.....']) {
      expect(() => parseSessionText(text)).toThrow(MalformedSessionError)
    }
  })

  it('with a right check and wrong dots is no token either', () => {
    const token = new SessionToken(CLUSTER)
    token.see(WRITES[0] as Sighting)
    const good = sessionText(token)
    expect(good).toContain('.00A1.')
    for (const dots of [
      '00A0',
      '00B1',
      '00A2-1',
      '00A1_1',
      '00A1_2',
      '00a1',
      '0A1',
      '00A',
      '00Azzzzzzzzzz',
      '00A1~~01A1',
    ])
      expect(() => parseSessionText(rechecked(good.replace('.00A1.', `.${dots}.`)))).toThrow(MalformedSessionError)
    expect(sessionText(parseSessionText(rechecked(good)))).toBe(good)
  })

  it.each([
    [1, 1],
    [3, 5],
    [4, 9],
    [12, 2],
  ])('never exceeds a header, and still asks for all that was seen (%i writers, every %i)', (writers, every) => {
    const token = new SessionToken(CLUSTER)
    const vectors = Array.from({ length: 256 }, () => new VersionVector())
    for (let number = 0; number < 256 * writers; number++) {
      const writer = (number % writers).toString(16).padStart(16, '0')
      const partition = Math.floor(number / writers)
      const seq = 1 + every * (number % 7)
      token.see({
        keyHash: String.fromCharCode(partition) + '\0'.repeat(31),
        version: { hlc: { wallMs: 5_000 + number, counter: 0 }, replica: writer },
        dot: { writer, seq },
      })
      vectors[partition]?.adopt([[writer, [1, 100]]])
    }
    const view: SessionView = {
      ...new World().view(0),
      clock: { wallMs: 9_000_000, counter: 0 },
      vector: (partition) => vectors[partition] ?? new VersionVector(),
    }
    const lacksOne = { ...view, replica: REPLICAS[1] ?? '', vector: () => new VersionVector() }
    for (const answering of [view, lacksOne, undefined]) {
      const fitted = fittedSessionText(joined(token), answering)
      expect(fitted.length).toBeLessThanOrEqual(SESSION_TOKEN_CHARS_MAX)
      const shorter = parseSessionText(fitted)
      expect(shorter.hlc).toEqual(token.hlc)
      expect(passes(shorter, lacksOne)).toBe(false)
      // Where it was seen it stays seen, also when every other member is away.
      expect(passes(shorter, view)).toBe(answering === view || shorter.floor === undefined)
    }
  })

  it('of what was seen first is the same by the short way', () => {
    const law = fc.property(anyWrite, (write) => {
      const token = new SessionToken(CLUSTER)
      token.see(write)
      expect(firstSessionText(CLUSTER, write)).toBe(sessionText(token))
    })
    fc.assert(law)
  })

  it('is short where little was seen', () => {
    const token = new SessionToken(CLUSTER)
    token.see(WRITES[0] as Sighting)
    expect(sessionText(token).length).toBeLessThan(110)
  })
})

function rechecked(text: string): string {
  const rest = text.slice(0, text.lastIndexOf('.'))
  let check = 0x811c9dc5
  for (const character of rest) check = Math.imul(check ^ character.charCodeAt(0), 0x01000193)
  return `${rest}.${(check >>> 0).toString(16).padStart(8, '0')}`
}
