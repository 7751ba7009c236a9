import { EAGER_PUSH_REPLICAS_MAX } from '../limits.ts'
import type { Random } from '../ports.ts'
import { sample } from '../membership/sample.ts'
import type { ReplicaId } from '../version/version.ts'

/** Peers that a large cluster's member tells, once, of what it has just heard. */
const FANOUT = 4

export interface RumorPlan {
  readonly targets: readonly ReplicaId[]
  /** How many more times each of them may pass the rumor on. */
  readonly hops: number
}

export interface RumorSituation {
  /** Live members other than this one. */
  readonly live: readonly ReplicaId[]
  /** What is left of the rumor's way, or undefined for an own write. */
  readonly hops: number | undefined
  readonly random: Random
}

/**
 * Whom a fresh entry goes to. Up to 16 live replicas: to all, by its coordinator alone, which costs one payload each
 * and one hop. Above: to 4 at random on first receipt, with a hop limit; pulls reach the rest. What that takes is
 * measured in docs/gossip.md.
 */
export function rumorTargets({ live, hops, random }: RumorSituation): RumorPlan {
  const reach = rumorReach(live.length, hops)
  return { targets: reach.peers < live.length ? sample(live, reach.peers, random) : live, hops: reach.hops }
}

export interface RumorReach {
  /** How many peers are told. */
  readonly peers: number
  /** How many more times each of them may pass the rumor on. */
  readonly hops: number
}

/** How far a fresh entry goes, whoever the peers are: {@link rumorTargets} without names. */
export function rumorReach(live: number, hops: number | undefined): RumorReach {
  if (live <= EAGER_PUSH_REPLICAS_MAX) return { peers: hops === undefined ? live : 0, hops: 0 }
  const left = hops ?? hopLimit(live + 1)
  return left === 0 ? { peers: 0, hops: 0 } : { peers: FANOUT, hops: left - 1 }
}

/**
 * How often a fresh entry is passed on with its payload: log4(n / log2 n), rounded down. So the last pushes are no more
 * than one for each log2 n replicas, and nearly all of them find somebody who lacks it. One hop more would save a
 * round and cost payloads for nothing: 7 % at 26,000 replicas, 2 % at a million.
 */
export function hopLimit(replicas: number): number {
  return Math.max(1, Math.floor(Math.log(replicas / Math.log2(replicas)) / Math.log(FANOUT)))
}

/** How long fresh news keeps the pull quick. The last replica hears within a few pulls of the first. */
export const HOT_MS = 200
const HOT_PULL_MS = 10

export interface PullSituation {
  readonly liveReplicas: number
  /** Since something new came by rumor or pull. */
  readonly sinceNewsMs: number
}

/**
 * How long to wait before the next pull. Where everybody is told directly, a pull only finds what was lost, so the
 * idle pace will do; in a larger cluster it is what carries a rumor to the end, and is quick while anything is hot, or
 * when somebody is to be pulled from.
 */
export function pullDelayMs(
  situation: PullSituation & { readonly idleMs: number; /** See {@link pullsBack}. */ readonly hasCaller: boolean },
): number {
  const { idleMs, hasCaller } = situation
  const isQuick = isCarriedByPull(situation) && (isHot(situation) || hasCaller)
  return isQuick ? Math.min(HOT_PULL_MS, idleMs) : idleMs
}

/**
 * How many peers a replica compares vectors with at once when news ends a quiet time. Those who are told know, so their
 * quick pulls find nothing; those who are not told are quiet and pull once a second. A comparison is 16 bytes, and
 * shows the other side too that it may be behind. With ln n + 2 from everybody who hears, one replica
 * in 7 n is found by nobody (Erdős and Rényi 1959), and it is left to the quick pulls that follow.
 */
export function peersToWake(situation: PullSituation): number {
  if (!isCarriedByPull(situation) || isHot(situation)) return 0
  return Math.ceil(Math.log(situation.liveReplicas + 1)) + 2
}

/**
 * Whether a replica that was asked with a vector unlike its own pulls from the one who asked, until that one has
 * answered. Not while it is hot: it pulls all the time then, and chance finds more than going back to those that were
 * just compared with. Nor when it has itself asked that one a moment ago: two whose vectors stay unlike, since one
 * of them cannot read a row, would ask each other for ever.
 */
export function pullsBack(situation: PullSituation & { readonly sinceAskedMs: number }): boolean {
  return isCarriedByPull(situation) && !isHot(situation) && situation.sinceAskedMs > HOT_MS
}

function isCarriedByPull({ liveReplicas }: { readonly liveReplicas: number }): boolean {
  return liveReplicas > EAGER_PUSH_REPLICAS_MAX
}

function isHot({ sinceNewsMs }: { readonly sinceNewsMs: number }): boolean {
  return sinceNewsMs < HOT_MS
}
