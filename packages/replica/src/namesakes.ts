import type { MemberState, MemberUpdate, ReplicaId } from '@grapevine/core'

/** Whoever is in one of these states may still be there. */
const LIVE: ReadonlySet<MemberState> = new Set(['alive', 'suspect'])

/**
 * Other members that bear the name of this one, and are not there. A node that was told to replace the member of its name
 * replaces all of them (frontier.md R13): its sponsor evicts those that it knows, and may have been cut off from whoever knew
 * more. What nobody evicts would hold the frontier back for ever.
 */
export function lostNamesakes(
  self: Pick<MemberUpdate, 'replica' | 'name'>,
  members: readonly Pick<MemberUpdate, 'replica' | 'name' | 'state'>[],
): readonly ReplicaId[] {
  return members
    .filter(({ replica, name, state }) => replica !== self.replica && name === self.name && !LIVE.has(state))
    .map(({ replica }) => replica)
}
