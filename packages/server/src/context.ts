import type { Clock, Hash, Random } from '@grapevine/core'
import type { Replica } from '@grapevine/replica'
import type { Loaded } from './config/load.ts'
import type { ServerConfig } from './config/options.ts'
import type { Forwarder } from './forward.ts'
import type { Guard } from './http/guard.ts'
import type { OpenStreams } from './http/open-streams.ts'
import type { SessionTexts } from './http/session-texts.ts'
import type { ServerLog } from './log.ts'
import type { ServerMetrics } from './metrics/server-metrics.ts'

/** What the routes work with. */
export interface ServerContext {
  readonly replica: Replica
  readonly loaded: Loaded<ServerConfig>
  readonly clock: Clock
  readonly random: Random
  readonly hash: Hash
  readonly log: ServerLog
  readonly metrics: ServerMetrics
  readonly guard: Guard
  readonly forwarder: Forwarder
  /** Whether the process is on its way out. */
  readonly draining: () => boolean
  /** The node has left its cluster: the process ends once that is answered. */
  readonly left: () => void
  readonly streams: OpenStreams
  readonly sessions: SessionTexts
}
