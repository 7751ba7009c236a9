import type { ReplicaId } from '../version/version.ts'

/** Who was ever introduced (K) and who was fenced (E). Both only grow; members are K − E (frontier.md). */
export interface Roster {
  /** Ascending. */
  readonly known: readonly ReplicaId[]
  /** Ascending. */
  readonly evicted: readonly ReplicaId[]
}

export const EMPTY_ROSTER: Roster = { known: [], evicted: [] }

export type Standing = 'member' | 'evicted' | 'stranger'

export function standingOf({ known, evicted }: Roster, replica: ReplicaId): Standing {
  if (evicted.includes(replica)) return 'evicted'
  return known.includes(replica) ? 'member' : 'stranger'
}

export function membersOf({ known, evicted }: Roster): ReplicaId[] {
  return known.filter((replica) => !evicted.includes(replica))
}

export function introduce(roster: Roster, replica: ReplicaId): Roster {
  return mergeRosters(roster, { known: [replica], evicted: [] })
}

export function evict(roster: Roster, replica: ReplicaId): Roster {
  return mergeRosters(roster, { known: [], evicted: [replica] })
}

/** The union. Returns the first roster itself when the second adds nothing. */
export function mergeRosters(a: Roster, b: Roster): Roster {
  const known = union(a.known, b.known)
  const evicted = union(a.evicted, b.evicted)
  return known === a.known && evicted === a.evicted ? a : { known, evicted }
}

export function rosterText({ known, evicted }: Roster): string {
  return `${known.join(',')};${evicted.join(',')}`
}

function union(a: readonly ReplicaId[], b: readonly ReplicaId[]): readonly ReplicaId[] {
  const added = b.filter((replica) => !a.includes(replica))
  return added.length === 0 ? a : [...new Set([...a, ...added])].toSorted()
}
