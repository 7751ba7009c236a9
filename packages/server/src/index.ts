export { buildServer, type HttpLimits, type ServerOptions } from './build-server.ts'
export {
  configSchema,
  describeConfig,
  effectiveConfig,
  optionsHelp,
  optionsTable,
  type EffectiveOption,
  type OptionDescription,
} from './config/describe.ts'
export {
  ConfigError,
  type ConfigInput,
  type Loaded,
  type Mistake,
  type Source,
  type SourceKind,
} from './config/load.ts'
export { flagOf, OPTIONS, variableOf, type LogLevel, type RumorMode, type ServerConfig } from './config/options.ts'
export { checkConfig, loadServerConfig } from './config/server-config.ts'
export { openLog, type ServerLog } from './log.ts'
export { ServerMetrics } from './metrics/server-metrics.ts'
export { EXIT_ERROR, EXIT_GOOD, EXIT_LOCKED, EXIT_USAGE, runServer, type RunOptions } from './run-server.ts'
export { snapshotOfDirectory } from './snapshot/directory-snapshot.ts'
export { MalformedSnapshotError } from './snapshot/frames.ts'
export type { PartitionVectors, SnapshotEnd, SnapshotManifest } from './snapshot/manifest.ts'
export { readSnapshot, type SnapshotPart, type SnapshotSummary } from './snapshot/read-snapshot.ts'
export { SnapshotWriter } from './snapshot/snapshot-writer.ts'
export { systemClock, systemHash, systemRandom, systemTimers } from './system-ports.ts'
export { openNode, type NodePorts, type OpenNode } from './wiring.ts'
