import type { ReplicaId } from '../version/version.ts'

/** What is thought of a member. `left` stopped on purpose and is still a member. */
export type MemberState = 'alive' | 'suspect' | 'dead' | 'left'

/** Whether it may still be there. Of whom nobody has heard nothing speaks for that. */
export function isLive(state: MemberState | undefined): boolean {
  return state === 'alive' || state === 'suspect'
}

/** One replica's view of a member, as it is gossiped. */
export interface MemberUpdate {
  readonly replica: ReplicaId
  readonly name: string
  /** `host:port` of the peer port. */
  readonly address: string
  /** Base URL of the client port. */
  readonly clientUrl: string
  readonly zone: string
  /** Version of the software. */
  readonly version: string
  readonly state: MemberState
  /** Raised by its owner alone, to refute what is said of it. */
  readonly incarnation: number
}
