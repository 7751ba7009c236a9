import type { NodeState } from './cluster.ts'
import type { KeyFields } from './key.ts'

export interface DivergenceReplica {
  readonly name: string
  readonly nodeId: string
  readonly state: NodeState
  /** Hexadecimal; null when it did not answer. */
  readonly root: string | null
  readonly keys: number | null
  readonly tombstones: number | null
}

export interface DivergencePair {
  /** Names of nodes. */
  readonly a: string
  readonly b: string
  /** `false` when one of the two could not be asked: then nothing is known about the pair. */
  readonly compared: boolean
  /**
   * Numbers of the differing partitions. With `?depth=` 1 to 7 only their leading bits are compared and named; 8,
   * the partition, is the default.
   */
  readonly partitions: readonly number[]
  /** Leaves that differ, over all of these partitions. */
  readonly leaves: number
  readonly estimatedKeys: number
}

/** `GET /v1/admin/divergence`. */
export interface DivergenceBody {
  /** All members were compared and all are equal. */
  readonly converged: boolean
  readonly replicas: readonly DivergenceReplica[]
  readonly pairs: readonly DivergencePair[]
  /** Names of the members that could not be asked. */
  readonly unreachable: readonly string[]
}

export type EntryState = 'value' | 'tombstone' | 'expired'

/** One replica's version of a key. */
export interface EntryOutlineBody {
  readonly etag: string
  readonly state: EntryState
  /** Hexadecimal hash of the whole entry. */
  readonly hash: string
  /** Bytes of the value, 0 for a tombstone. */
  readonly size: number
  readonly contentType: string
  readonly expiresAt?: string
}

export interface DiffKey extends KeyFields {
  readonly bucket: string
  /** Null where the replica has nothing. */
  readonly a: EntryOutlineBody | null
  readonly b: EntryOutlineBody | null
  readonly newer: 'a' | 'b'
}

export interface DiffSide {
  readonly name: string
  /** Root at the moment of comparison, hexadecimal. */
  readonly root: string
}

/** `GET /v1/admin/diff?with={name or node id}`, with `limit` and `cursor`. */
export interface DiffBody {
  /** The answering node. */
  readonly a: DiffSide
  readonly b: DiffSide
  readonly keys: readonly DiffKey[]
  readonly cursor: string | null
}

export interface InspectReplica {
  readonly name: string
  readonly nodeId: string
  /** What the answering node thinks of the member. */
  readonly memberState: NodeState
  readonly state: EntryState | 'nothing' | 'corrupt' | 'unreachable'
  /** The following are there when an entry is. */
  readonly etag?: string
  readonly hash?: string
  readonly size?: number
  readonly contentType?: string
  readonly expiresAt?: string
  /** Milliseconds since the version was made, by the answering node's clock. */
  readonly ageMs?: number
}

/** `GET /v1/admin/keys/{bucket}/{key}`. */
export interface InspectBody extends KeyFields {
  readonly bucket: string
  /** Whether all members answered the same. */
  readonly converged: boolean
  readonly replicas: readonly InspectReplica[]
}

/** `POST /v1/admin/anti-entropy`. */
export interface AntiEntropyRequest {
  /** Name or node id; a random member when missing. */
  readonly with?: string
}

/** One anti-entropy exchange, as its initiator saw it. */
export interface ExchangeBody {
  /** The other node's name. */
  readonly with: string
  /** RFC 3339. */
  readonly at: string
  readonly durationMs: number
  readonly result: 'equal' | 'repaired' | 'failed'
  readonly error?: string
  readonly questions: number
  readonly leaves: number
  readonly keysIn: number
  readonly keysOut: number
  readonly bytesIn: number
  readonly bytesOut: number
}

/** `GET /v1/admin/anti-entropy`, newest first. */
export interface ExchangesBody {
  readonly exchanges: readonly ExchangeBody[]
}

/**
 * A key that one node holds and another does not, though both have seen the same and neither has lost anything that it knows
 * of: nobody can tell whether it was deleted. Writing it, or deleting it, decides.
 */
export interface UndecidedKeyBody extends KeyFields {
  readonly bucket: string
  /** Names of nodes. */
  readonly heldBy: string
  readonly lackedBy: string
}

/** `POST /v1/admin/scrub` begins one, `GET` tells how far it is. */
export interface ScrubBody {
  readonly running: boolean
  /** RFC 3339; null before the first. */
  readonly startedAt: string | null
  readonly finishedAt: string | null
  /** Finished ones, of 256. */
  readonly partitions: number
  readonly leaves: number
  readonly entries: number
  readonly bytes: number
  /** Rows that fail their checksum. */
  readonly corrupt: number
  /** Rows that an index names and that are not there. */
  readonly hidden: number
  /** Of those two, what came back from other nodes. */
  readonly healed: number
  /** Of those two, what turned out to be deleted. */
  readonly cleared: number
  /** Rows of an index that led nowhere. They went. */
  readonly orphanedIndexRows: number
  /** Entries to which an index did not lead. It does again. */
  readonly reindexed: number
  /** Leaves that had lost rows and were replaced by those of another node. */
  readonly mendedLeaves: number
  /** Leaves that have lost something which no other node gave back. */
  readonly suspectLeaves: number
  /** As of now, whoever found them. */
  readonly undecided: readonly UndecidedKeyBody[]
  /** Why it ended before its end. */
  readonly error?: string
}

export type Pausable = 'rumors' | 'anti-entropy'

/** `POST /v1/admin/pause` and `/resume`. */
export interface PauseRequest {
  readonly what: Pausable | 'all'
}

export interface PauseBody {
  /** What is paused now. */
  readonly paused: readonly Pausable[]
}

export interface ConfigSetting {
  /** As in a configuration file: `antiEntropy.interval`. */
  readonly path: string
  /** Secrets are masked. */
  readonly value: unknown
  /** `default`, `file …`, `environment GRAPEVINE_…`, `flag --…`. */
  readonly source: string
}

/** `GET /v1/admin/config`. */
export interface ConfigBody {
  readonly settings: readonly ConfigSetting[]
}

/** `POST /v1/admin/evict/{node}`. */
export interface EvictBody {
  readonly name: string
  readonly nodeId: string
  /** `false` when it was evicted before. */
  readonly changed: boolean
  /** What this costs, and what becomes of the node, in words. */
  readonly warning: string
}

/** `POST /v1/admin/leave`. The process that answers it ends. */
export interface LeaveBody {
  readonly name: string
  readonly nodeId: string
  /** The member that holds all that this node held. */
  readonly coveredBy: string
  /** Members that have noted it; the others hear of it from these. */
  readonly told: readonly string[]
  /** Where its data still is, on its own machine. */
  readonly dataDir: string
  /** What is still to be done, in words. */
  readonly warning?: string
}

/** Where a snapshot comes from, as its manifest says. */
export interface SnapshotOrigin {
  readonly clusterId: string
  readonly nodeId: string
  readonly name: string
  /** RFC 3339. */
  readonly takenAt: string
  /** Of the hash tree over its entries, hexadecimal. */
  readonly root: string
  /** Whether all is in it that the node held: it could not read the rest. */
  readonly whole: boolean
}

/**
 * Why an entry of a snapshot was not taken in, although nobody knows that it was deleted: `quarantined` ones are from a time for
 * which this cluster has promised that nothing more comes; `beyond-drift` ones from too far ahead of the node's clock;
 * `unreadable` ones could not be compared with what the node holds, since it cannot read that.
 */
export type RestoreRefusal = 'quarantined' | 'beyond-drift' | 'unreadable'

export interface RestoreKey extends KeyFields {
  readonly bucket: string
  readonly why: RestoreRefusal
  readonly etag: string
  readonly state: EntryState
}

/** `POST /v1/admin/restore`. */
export interface RestoreBody {
  readonly snapshot: SnapshotOrigin
  /** All of the snapshot's; what became of them are the following. */
  readonly entries: number
  readonly applied: number
  /** Held already, to the byte. */
  readonly present: number
  /** Something newer is held. */
  readonly older: number
  /** The cluster has seen them deleted, overwritten by a delete or expired, and they stay so. */
  readonly deleted: number
  readonly quarantined: number
  readonly beyondDrift: number
  readonly unreadable: number
  /** Written anew, as fresh versions. */
  readonly written: number
  /** Not written anew: the key has a value, and only keys without one were asked for. */
  readonly kept: number
  /** Not looked at: tombstones, expired ones and keys that were not asked for, where all is written anew. */
  readonly skipped: number
  /** Entries that were not taken in, as many of them as fit. */
  readonly keys: readonly RestoreKey[]
  /** How many more there are. */
  readonly keysOmitted: number
}
