import {
  evict,
  introduce,
  MEMBERS_MAX,
  RefusalError,
  type Answer,
  type Question,
  type ReplicaId,
} from '@grapevine/core'
import type { ChangeMembership } from './membership-change.ts'
import type { FailureDetector } from './membership/failure-detector.ts'
import type { ReplicaState } from './replica-state.ts'

export interface SponsorContext {
  readonly state: () => ReplicaState
  readonly detector: FailureDetector
  readonly changeMembership: ChangeMembership
  /** Tells every live member the new roster, so that the joiner may soon write. */
  readonly publishToAll: () => void
}

/**
 * Lets a node in (frontier.md R13): it is stored in K before the first byte goes to it, and whom it replaces is
 * evicted by the same commit.
 * @throws {RefusalError}
 */
export async function sponsor(
  { joiner, rebuild }: Question<'join'>,
  { state, detector, changeMembership, publishToAll }: SponsorContext,
): Promise<Answer<'join'>> {
  const { identity } = state()
  if (identity?.stage !== 'member') throw new RefusalError('not-bootstrapped', 'this node is joining itself')
  const members = state().members()
  if (members.length >= MEMBERS_MAX) throw new RefusalError('busy', `a cluster has at most ${MEMBERS_MAX} members`)
  const replaced = replacedMember(joiner.name, rebuild, state(), detector)
  await changeMembership(({ roster, peers }) => {
    const without = replaced === undefined ? roster : evict(roster, replaced)
    const { replica, name, address, clientUrl } = joiner
    return {
      roster: introduce(without, replica),
      peers: [...peers.filter((peer) => peer.replica !== replaced), { replica, name, address, clientUrl }],
    }
  })
  detector.rosterChanged()
  detector.learn([joiner])
  publishToAll()
  return {
    cluster: identity.cluster,
    sponsor: identity.replica,
    roster: state().roster,
    clock: state().clock.now,
    members: detector.updates(),
  }
}

/** Whose place the joiner takes, or undefined when it takes nobody's. */
function replacedMember(
  name: string,
  rebuild: boolean,
  state: ReplicaState,
  detector: FailureDetector,
): ReplicaId | undefined {
  const members = new Set(state.members())
  const byName = state.peers.find((peer) => peer.name === name && members.has(peer.replica))?.replica
  const bearer = state.identity?.name === name ? state.identity.replica : byName
  if (bearer === undefined) return undefined
  if (bearer === state.identity?.replica)
    throw new RefusalError('name-taken', `the name ${name} is that of the node that was asked`)
  if (detector.member(bearer)?.state === 'alive')
    throw new RefusalError('name-taken', `a live node is called ${name}: give this one another --name`)
  if (!rebuild)
    throw new RefusalError(
      'name-taken',
      `${name} is a member whose data directory this is not. If its data is lost, start it with --rebuild: it joins ` +
        `anew and fetches everything from the others. If the directory is elsewhere, point --data-dir to it.`,
    )
  return bearer
}
