/** Data, administration, metrics, dashboard. */
export const CLIENT_PORT = 7700
/** Node to node only. */
export const PEER_PORT = 7701
export const ENDPOINT_DEFAULT: string = `http://127.0.0.1:${CLIENT_PORT}`
/** From one node of a local cluster to the next: the peer port is one above the client port. */
export const DEV_PORT_STEP = 10
/** A key has at least one byte and at most these. */
export const KEY_BYTES_MAX = 1024
export const BATCH_OPS_MAX = 1_000
export const BATCH_BYTES_MAX: number = 4 * 1024 * 1024
export const LIST_LIMIT_DEFAULT = 100
export const LIST_LIMIT_MAX = 1_000
export const REQUEST_TIMEOUT_MS = 10_000
/** What the hash tree is split into; a divergence report names partitions by number. */
export const PARTITIONS = 256
