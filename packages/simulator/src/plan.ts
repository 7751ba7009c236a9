import type { ReplicaSettings } from '@grapevine/replica'
import type { DiskSpeed } from './simulated-disk.ts'
import type { LinkQuality } from './simulated-network.ts'

/**
 * Everything about a run that is not chance. Plain data: a seed draws one, a scenario file is one, and a failing one is
 * made smaller by leaving things out.
 */
export interface SimulationPlan {
  readonly description?: string
  readonly nodes: readonly NodePlan[]
  /** How long faults and workload last. */
  readonly chaosMs: number
  /** Where they differ from the defaults. */
  readonly settings: Partial<ReplicaSettings>
  /** What every link is like during the chaos. */
  readonly network: Partial<LinkQuality>
  /** From when on; before, links are good. From the beginning, unless it is said. */
  readonly networkFromMs?: number
  readonly disk: Partial<DiskSpeed>
  readonly workload: WorkloadPlan
  readonly faults: readonly TimedFault[]
  /** Nodes that are still down while the others heal: a minority. */
  readonly away: readonly string[]
}

export interface NodePlan {
  readonly name: string
  /** Which cluster it is meant to belong to; all to the same one unless it is said. */
  readonly cluster?: string
  /** Founds its cluster. By default the first node of each cluster does. */
  readonly founds?: boolean
  readonly startsAtMs?: number
  /** Names of the nodes whose addresses are its seeds; by default all others of its cluster. */
  readonly seeds?: readonly string[]
  readonly clockOffsetMs?: number
  readonly clockDriftPpm?: number
}

export interface WorkloadPlan {
  readonly clients: number
  /** Between the end of one operation of a client and its next one, on average. */
  readonly thinkMs: number
  readonly keys: number
  /** Of the operations, those that go to one of `hotKeys` keys. */
  readonly hotShare: number
  readonly hotKeys: number
  readonly deleteShare: number
  readonly readShare: number
  readonly quorumShare: number
  readonly allShare: number
  /** Of the writes, those that are made only if the key is as the client last saw it. */
  readonly preconditionShare: number
  /** Of the puts, those whose values expire … */
  readonly ttlShare: number
  /** … after up to so long. */
  readonly ttlMsMax: number
  /** Of the clients, those that carry a session. */
  readonly sessionShare: number
  readonly valueBytesMax: number
  readonly timeoutMs: number
  /** Besides: what happens at a given moment. */
  readonly operations: readonly PlannedOperation[]
}

export interface PlannedOperation {
  readonly atMs: number
  readonly node: string
  readonly action: 'put' | 'delete' | 'get'
  readonly key: string
  readonly w?: number | 'quorum' | 'all'
  /** Only if the key holds a value, or none. */
  readonly only?: 'present' | 'absent'
  /** Of a put: how long the value lives, by the clock of its node. */
  readonly ttlMs?: number
}

export const USUAL_WORKLOAD: WorkloadPlan = {
  clients: 4,
  thinkMs: 400,
  keys: 200,
  hotShare: 0.3,
  hotKeys: 3,
  deleteShare: 0.2,
  readShare: 0.3,
  quorumShare: 0.2,
  allShare: 0.05,
  preconditionShare: 0.1,
  ttlShare: 0,
  ttlMsMax: 20_000,
  sessionShare: 0,
  valueBytesMax: 200,
  timeoutMs: 3_000,
  operations: [],
}

/** A fault at a moment. `node: "*"` stands for all of them, and so do `from` and `to` of links. */
export type TimedFault = { readonly atMs: number } & Fault

/** Where it says `forMs`, what was broken is mended after so long; without it, when the chaos ends. */
export type Fault =
  /** `kill -9`: what was written stays. */
  | { readonly kind: 'crash'; readonly node: string; readonly forMs?: number }
  /** In the middle of what it is doing: at its so-manieth disk operation from then on. */
  | { readonly kind: 'crash-in-write'; readonly node: string; readonly operations: number; readonly forMs?: number }
  /** What was not synced is gone. */
  | { readonly kind: 'power-loss'; readonly node: string; readonly forMs?: number }
  /** SIGTERM. */
  | { readonly kind: 'stop'; readonly node: string; readonly forMs?: number }
  /** SIGSTOP; of all of them (`*`) the machines sleep, with whatever is started on them meanwhile, and the clients too. */
  | { readonly kind: 'freeze'; readonly node: string; readonly forMs?: number }
  /**
   * The disk is lost, and the node comes back with `--rebuild`. The last one that holds anything only crashes: then
   * nobody could give it back. All at once (`*`) is another matter: then everything begins anew.
   */
  | { readonly kind: 'wipe'; readonly node: string; readonly forMs?: number }
  /** It comes back with another address. */
  | { readonly kind: 'move'; readonly node: string; readonly forMs?: number }
  /** It comes back with the address that another node has, or had. */
  | { readonly kind: 'take-address'; readonly node: string; readonly of: string; readonly forMs?: number }
  /**
   * It comes back with its disk as that was at `toMs`: a restored backup, a virtual machine's snapshot. If it was no member
   * then, or if nobody else holds all there is, it only crashes.
   */
  | { readonly kind: 'rollback'; readonly node: string; readonly toMs: number; readonly forMs?: number }
  /**
   * A snapshot that another node gave at `takenMs` is restored into the running cluster at this one. Nothing comes of it when
   * either was not there.
   */
  | { readonly kind: 'restore'; readonly node: string; readonly of: string; readonly takenMs: number }
  /**
   * An operator ends its membership, by asking another node, or a third one when that is not there. The last one that
   * could let anybody in is left alone.
   */
  | { readonly kind: 'evict'; readonly node: string; readonly by: string }
  /** An operator has it leave, and starts it again later, empty. */
  | { readonly kind: 'leave'; readonly node: string }
  /** Another machine gets a copy of its disk, and starts with it. */
  | { readonly kind: 'clone'; readonly node: string; readonly to: string }
  /** It crashes, and LevelDB's log has a hole. */
  | { readonly kind: 'tear-log'; readonly node: string; readonly forMs?: number }
  /** One bit of one row at rest; `row` is how the rows' names begin: `e` entries, `j` journal, … */
  | { readonly kind: 'flip-bit'; readonly node: string; readonly row: string }
  | { readonly kind: 'disk-full'; readonly node: string; readonly forMs?: number }
  | { readonly kind: 'sync-error'; readonly node: string }
  | { readonly kind: 'slow-disk'; readonly node: string; readonly speed: Partial<DiskSpeed>; readonly forMs?: number }
  /** Nothing passes; `oneWay` leaves the other direction alone. */
  | {
      readonly kind: 'cut'
      readonly from: string
      readonly to: string
      readonly oneWay?: boolean
      readonly forMs?: number
    }
  | {
      readonly kind: 'degrade'
      readonly from: string
      readonly to: string
      readonly quality: Partial<LinkQuality>
      readonly forMs?: number
    }
  /** The next such frame arrives with a flipped bit; `part` says whether a question or an answer, else either. */
  | {
      readonly kind: 'damage-frame'
      readonly from: string
      readonly to: string
      readonly name: string
      readonly part?: 'question' | 'answer'
    }
  /** So many of the questions sent before `sentBeforeMs` (or before now) come again. */
  | { readonly kind: 'replay'; readonly frames: number; readonly sentBeforeMs?: number }
  | { readonly kind: 'clock-step'; readonly node: string; readonly byMs: number }
  | { readonly kind: 'clock-drift'; readonly node: string; readonly ppm: number; readonly forMs?: number }
  | { readonly kind: 'clock-freeze'; readonly node: string; readonly forMs?: number }
  | {
      readonly kind: 'pause'
      readonly node: string
      readonly what: 'rumors' | 'anti-entropy'
      readonly forMs?: number
    }

export type FaultKind = Fault['kind']
