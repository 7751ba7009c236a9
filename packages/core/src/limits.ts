// Everything has a limit, and each limit a reason. What an operator may change is in the server's configuration,
// with these as defaults.

const KIB = 1024
const MIB = 1024 * KIB

/** Small enough to hold one for every peer at once, large enough not to wait for round trips. */
export const PEER_FRAME_BYTES_MAX: number = 1 * MIB
/** Beside the entries of a frame: names, hashes, vectors. */
export const PEER_FRAME_OVERHEAD_BYTES: number = 64 * KIB
export const VALUE_BYTES_MAX_DEFAULT: number = 1 * MIB
/** What `valueMax` may be raised to. A frame must still hold one value. */
export const VALUE_BYTES_MAX_LIMIT: number = 16 * MIB

/** One commit: about 4 ms of LevelDB, so a write that just missed one waits no longer than that. */
export const COMMIT_ENTRIES_MAX = 1_024
export const COMMIT_BYTES_MAX: number = 4 * MIB
/** What may wait for a commit before writes are refused: about 50 ms of work at full speed. */
export const WRITE_QUEUE_ENTRIES_MAX = 8_192
export const WRITE_QUEUE_BYTES_MAX: number = 32 * MIB

/** Up to so many live replicas a fresh write goes to all of them at once. */
export const EAGER_PUSH_REPLICAS_MAX = 16
/** Fresh entries waiting for one peer. The pull brings what is dropped here. */
export const RUMOR_QUEUE_ENTRIES_MAX = 8_192
export const RUMOR_QUEUE_BYTES_MAX: number = 16 * MIB
export const RUMORS_PER_QUESTION_MAX = 1_024

export const MEMBERS_MAX = 256
/** Ids that a node may give up, one after the other, without having become a member: somebody has to look then. */
export const FORMER_IDS_MAX = 8
export const PARKED_ENTRIES_MAX = 10_000
export const PARKED_BYTES_MAX: number = 16 * MIB
/** P9: more than clocks kept by NTP differ by, less than a user would call a wrong time. */
export const DRIFT_MS_MAX = 10_000

/** Purged keys that a node remembers, for whoever asks why a tombstone could go: 5 MiB. */
export const PURGE_RECORDS_MAX = 100_000
/** Rows of them, when purges are small: opening reads their names. */
export const PURGE_RECORD_BATCHES_MAX = 4_096
/** Raises of the frontier that are remembered: about three hours of them under constant writes. */
export const FRONTIER_GROUNDS_MAX = 1_024
/** Keys dropped by one batch: as large as any other group commit. */
export const PURGE_KEYS_PER_BATCH_MAX = 1_024

/** How long a client may take to repeat a write whose answer it did not get: more than any outage that it sits out. */
export const RECEIPT_AGE_MS_MAX = 86_400_000
/** Receipts of named writes: about 100 MiB on disk, none in memory. */
export const RECEIPTS_MAX = 1_000_000
/** Forgotten by one batch: as large as any other group commit. */
export const RECEIPTS_FORGOTTEN_PER_BATCH_MAX = 1_024

export const LIST_LIMIT_MAX = 1_000
export const LIST_LIMIT_DEFAULT = 100

/** Nodes of the hash tree in one question: each is answered with 16 children of 8 bytes, 32 KiB in all. */
export const TREE_NODES_PER_QUESTION_MAX = 256
/** Leaves listed in one question: at 10⁶ keys about 16 entries of 60 bytes each, 60 KiB in all. */
export const LEAVES_PER_QUESTION_MAX = 64
/** Entries asked for or listed in one question. */
export const ENTRIES_PER_QUESTION_MAX = 4_096
/** How long a peer waits before it says "not yet": a connection that broke unnoticed is found out by then. */
export const AWAIT_VERSIONS_MS_MAX = 2_000
