import { compareHlc, laterHlc, type Hlc } from '../clock/hlc.ts'
import { membersOf, type Roster } from '../membership/roster.ts'
import type { FrontierGrounds } from '../ports.ts'
import { VersionVector } from '../vector/version-vector.ts'
import type { ReplicaId } from '../version/version.ts'
import { covers, type Publication } from './publication.ts'

// The argument for these rules is in FRONTIER.md beside this file.

/** What round one has found and round two is to see covered (R9). */
export interface Barrier {
  /** h: the least promise of all members. */
  readonly promise: Hlc
  /** U: what any member had covered then, a vector for each partition. */
  readonly union: readonly VersionVector[]
  /** Who was evicted by then. What only they had is in U, and will never reach the others. */
  readonly evicted: readonly ReplicaId[]
}

/**
 * Why the frontier waits for a member: it has not published since this replica started, or not since it was told of
 * an eviction that this replica knows of, or it does not cover yet what somebody had covered in round one.
 */
export interface Hold {
  readonly replica: ReplicaId
  readonly reason: 'silent' | 'unaware-of-eviction' | 'lacks-entries'
}

export interface FrontierView {
  /** K and E of this replica. */
  readonly roster: Roster
  /** F, so far. */
  readonly frontier: Hlc
  readonly barrier: Barrier | undefined
  /** The latest publication of each replica, this one's among them. */
  readonly publications: ReadonlyMap<ReplicaId, Publication>
}

export interface FrontierStep {
  readonly frontier: Hlc
  /** The round that all have covered by now, and that gave the frontier its height. */
  readonly reached?: Barrier
  readonly barrier: Barrier | undefined
  readonly holds: readonly Hold[]
}

/**
 * Rule R9: h and U from the latest publications of all members; once the latest publications of all cover U, the
 * frontier is h. With equal vectors the same publications serve both rounds. A barrier stays until it is reached, however
 * much is written meanwhile; a member that joined after it takes part in the second round. An eviction begins it anew: U may
 * hold what nobody but the evicted had, and then the members that are left would wait for ever.
 */
export function advanceFrontier(view: FrontierView): FrontierStep {
  const { roster, frontier, publications } = view
  const barrier = view.barrier?.evicted.length === roster.evicted.length ? view.barrier : undefined
  const { counting, holds } = countingPublications(roster, publications)
  if (holds.length > 0) return { frontier, barrier, holds }
  if (barrier !== undefined) {
    const behind = lacking(barrier, counting)
    if (behind.length > 0) return { frontier, barrier, holds: behind }
  }
  const reached = laterHlc(frontier, barrier?.promise ?? frontier)
  const next = barrierOf(counting, roster.evicted)
  // Nobody has anything that any other lacks: the second round says what the first one said.
  const behind = lacking(next, counting)
  if (behind.length === 0)
    return { frontier: laterHlc(reached, next.promise), reached: next, barrier: undefined, holds: [] }
  return { frontier: reached, ...(barrier !== undefined && { reached: barrier }), barrier: next, holds: behind }
}

/** The grounds of a frontier that another member has reached: members give each other theirs freely (R11). */
export function takenOver(frontier: Hlc, takenFrom: ReplicaId, atMs: number): FrontierGrounds {
  return { frontier, atMs: Math.round(atMs), takenFrom, promises: [], evicted: [] }
}

/** The publications of all members that count: the sender has to know of every eviction that is known here (R9, R15). */
function countingPublications(
  roster: Roster,
  publications: FrontierView['publications'],
): { counting: readonly Publication[]; holds: readonly Hold[] } {
  const counting: Publication[] = []
  const holds: Hold[] = []
  for (const replica of membersOf(roster)) {
    const publication = publications.get(replica)
    if (publication === undefined) holds.push({ replica, reason: 'silent' })
    else if (!roster.evicted.every((evicted) => publication.roster.evicted.includes(evicted)))
      holds.push({ replica, reason: 'unaware-of-eviction' })
    else counting.push(publication)
  }
  return { counting, holds }
}

function barrierOf(publications: readonly Publication[], evicted: readonly ReplicaId[]): Barrier {
  const union = unionOf(publications)
  const promise = publications
    .map((publication) => publication.promise)
    .reduce((least, each) => (compareHlc(each, least) < 0 ? each : least))
  return { promise, union, evicted }
}

/** What any of them covers, a vector for each partition. */
export function unionOf(publications: readonly Publication[]): readonly VersionVector[] {
  const partitions = Math.max(0, ...publications.map(({ vectors }) => vectors.length))
  const union = Array.from({ length: partitions }, () => new VersionVector())
  for (const { vectors } of publications)
    for (const [partition, vector] of vectors.entries()) union[partition]?.adopt(vector.rows())
  return union
}

function lacking({ union }: Barrier, publications: readonly Publication[]): Hold[] {
  return publications
    .filter((publication) => !covers(publication, union))
    .map(({ replica }) => ({ replica, reason: 'lacks-entries' }))
}
