import type { Identity, ReplicaReport } from '@grapevine/core'
import type { MemberParts } from './member-parts.ts'
import type { OwnParts } from './own-parts.ts'
import type { MemberView, Pausable, ReplicaStatus } from './replica.ts'

/** Before it has joined, a replica is nobody. */
export const NOBODY: Identity = { cluster: '', replica: '', name: '', stage: 'joining', sponsor: '', incarnation: 0 }

export interface StatusContext {
  readonly own: OwnParts
  readonly member: MemberParts | undefined
  readonly name: string
  readonly paused: ReadonlySet<Pausable>
  readonly isAlone: boolean
  readonly members: readonly MemberView[]
}

/** What a replica says of itself to its server. */
export function statusOf(context: StatusContext): ReplicaStatus {
  const { own, member, paused, isAlone, members } = context
  const { committer, disk, exchanges, feed, intake, mender, readiness, suspects } = own
  const { identity, frontier, rebuilds } = committer.state
  const reason = readiness.problem
  return {
    identity: identity ?? NOBODY,
    ready: reason === undefined,
    ...(reason !== undefined && { reason }),
    joined: member !== undefined && (member.hasContact() || isAlone),
    report: reportOf(context),
    membersByState: member?.detector.countsByState() ?? { alive: 0, suspect: 0, dead: 0, left: 0 },
    localHealth: member?.detector.localHealth ?? 0,
    parked: intake.parked,
    parkedFrom: Object.fromEntries(
      [...intake.parkedFrom()].map(([replica, count]) => [member?.detector.member(replica)?.name ?? replica, count]),
    ),
    skewsMs: Object.fromEntries(
      members.flatMap(({ name, state, skew }) =>
        skew !== undefined && (state === 'alive' || state === 'suspect') ? [[name, skew.skewMs]] : [],
      ),
    ),
    writeQueue: committer.queueLength,
    suspectLeaves: suspects.leaves.length,
    undecided: mender.undecided,
    disk: { isReadOnly: disk.isReadOnly, freeBytes: disk.freeBytes, reserveBytes: disk.reserveBytes },
    rebuilds,
    paused: [...paused],
    divergentPartitions: exchanges.divergentPartitions,
    frontier,
    oldestTombstoneMs: member?.tombstones.oldestMs,
    frontierLagsMs: frontierLagsMs(members, member),
    tombstonesPileUp: member?.tombstones.isPilingUp ?? false,
    watchers: feed.watchers,
  }
}

/** What it says of itself to other replicas. */
export function reportOf({ own, member, name }: Pick<StatusContext, 'own' | 'member' | 'name'>): ReplicaReport {
  const { tree, totals } = own.committer.state
  return {
    name,
    // Hashed first, if need be, and so only for those who look at it.
    get root() {
      return tree.root()
    },
    totals,
    hotRumors: member?.rumors.hot ?? 0,
    lastExchangeMs: own.exchanges.sinceLastMs,
    ready: own.readiness.problem === undefined,
  }
}

function frontierLagsMs(
  members: readonly MemberView[],
  member: MemberParts | undefined,
): Readonly<Record<string, number>> {
  const waitsMs = member?.tombstones.waitsMs()
  const here = members.filter(({ state }) => state !== 'evicted')
  return Object.fromEntries(here.map(({ name, replica }) => [name, waitsMs?.get(replica) ?? 0]))
}
