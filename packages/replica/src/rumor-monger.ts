import type { Entry, Peer, ReplicaId } from '@grapevine/core'

/** Told once whether the peer holds the entry, or a newer one of its key, durably. */
export type Tell = (replica: ReplicaId, holds: boolean) => void

/** Spreads fresh entries. None of the variants guarantees anything: every promise rests on anti-entropy. */
export interface RumorMonger {
  /** Entries that are still being spread. */
  readonly hot: number
  readonly isPaused: boolean
  pause(): void
  resume(): void
  /** A peer says whether it takes rumors. One that does not cannot acknowledge, so `w` must not count on it. */
  notice(replica: ReplicaId, takesRumors: boolean): void
  /** Live owners other than this one that can acknowledge a write of this key. */
  listeners(of: Pick<Entry, 'keyHash'>): readonly Peer[]
  /** An own write. With `tell` it goes to every listener, and each of them is told of once. */
  ignite(entry: Entry, tell?: Tell): void
  /** News from somebody else, with what is left of its way. */
  relay(entry: Entry, hops: number): void
  /** What a peer that pulls rumors is given. */
  hotEntries(): readonly Entry[]
  /** Begins whatever goes in rounds: only members do, since a joiner takes from its sponsor alone. */
  start(): void
  stop(): void
}
