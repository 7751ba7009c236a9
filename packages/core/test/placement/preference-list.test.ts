import * as fc from 'fast-check'
import { hash as nodeHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { PARTITIONS, preferenceList, type Hash, type PlacementMember, type ReplicaId } from '../../src/index.ts'

const sha256: Hash = { sha256: (bytes) => nodeHash('sha256', bytes, 'binary') }

const anyMember = fc.record({
  replica: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((id) => id.toString(16).padStart(16, '0')),
  zone: fc.constantFrom('', 'north', 'south', 'west'),
  weight: fc.double({ min: 0.1, max: 10, noNaN: true }),
})
const anyMembers = fc.uniqueArray(anyMember, { selector: ({ replica }) => replica, minLength: 1, maxLength: 12 })
const anyPartition = fc.nat(PARTITIONS - 1)
const anyFactor = fc.integer({ min: 1, max: 5 })

describe('the preference list', () => {
  it('does not depend on the order of the members', () => {
    const law = fc.property(anyPartition, anyMembers, anyFactor, (partition, members, factor) => {
      const list = preferenceList(partition, members, factor, sha256)
      expect(preferenceList(partition, members.toReversed(), factor, sha256)).toEqual(list)
    })
    fc.assert(law)
  })

  it('names as many different members as it should and there are', () => {
    const law = fc.property(anyPartition, anyMembers, anyFactor, (partition, members, factor) => {
      const list = preferenceList(partition, members, factor, sha256)
      expect(new Set(list).size).toBe(Math.min(factor, members.length))
      expect(preferenceList(partition, members, 'all', sha256).toSorted()).toEqual(idsOf(members).toSorted())
    })
    fc.assert(law)
  })

  it('moves partitions to a newcomer only, and orders the others as before', () => {
    const law = fc.property(anyPartition, anyMembers, anyFactor, (partition, members, factor) => {
      const [newcomer, ...former] = members
      const before = preferenceList(partition, former, factor, sha256)
      const after = preferenceList(partition, members, factor, sha256)
      const kept = after.filter((replica) => replica !== newcomer?.replica)
      expect(before).toEqual(expect.arrayContaining(kept))
      const ranking = preferenceList(partition, former, 'all', sha256)
      const grown = preferenceList(partition, members, 'all', sha256)
      expect(grown.filter((replica) => replica !== newcomer?.replica)).toEqual(ranking)
    })
    fc.assert(law)
  })

  it('uses every zone before it uses one twice', () => {
    const law = fc.property(anyPartition, anyMembers, anyFactor, (partition, members, factor) => {
      const zoneOf = new Map(members.map(({ replica, zone }) => [replica, zone]))
      const used = preferenceList(partition, members, factor, sha256).map((replica) => zoneOf.get(replica))
      const zones = new Set(zoneOf.values()).size
      expect(new Set(used.slice(0, zones)).size).toBe(Math.min(zones, used.length))
    })
    fc.assert(law)
  })

  it('gives each member a share proportional to its weight', () => {
    const weights = [1, 1, 2, 4]
    const members = weights.map((weight, index) => ({ replica: `0000000000000a0${index}`, zone: '', weight }))
    // More than there are partitions: the law is about the hash, and chance is smaller in a larger sample.
    const partitions = 8_000
    const owned = new Map<ReplicaId, number>()
    for (let partition = 0; partition < partitions; partition++) {
      const [owner = ''] = preferenceList(partition, members, 1, sha256)
      owned.set(owner, (owned.get(owner) ?? 0) + 1)
    }
    for (const { replica, weight } of members) {
      const share = (owned.get(replica) ?? 0) / partitions
      expect(share).toBeGreaterThan((weight / 8) * 0.9)
      expect(share).toBeLessThan((weight / 8) * 1.1)
    }
  })

  it('takes a member of weight 0 only where nobody else is left', () => {
    const members = [
      { replica: '0000000000000001', zone: '', weight: 0 },
      { replica: '0000000000000002', zone: '' },
    ]
    for (let partition = 0; partition < PARTITIONS; partition++)
      expect(preferenceList(partition, members, 2, sha256)).toEqual(['0000000000000002', '0000000000000001'])
  })

  it('is fixed: a node of another build must place as this one', () => {
    const members = ['1111', '2222', '3333'].map((id) => ({ replica: id.repeat(4), zone: '' }))
    const owners = [0, 1, 2, 127, 255].map((partition) => preferenceList(partition, members, 1, sha256)[0]?.[0])
    expect(owners.join('')).toMatchInlineSnapshot(`"12231"`)
  })
})

function idsOf(members: readonly PlacementMember[]): ReplicaId[] {
  return members.map(({ replica }) => replica)
}
