import {
  evict,
  introduce,
  isLive,
  MEMBERS_MAX,
  membersOf,
  RefusalError,
  standingOf,
  type Answer,
  type Identity,
  type KnownPeer,
  type Question,
  type ReplicaId,
  type Roster,
} from '@grapevine/core'
import type { ChangeMembership } from './membership-change.ts'
import type { FailureDetector } from './membership/failure-detector.ts'
import type { ReplicaState } from './replica-state.ts'

export interface SponsorContext {
  readonly state: () => ReplicaState
  readonly detector: FailureDetector
  /** Whether the others know this node, who would otherwise not listen to what it says of a joiner. */
  readonly mayIntroduce: () => boolean
  readonly changeMembership: ChangeMembership
  /** Tells every live member the new roster, so that the joiner may soon write. */
  readonly publishToAll: () => void
  /** Who lives at an address now. */
  readonly hello: (address: string) => Promise<Answer<'hello'> | 'stranger' | undefined>
}

/**
 * Lets a node in (frontier.md R13): it is stored in K before the first byte goes to it, and whom it replaces is
 * evicted by the same commit.
 * @throws {RefusalError}
 */
export async function sponsor(question: Question<'join'>, context: SponsorContext): Promise<Answer<'join'>> {
  const { joiner } = question
  const { state, detector, mayIntroduce, changeMembership, publishToAll } = context
  const { identity } = state()
  if (identity?.stage !== 'member') throw new RefusalError('not-bootstrapped', 'this node is joining itself')
  for (const replica of question.former) await refuseTwin(replica, identity, context)
  // Judged by what holds when its turn comes: two joiners of one name must not both pass.
  await changeMembership(({ roster, peers }) => {
    if (membersOf(roster).length >= MEMBERS_MAX)
      throw new RefusalError('busy', `a cluster has at most ${MEMBERS_MAX} members`)
    const replaced = replacedMembers(question, { identity, roster, peers, detector })
    if (!mayIntroduce()) throw new RefusalError('busy', 'there are members that do not know this node yet')
    const without = replaced.reduce(evict, roster)
    const { replica, name, address, clientUrl } = joiner
    const others = peers.filter((peer) => !replaced.includes(peer.replica) && peer.replica !== replica)
    return { roster: introduce(without, replica), peers: [...others, { replica, name, address, clientUrl }] }
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

/**
 * An id that a joiner has given up must not live in another process: then one of the two directories is a copy, and whoever
 * comes first would end the other. What answers at its addresses decides; the joiner itself may live there by
 * now. Where nobody answers the failure detector is believed.
 */
async function refuseTwin(
  replica: ReplicaId,
  identity: Identity,
  { state, detector, hello }: SponsorContext,
): Promise<void> {
  const { roster, peers } = state()
  if (replica !== identity.replica && standingOf(roster, replica) !== 'member') return
  const known = detector.member(replica)
  const addresses = [known, ...peers.filter((peer) => peer.replica === replica)].flatMap((peer) => peer?.address ?? [])
  const answers = await Promise.all([...new Set(addresses)].map(hello))
  const isSilent = !answers.some((answer) => answer !== undefined && answer !== 'stranger')
  const lives =
    replica === identity.replica ||
    answers.some((answer) => typeof answer === 'object' && answer.replica === replica) ||
    (isSilent && isLive(known?.state))
  if (lives)
    throw new RefusalError(
      'busy',
      `${replica}, which this node was before, lives in another process: a copy of its data directory was started. Stop one of the two`,
    )
}

interface Present {
  readonly identity: Identity
  readonly roster: Roster
  readonly peers: readonly KnownPeer[]
  readonly detector: FailureDetector
}

/**
 * Whose place the joiner takes: who it was before, and all that bear its name, of whom one at most is more than a name by now.
 * Names are no part of the roster, so whoever is known from disk or from the failure detector counts: a forgotten one would
 * stay a member for ever.
 */
function replacedMembers(
  { joiner: { name, replica }, rebuild, former }: Question<'join'>,
  { identity, roster, peers, detector }: Present,
): readonly ReplicaId[] {
  if (identity.name === name)
    throw new RefusalError('name-taken', `the name ${name} is that of the node that was asked`)
  const isMember = (id: ReplicaId): boolean => id !== replica && standingOf(roster, id) === 'member'
  const givenUp = former.filter(isMember)
  const namesakes = [...peers, ...detector.updates()].filter((member) => member.name === name)
  // It may ask again because the answer to its first question was lost; it has got nothing yet.
  const bearers = [...new Set(namesakes.map((member) => member.replica))].filter(
    (id) => isMember(id) && !former.includes(id),
  )
  if (bearers.some((id) => isLive(detector.member(id)?.state)))
    throw new RefusalError('name-taken', `a live node is called ${name}: give this one another --name`)
  if (bearers.length > 0 && !rebuild)
    throw new RefusalError(
      'name-taken',
      `${name} is a member whose data directory this is not. If its data is lost, start it with --rebuild: it joins ` +
        `anew and fetches everything from the others. If the directory is elsewhere, point --data-dir to it.`,
    )
  return [...givenUp, ...bearers]
}
