import { compareHlc, type Hlc } from '../clock/hlc.ts'
import type { Roster } from '../membership/roster.ts'
import { VersionVector } from '../vector/version-vector.ts'
import type { ReplicaId, WriterId } from '../version/version.ts'

/** What a replica tells of itself, all of it from one moment between two of its batches (frontier.md R2). */
export interface Publication {
  readonly replica: ReplicaId
  /** K and E. Whoever receives a publication has merged them into its own before it counts (R9). */
  readonly roster: Roster
  /** H: nothing that this replica brings in from now on has an hlc at or below it. */
  readonly promise: Hlc
  /** V, a vector for each partition. */
  readonly vectors: readonly VersionVector[]
  /** Writers of which every member covers every dot: they are not in the vectors any more. */
  readonly folded: ReadonlySet<WriterId>
  /** Earlier runs of this replica: they issue no more dots, so what it covers of them is all there is. */
  readonly closed: readonly WriterId[]
}

/** Whether a publication covers all that these vectors do, whatever either side has folded by now. */
export function covers(
  { vectors, folded }: Pick<Publication, 'vectors' | 'folded'>,
  needed: readonly VersionVector[],
): boolean {
  return needed.every((vector, partition) => vectors[partition]?.containsAll(vector, folded) ?? vector.isEmpty)
}

/** How many dots these vectors cover and a publication does not. */
export function lackedBy(
  { vectors, folded }: Pick<Publication, 'vectors' | 'folded'>,
  needed: readonly VersionVector[],
): number {
  const nothing = new VersionVector()
  return needed.reduce((sum, vector, partition) => sum + (vectors[partition] ?? nothing).lacks(vector, folded), 0)
}

/**
 * Whether a replica shows less than it has shown before: then its directory was rolled back, and it is no replica any
 * more (R16). What was folded meanwhile counts as shown.
 */
export function isRolledBack(before: Publication, now: Publication): boolean {
  return compareHlc(now.promise, before.promise) < 0 || !covers(now, before.vectors)
}
