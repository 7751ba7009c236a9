/**
 * What happened in a run, as one list that grows: the simulator writes it, tests on real processes write it, and the
 * checkers read nothing else. As text it is JSON lines, one event each.
 *
 * `atMs` is true time, which no node knows: milliseconds since the run began. Nodes are called by their names, since a
 * name outlives crashes, addresses and replica ids. Versions are entity tags without quotes: equal versions are equal
 * texts, and the greater version is the greater text.
 */
export type HistoryEvent = ClientEvent | NodeEvent | StoreEvent | NetworkEvent | RunEvent

/** The events of one type. */
export type EventOf<Type extends HistoryEvent['type']> = Extract<HistoryEvent, { readonly type: Type }>

/** `<16 digits of hlc>-<replica id>`; compares as text. */
export type EtagText = string

/**
 * What a client asked for, and what became of it. `op` ties the two together and is never used twice. One `invoke` is
 * one attempt: a client that tries again invokes again, and so a put that is tried again has another value.
 */
export type ClientEvent =
  | {
      readonly type: 'invoke'
      readonly atMs: number
      readonly op: number
      /** One client does one thing after the other. */
      readonly client: string
      readonly node: string
      readonly action: 'put' | 'delete' | 'get'
      readonly key: string
      /** Of a put: never the same twice in a run, so that a value names its write. */
      readonly value?: string
      readonly w?: number | 'quorum' | 'all'
      /** Whether the client carries a session, and so may ask for its guarantees. */
      readonly session?: boolean
      /** Only if the key held this version (`null`: held no value). */
      readonly ifMatch?: EtagText | null
      /** Of a put: the value reads as absent some time later. */
      readonly ttlMs?: number
    }
  | {
      /** A write that ended. One that never does is `unknown` as well. */
      readonly type: 'written'
      readonly atMs: number
      readonly op: number
      readonly outcome: 'applied' | 'not-applied' | 'unknown'
      /** Of an applied write. */
      readonly version?: EtagText
      readonly acks?: number
      /** How many members the coordinator knew, dead ones included: what `quorum` and `all` are counted among. */
      readonly members?: number
      readonly code?: string
    }
  | {
      readonly type: 'read'
      readonly atMs: number
      readonly op: number
      readonly outcome: 'ok' | 'failed'
      /** `null`: nothing here, or a tombstone. */
      readonly value?: string | null
      /** Of the value or the tombstone; absent when nothing is here. */
      readonly version?: EtagText
      readonly code?: string
    }

/** What became of a node. */
export type NodeEvent =
  | {
      readonly type: 'process'
      readonly atMs: number
      readonly node: string
      readonly what: 'started' | 'ready' | 'crashed' | 'stopped' | 'frozen' | 'thawed' | 'wiped' | 'ended-itself'
      readonly cluster?: string
      readonly replica?: string
      readonly reason?: string
    }
  | {
      /** What one node thinks of another from now on. A node that starts has no opinion yet; `alive` is one, too. */
      readonly type: 'opinion'
      readonly atMs: number
      readonly node: string
      readonly of: string
      /** Of which replica, where the name has had more than one. */
      readonly ofReplica?: string
      readonly state: 'alive' | 'suspect' | 'dead' | 'left' | 'evicted'
    }
  | {
      readonly type: 'exchange'
      readonly atMs: number
      readonly node: string
      readonly peer: string
      readonly result: 'equal' | 'repaired' | 'failed'
      readonly questions: number
      /** How often it began at the root: anew when a frontier moved. One where that is not told. */
      readonly walks?: number
      /** When its first question was asked; `atMs` is when it ended. */
      readonly startedAtMs?: number
    }
  | {
      /** How much waits, beside how much may. `parked` is the queue of entries from too far in the future. */
      readonly type: 'queue'
      readonly atMs: number
      readonly node: string
      readonly name: string
      readonly length: number
      readonly lengthMax: number
    }
  | {
      /** Equal vectors with unequal roots, as the node itself saw it. */
      readonly type: 'integrity-fault'
      readonly atMs: number
      readonly node: string
      readonly peer: string
    }

/** What a node's disk holds. */
export type StoreEvent =
  | {
      /** Durable on this node from now on. */
      readonly type: 'stored'
      readonly atMs: number
      readonly node: string
      readonly replica: string
      readonly key: string
      readonly version: EtagText
      /** Writer and number of the write. */
      readonly dot: readonly [writer: string, seq: number]
      /** Of the key: writers number their writes per partition. */
      readonly partition?: number
      readonly state: 'value' | 'tombstone'
      /** Of a value. */
      readonly value?: string
      /** What the key held here before. */
      readonly before?: EtagText
      /** What this node's wall clock said, in milliseconds since 1970. */
      readonly wallMs?: number
    }
  | {
      /** A tombstone or an expired entry is off this node's disk. */
      readonly type: 'purged'
      readonly atMs: number
      readonly node: string
      readonly key: string
      readonly version: EtagText
      readonly frontier: string
    }
  | {
      /** Everything a node holds, from one moment, with the tree worked out anew from the rows. */
      readonly type: 'contents'
      readonly atMs: number
      readonly node: string
      readonly cluster: string
      readonly replica: string
      /** As the node keeps it. */
      readonly root: string
      /** As its rows give it. */
      readonly recomputedRoot: string
      readonly entries: readonly ContentsRow[]
      readonly corrupt: number
      readonly parked: number
      readonly vectorHash: string
      /** Replica ids of the members that it knows, itself among them. */
      readonly members?: readonly string[]
    }

export interface ContentsRow {
  readonly key: string
  readonly version: EtagText
  readonly hash: string
  readonly state: 'value' | 'tombstone'
  readonly value?: string
}

export type NetworkEvent = {
  /** A frame that a node took in, after all its checks. */
  readonly type: 'accepted'
  readonly atMs: number
  readonly from: string
  readonly to: string
  readonly name: string
  readonly fromCluster: string
  readonly toCluster: string
  readonly fromReplica: string
  readonly toReplica: string
  readonly bytes: number
}

export type RunEvent =
  | {
      readonly type: 'phase'
      readonly atMs: number
      /** Faults and workload · faults off but for a permitted minority, no workload · everything recomputed. */
      readonly phase: 'chaos' | 'heal' | 'audit'
      /** Of `heal`: nodes that stay away, and by when the others have to agree. */
      readonly away?: readonly string[]
      /** In true time, as `atMs` is. */
      readonly deadlineMs?: number
    }
  | {
      readonly type: 'fault'
      readonly atMs: number
      readonly fault: string
      readonly detail?: string
      /** Whom it hits, if one node. */
      readonly node?: string
      /**
       * Of a fault that takes back what was durable on `node`. `damaged`: rows changed or went (flipped bits, lost
       * files); the checkers excuse what is missing there until the node is wiped. `rolled-back`: an older state of
       * the directory, or another node's. Lost unsynced tails are neither, since nothing in them was durable.
       */
      readonly disk?: 'damaged' | 'rolled-back'
    }
  | {
      /** Frames per node and second while nothing was written, after everybody agreed. */
      readonly type: 'idle'
      readonly atMs: number
      readonly framesPerNodeSecond: number
      readonly framesPerNodeSecondMax: number
    }

/** What a checker found wrong. */
export interface Violation {
  /** The checker's name. */
  readonly checker: string
  readonly atMs: number
  readonly message: string
  /** The key in question, if any: the report draws its diagram. */
  readonly key?: string
  readonly node?: string
}

/** Reads a history from front to back; `finish` is called once, behind the last event. */
export interface Checker {
  readonly name: string
  see(event: HistoryEvent): void
  finish(): readonly Violation[]
}
