import type {
  Clock,
  DiskSpace,
  Hash,
  Log,
  Measures,
  MemberUpdate,
  Random,
  ReplicaId,
  Store,
  Timers,
  Transport,
} from '@grapevine/core'
import type { SnapshotSource } from './adopt-snapshot.ts'
import type { ScrubProgress } from './scrubber.ts'
import type { ReplicaSettings } from './settings.ts'

export interface ReplicaOptions {
  readonly store: Store
  readonly transport: Transport
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly hash: Hash
  readonly log: Log
  readonly measures: Measures
  readonly settings: ReplicaSettings
  /** Where nobody can tell how much space is left, only a failed write says that there is none. */
  readonly disk?: DiskSpace
  /** Where the scrub was when this node was last up; else it begins anew. */
  readonly scrubProgress?: ScrubProgress
  /** Where and what this node is; its id and incarnation come from the store. */
  readonly self: Omit<MemberUpdate, 'replica' | 'state' | 'incarnation'>
  /** Addresses of peer ports to try, always: names are resolved again each time. */
  readonly seeds: readonly string[]
  /** Founds a cluster, if the directory is empty (frontier.md R12). */
  readonly found: boolean
  /** What a cluster that is founded begins with; else with nothing (frontier.md R18). */
  readonly restore?: SnapshotSource
  /** Replaces the member of this name, whose data is lost. */
  readonly rebuild: boolean
  /** Who this node was before, when its directory proves it: whoever lets it in evicts these (frontier.md R13, R16). */
  readonly former?: readonly ReplicaId[]
  /** The id by which to join: one that outlives a crash, so that whoever has let it in already does so again. */
  readonly joinAs?: ReplicaId
  /** The replica cannot go on: a `FatalError` with what to do, or a bug. */
  readonly onFatal: (error: unknown) => void
}
