import { membersOf, type Roster } from '../membership/roster.ts'
import type { VersionVector } from '../vector/version-vector.ts'
import type { ReplicaId, WriterId } from '../version/version.ts'
import type { Publication } from './publication.ts'

/**
 * The closed writers that can be folded: every member covers all that the replica whose writers they were covers of them,
 * and nothing beyond it, and they issue no more. Who covers more of a writer than the replica whose writer it was shows that
 * this one was rolled back (R16). From then on all their dots count as covered, and only the id is kept. Without it each
 * restart of a node would make every vector longer for ever.
 */
export function foldableWriters(
  roster: Roster,
  publications: ReadonlyMap<ReplicaId, Publication>,
  folded: ReadonlySet<WriterId>,
): readonly WriterId[] {
  const members = membersOf(roster).map((replica) => publications.get(replica))
  const all = members.filter((publication) => publication !== undefined)
  // A member that has not been heard may lack some of the dots; those who do not know it are not asked.
  if (all.length < members.length) return []
  return all.flatMap(({ closed, vectors }) =>
    closed.filter(
      (writer) =>
        !folded.has(writer) &&
        all.every(
          (member) =>
            member.folded.has(writer) ||
            vectors.every((vector, partition) => isSameOf(writer, vector, member.vectors[partition])),
        ),
    ),
  )
}

/** Whether two vectors cover the same of a writer. */
function isSameOf(writer: WriterId, one: VersionVector, other: VersionVector | undefined): boolean {
  if (other === undefined) return !one.knows(writer)
  return other.containsWriter(writer, one) && one.containsWriter(writer, other)
}
