import { isLive, type MemberUpdate, type ReplicaId } from '@grapevine/core'

/** Whose place a node takes, besides what its sponsor knew of. */
export interface Succession {
  /** What it was before, by what it noted of itself. */
  readonly former: readonly ReplicaId[]
  /** Told to replace all members of its name. */
  readonly rebuild: boolean
}

/**
 * Members that are not there, and whose place this node has taken (frontier.md R13, R15): its sponsor evicts those that it
 * knows, and may have been cut off from whoever knew more. What nobody evicts would hold the frontier back for ever.
 * @param members by the roster; with name and state when the failure detector has heard of them.
 */
export function lostPredecessors(
  self: Pick<MemberUpdate, 'replica' | 'name'>,
  { former, rebuild }: Succession,
  members: readonly (Pick<MemberUpdate, 'replica'> & Partial<Pick<MemberUpdate, 'name' | 'state'>>)[],
): readonly ReplicaId[] {
  return members
    .filter(({ replica, state }) => replica !== self.replica && !isLive(state))
    .filter(({ replica, name }) => former.includes(replica) || (rebuild && name === self.name))
    .map(({ replica }) => replica)
}
