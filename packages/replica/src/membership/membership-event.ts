import type { MemberChange, MemberEvent, MemberUpdate, MemberValue } from '@grapevine/core'

/** What became of a member, as this replica sees it. */
export interface MembershipEvent {
  readonly kind: 'join' | 'alive' | 'suspect' | 'dead' | 'leave' | 'change'
  readonly member: Omit<MemberUpdate, 'state'> & { readonly state: MemberUpdate['state'] | 'evicted' }
  /** Of a `change`: what it says of itself now. Without one it lives elsewhere, or runs another version. */
  readonly value?: MemberValue
}

const KINDS: Readonly<Record<MemberChange, MembershipEvent['kind'] | undefined>> = {
  join: 'join',
  alive: 'alive',
  suspect: 'suspect',
  dead: 'dead',
  left: 'leave',
  change: 'change',
  // Nothing that anybody could see has changed.
  refresh: undefined,
  refute: undefined,
}

/** What is told of it outside. */
export function membershipEventOf({ kind, member }: MemberEvent): MembershipEvent | undefined {
  const told = KINDS[kind]
  return told && { kind: told, member }
}
