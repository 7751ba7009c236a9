import { evict, RefusalError, standingOf, type ReplicaId } from '@grapevine/core'
import type { ChangeMembership } from './membership-change.ts'
import type { FailureDetector } from './membership/failure-detector.ts'
import type { ReplicaState } from './replica-state.ts'

export interface EvictContext {
  readonly state: () => ReplicaState
  readonly detector: Pick<FailureDetector, 'rosterChanged'>
  readonly changeMembership: ChangeMembership
  /** Tells every live member the new roster: until they have it they still listen to the evicted one. */
  readonly publishToAll: () => void
}

/**
 * Ends the membership of another replica for good (frontier.md R15). The mark is durable before it has an effect. What only
 * the evicted one holds is lost to the cluster.
 * @returns `false` when it was evicted before.
 * @throws {RefusalError} for oneself, a stranger, and while this node is no member itself.
 */
export async function evictMember(
  replica: ReplicaId,
  { state, detector, changeMembership, publishToAll }: EvictContext,
): Promise<boolean> {
  const { identity, roster: before } = state()
  if (identity?.stage !== 'member') throw new RefusalError('not-bootstrapped', 'this node is joining itself')
  if (replica === identity.replica) throw new RefusalError('wrong-replica', 'a node does not evict itself')
  if (standingOf(before, replica) === 'stranger')
    throw new RefusalError('wrong-replica', `${replica} is no member of this cluster`)
  const isNew = standingOf(before, replica) === 'member'
  if (isNew) await changeMembership(({ roster }) => ({ roster: evict(roster, replica) }))
  detector.rosterChanged()
  publishToAll()
  return isNew
}
