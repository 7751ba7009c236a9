import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  INCARNATION_MAX,
  INCARNATION_STEP_MAX,
  MemberList,
  type MemberState,
  type MemberUpdate,
} from '../../src/index.ts'

const SELF = 'a'.repeat(16)
const SUBJECT = 'b'.repeat(16)
const GOSSIP = 'c'.repeat(16)

const anyState = fc.constantFrom<MemberState>('alive', 'suspect', 'dead', 'left')
/** Numbers as owners issue them, and those of bugs, close to every bound. */
const anyNumber = fc.oneof(
  fc.nat(100),
  fc.constantFrom(2 ** 32 - 1, 2 ** 53 - 1, INCARNATION_MAX, INCARNATION_MAX - 1, INCARNATION_MAX + 1),
  fc.constantFrom(INCARNATION_STEP_MAX - 1, INCARNATION_STEP_MAX, INCARNATION_STEP_MAX + 1),
)
const anyHonestUpdate = fc
  .tuple(fc.constantFrom(SUBJECT, GOSSIP), fc.nat(5), anyState)
  .map(([replica, incarnation, state]) => update(replica, incarnation, state))

describe('a member list', () => {
  it('does not depend on the order of arrival', () => {
    const law = fc.property(shuffledTwice(fc.array(anyHonestUpdate)), ([one, other]) => {
      expect(listAfter(one)).toEqual(listAfter(other))
    })
    fc.assert(law)
  })

  it('learns nothing from hearing it again', () => {
    const law = fc.property(fc.array(anyHonestUpdate), (updates) => {
      const list = new MemberList(update(SELF, 1, 'alive'))
      for (const each of updates) list.apply(each, GOSSIP)
      for (const each of updates) expect(list.apply(each, GOSSIP)).toBeUndefined()
    })
    fc.assert(law)
  })

  it('agrees with another one after they swapped whole lists', () => {
    const law = fc.property(fc.array(anyHonestUpdate), fc.array(anyHonestUpdate), (left, right) => {
      const a = new MemberList(update(SELF, 1, 'alive'))
      const b = new MemberList(update(SELF, 1, 'alive'))
      for (const each of left) a.apply(each, GOSSIP)
      for (const each of right) b.apply(each, GOSSIP)
      for (const each of a.all()) b.apply(each, GOSSIP)
      for (const each of b.all()) a.apply(each, GOSSIP)
      expect(sorted(a)).toEqual(sorted(b))
    })
    fc.assert(law)
  })

  it('tells of every change, and only of changes', () => {
    const law = fc.property(fc.array(anyHonestUpdate), (updates) => {
      const list = new MemberList(update(SELF, 1, 'alive'))
      for (const each of updates) {
        const before = list.get(each.replica)
        const event = list.apply(each, GOSSIP)
        expect(event?.member).toEqual(event === undefined ? undefined : list.get(each.replica))
        expect(list.get(each.replica) === before).toBe(event === undefined)
      }
    })
    fc.assert(law)
  })

  it('holds no number against which its owner cannot speak (F27)', () => {
    const anyHearsay = fc.array(fc.tuple(anyNumber, anyState))
    const law = fc.property(anyNumber, anyHearsay, anyHearsay, (own, saidHere, saidThere) => {
      const subject = new MemberList(update(SUBJECT, own, 'alive'))
      const observer = new MemberList(update(SELF, 1, 'alive'))
      for (const [incarnation, state] of saidHere) subject.apply(update(SUBJECT, incarnation, state), GOSSIP)
      for (const [incarnation, state] of saidThere) observer.apply(update(SUBJECT, incarnation, state), GOSSIP)

      const accusation = observer.get(SUBJECT)
      if (accusation !== undefined) subject.apply(accusation, SELF)
      observer.apply(subject.self, SUBJECT)

      expect(observer.get(SUBJECT)).toEqual(subject.self)
      expect(observer.get(SUBJECT)?.state).toBe('alive')
    })
    fc.assert(law, { numRuns: 1_000 })
  })

  it.each([
    ['suspect', 'alive'],
    ['dead', 'suspect'],
    ['left', 'dead'],
  ] as const)('believes %s rather than %s of one incarnation', (worse, better) => {
    const list = listWith(update(SUBJECT, 3, better))
    expect(list.apply(update(SUBJECT, 3, worse), GOSSIP)?.kind).toBe(worse)
    expect(list.apply(update(SUBJECT, 3, better), GOSSIP)).toBeUndefined()
    expect(list.apply(update(SUBJECT, 4, better), GOSSIP)?.kind).toBe(better)
  })

  it('believes where a member lives only with a higher incarnation', () => {
    const list = listWith(update(SUBJECT, 3, 'alive'))
    expect(list.apply({ ...update(SUBJECT, 3, 'alive'), address: 'elsewhere' }, SUBJECT)).toBeUndefined()
    expect(list.apply({ ...update(SUBJECT, 4, 'alive'), address: 'elsewhere' }, GOSSIP)?.kind).toBe('change')
    expect(list.get(SUBJECT)?.address).toBe('elsewhere')
  })

  it('drops jumps by hearsay, and takes them in person, either way', () => {
    const far = update(SUBJECT, 1 + INCARNATION_STEP_MAX + 1, 'alive')
    const list = listWith(update(SUBJECT, 1, 'dead'))
    expect(list.apply(far, GOSSIP)).toBeUndefined()
    expect(list.apply(far, SUBJECT)?.kind).toBe('alive')
    expect(list.apply(update(SUBJECT, 1, 'dead'), GOSSIP)).toBeUndefined()
    expect(list.apply(update(SUBJECT, 1, 'alive'), SUBJECT)?.kind).toBe('change')
  })

  it('takes any number up to the limit at first contact', () => {
    expect(listWith(update(SUBJECT, INCARNATION_MAX, 'alive')).get(SUBJECT)).toBeDefined()
    expect(listWith(update(SUBJECT, INCARNATION_MAX + 1, 'alive')).get(SUBJECT)).toBeUndefined()
  })

  it('counts suspects among the living, and itself not', () => {
    const list = listWith(update(SUBJECT, 1, 'suspect'))
    list.apply(update(GOSSIP, 1, 'dead'), GOSSIP)
    expect(list.live().map(({ replica }) => replica)).toEqual([SUBJECT])
    expect(list.all().map(({ replica }) => replica)).toEqual([SELF, SUBJECT, GOSSIP])
  })

  it('forgets the evicted', () => {
    const list = listWith(update(SUBJECT, 9, 'dead'))
    list.forget(SUBJECT)
    expect(list.get(SUBJECT)).toBeUndefined()
    expect(list.apply(update(SUBJECT, 1, 'alive'), GOSSIP)?.kind).toBe('join')
  })
})

describe('what is said of oneself', () => {
  it.each(['suspect', 'dead', 'left'] as const)('is denied above the number of the accusation: %s', (state) => {
    const list = new MemberList(update(SELF, 2, 'alive'))
    expect(list.apply(update(SELF, 1, state), GOSSIP)).toBeUndefined()
    expect(list.apply(update(SELF, 7, state), GOSSIP)).toMatchObject({ kind: 'refute', member: { incarnation: 8 } })
    expect(list.self).toEqual(update(SELF, 8, 'alive'))
  })

  it('is outbid when it is a memory of a former life (F26)', () => {
    const list = new MemberList(update(SELF, 1, 'alive'))
    expect(list.apply(update(SELF, 1, 'alive'), GOSSIP)).toBeUndefined()
    list.apply({ ...update(SELF, 1, 'alive'), address: 'where we were' }, GOSSIP)
    expect(list.self.incarnation).toBe(2)
    list.apply(update(SELF, 9, 'alive'), GOSSIP)
    expect(list.self).toEqual(update(SELF, 10, 'alive'))
  })

  it('is no longer denied after leaving', () => {
    const list = new MemberList(update(SELF, 1, 'alive'))
    expect(list.leave()).toMatchObject({ kind: 'left', member: { state: 'left' } })
    expect(list.apply(update(SELF, 3, 'dead'), GOSSIP)).toBeUndefined()
  })

  it('begins anew when the own number is a bug', () => {
    expect(new MemberList(update(SELF, 2 ** 53 - 1, 'dead')).self).toEqual(update(SELF, 1, 'alive'))
  })
})

/** Owners change their address only with their number, so it follows from it. */
function update(replica: string, incarnation: number, state: MemberState): MemberUpdate {
  return {
    replica,
    name: replica.slice(0, 1),
    address: replica === SELF ? 'here' : `host-${incarnation}`,
    clientUrl: '',
    zone: '',
    version: '1',
    state,
    incarnation,
  }
}

function listWith(first: MemberUpdate): MemberList {
  const list = new MemberList(update(SELF, 1, 'alive'))
  list.apply(first, GOSSIP)
  return list
}

function listAfter(updates: readonly MemberUpdate[]): readonly MemberUpdate[] {
  const list = new MemberList(update(SELF, 1, 'alive'))
  for (const each of updates) list.apply(each, SELF)
  return sorted(list)
}

function sorted(list: MemberList): readonly MemberUpdate[] {
  return list.all().toSorted((a, b) => (a.replica < b.replica ? -1 : 1))
}

function shuffledTwice<Item>(items: fc.Arbitrary<Item[]>): fc.Arbitrary<[Item[], Item[]]> {
  return items.chain((array) => {
    const order = fc.shuffledSubarray(array, { minLength: array.length, maxLength: array.length })
    return fc.tuple(order, order)
  })
}
