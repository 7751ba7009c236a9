import { bytesOf } from '../bytes/latin1.ts'
import type { Hash } from '../ports.ts'
import type { ReplicaId } from '../version/version.ts'
import type { Partition } from './partition.ts'

export interface PlacementMember {
  readonly replica: ReplicaId
  /** What fails together: a rack, a data centre. Members that name none share the empty zone. */
  readonly zone: string
  /** The share of partitions, relative to the others'. 1 by default; 0 owns only where nobody else is left. */
  readonly weight?: number
}

/** How many owners a partition has. */
export type ReplicationFactor = number | 'all'

/**
 * The owners of a partition, best first: weighted rendezvous hashing. Every member scores by itself, so whoever comes
 * takes partitions over and nothing moves among the others, and whoever goes leaves its own behind. While there are
 * zones without an owner, the best of these comes first; that keeps the movement as small.
 */
export function preferenceList(
  partition: Partition,
  members: readonly PlacementMember[],
  replicationFactor: ReplicationFactor,
  hash: Hash,
): ReplicaId[] {
  const ranked = members.map((member) => ({ ...member, score: scoreOf(member, partition, hash) })).toSorted(bestFirst)
  if (replicationFactor === 'all') return ranked.map(({ replica }) => replica)
  const zones = new Set<string>()
  const bestOfZone: ReplicaId[] = []
  const others: ReplicaId[] = []
  for (const { replica, zone } of ranked) {
    if (zones.has(zone)) others.push(replica)
    else bestOfZone.push(replica)
    zones.add(zone)
  }
  return [...bestOfZone, ...others].slice(0, replicationFactor)
}

/** −w / ln(u): the first place falls to each member with a probability proportional to its weight. */
function scoreOf({ replica, weight = 1 }: PlacementMember, partition: Partition, hash: Hash): number {
  return -weight / Math.log(uniform(hash.sha256(bytesOf(`${partition}/${replica}`))))
}

/** 48 bits of the digest as a number between 0 and 1, both exclusive. */
function uniform(digest: string): number {
  let bits = 0
  for (let index = 0; index < 6; index++) bits = bits * 256 + digest.charCodeAt(index)
  return (bits + 0.5) / 2 ** 48
}

interface Ranked {
  readonly replica: ReplicaId
  readonly score: number
}

function bestFirst(a: Ranked, b: Ranked): number {
  return b.score - a.score || (a.replica < b.replica ? -1 : 1)
}
