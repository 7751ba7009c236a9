import { DRIFT_MS_MAX, PEER_FRAME_BYTES_MAX, type DemersOptions } from '@grapevine/core'

/** What an operator may set. Durations in milliseconds. */
export interface ReplicaSettings {
  /** Between two exchanges with a random peer, ± 20 %. Shorter finds divergence sooner and costs a root each time. */
  readonly antiEntropyIntervalMs: number
  /** Between two vector pulls while nothing is hot. 0 turns pulls off: then the tree alone repairs. */
  readonly pullIntervalMs: number
  /**
   * Between two looks at what may be purged, ± 20 %. Shorter frees space sooner; while nothing is to be purged it costs one
   * read.
   */
  readonly purgeIntervalMs: number
  /** From which share of tombstones on the log warns, when they do not go. 0: never. */
  readonly tombstoneRatioMax: number
  /** How fast an exchange may move entries, so that foreground traffic comes first. Bytes per second. */
  readonly repairBytesPerSecond: number
  readonly driftMs: number
  readonly peerTimeoutMs: number
  /** Below so much free space the replica only reads (P13). 0 for never. */
  readonly diskReserveBytes: number
  /** How long a pass of the scrub over all entries takes at least. 0 turns it off. */
  readonly scrubIntervalMs: number
  /** And how fast it may read. Bytes per second. */
  readonly scrubBytesPerSecond: number
  /** Bytes of entries in one question or answer. */
  readonly frameBytes: number
  /** How long a node with data looks for the others before it serves alone. */
  readonly joinTimeoutMs: number
  /** Changes that are kept for those who watch and are slow. Whoever falls behind further reads on from the store. */
  readonly feedItems: number
  readonly probe: { readonly intervalMs: number; readonly timeoutMs: number; readonly indirectProbes: number }
  /** `eager`: every live replica at once, see `rumorTargets`. Else a classic variant, in rounds. */
  readonly rumor: 'eager' | (DemersOptions & { readonly intervalMs: number; readonly fanout: number })
}

export const DEFAULT_SETTINGS: ReplicaSettings = {
  antiEntropyIntervalMs: 10_000,
  pullIntervalMs: 1_000,
  purgeIntervalMs: 10_000,
  tombstoneRatioMax: 0.5,
  repairBytesPerSecond: 32 * 1024 * 1024,
  driftMs: DRIFT_MS_MAX,
  peerTimeoutMs: 5_000,
  diskReserveBytes: 0,
  scrubIntervalMs: 0,
  scrubBytesPerSecond: 4 * 1024 * 1024,
  frameBytes: PEER_FRAME_BYTES_MAX,
  joinTimeoutMs: 5_000,
  // 16 seconds of a thousand writes a second, 4 MiB.
  feedItems: 16_384,
  probe: { intervalMs: 1_000, timeoutMs: 500, indirectProbes: 3 },
  rumor: 'eager',
}
