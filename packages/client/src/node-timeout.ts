import { formatDuration } from '@grapevine/contract'

/** A node is to answer a little before we stop listening, so that we hear of the acknowledgements that came. */
const SHARE = 0.9
/** The longest that a node waits. */
export const NODE_TIMEOUT_MS_MAX: number = 60_000

/** What to send as `timeout` when we wait for so long ourselves. */
export function nodeTimeout(timeoutMs: number): string {
  return formatDuration(Math.min(NODE_TIMEOUT_MS_MAX, Math.max(1, timeoutMs * SHARE)))
}
