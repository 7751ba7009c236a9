import { type Clock, type Hash, type Log, type Measures, type Random, type Timers } from '@grapevine/core'
import { DEFAULT_SETTINGS, FatalError, RunningReplica, type Replica, type ReplicaSettings } from '@grapevine/replica'
import { openStore, ScrubProgressFile, setAside } from '@grapevine/storage'
import { openPeerServer, PeerClient } from '@grapevine/transport'
import { diskSpaceOf } from './system-ports.ts'
import { parseHostPort } from './config/option-types.ts'
import type { ServerConfig } from './config/options.ts'
import { SOFTWARE_VERSION } from './software-version.ts'

/** What the outside world is to a node. */
export interface NodePorts {
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly hash: Hash
  readonly log: Log
  readonly measures: Measures
}

export interface OpenNode {
  readonly replica: Replica
  /** Rejects when the node cannot go on; never resolves. */
  readonly failed: Promise<never>
  /** The peer port and whatever else is open, after `replica.stop()`. */
  close(): Promise<void>
}

/** LevelDB's block cache: what is read again and again is mostly small. */
const CACHE_BYTES: number = 16 * 1024 * 1024

/**
 * Puts the node together: store, transport, replica.
 * @throws {StoreError} when the directory cannot be used.
 */
export async function openNode(config: ServerConfig, ports: NodePorts): Promise<OpenNode> {
  const { hash, log } = ports
  if (config.restore !== '')
    throw new FatalError(
      'not_implemented',
      '--restore is not built yet. Start without it, and import the data as writes.',
    )
  if (config.rebuild) {
    const aside = await setAside(config.dataDir, new Date(ports.clock.wallMs()).toISOString().replaceAll(':', '-'))
    if (aside !== undefined) log.warn('data-set-aside', { aside })
  }
  const store = await openStore({
    directory: config.dataDir,
    hash,
    writeBufferBytes: config.writeBufferSize,
    cacheBytes: CACHE_BYTES,
  })
  log.info('store-opened', {
    replayedBatches: store.state.replayedBatches,
    merkleRebuilds: store.state.rebuilds,
    ...store.state.totals,
  })
  const identity = (): { cluster: string; replica: string } => replica.identity
  const transport = new PeerClient({ hash, valueBytesMax: config.valueMax, identity })
  const { promise: failed, reject: fail } = Promise.withResolvers<never>()
  // Whoever runs the node listens to it; until then a failure must not end the process by itself.
  failed.catch(() => {})
  const replica: RunningReplica = new RunningReplica({
    ...ports,
    store,
    transport,
    settings: settingsOf(config),
    disk: diskSpaceOf(config.dataDir),
    scrubProgress: new ScrubProgressFile(config.dataDir),
    self: {
      name: config.name,
      address: config.peerAdvertise || config.peerListen,
      clientUrl: `http://${config.advertise || config.listen}`,
      zone: config.zone,
      version: SOFTWARE_VERSION,
    },
    seeds: config.seed,
    found: config.found,
    rebuild: config.rebuild,
    onFatal: fail,
  })
  try {
    const { host, port } = parseHostPort(config.peerListen) ?? { host: '127.0.0.1', port: 0 }
    const server = await openPeerServer({
      host,
      port,
      hash,
      valueBytesMax: config.valueMax,
      identity,
      log,
      judge: (header) => replica.judge(header),
      answer: (header, name, question) => replica.answer(header, name, question),
    })
    replica.start()
    return {
      replica,
      failed,
      close: async () => {
        await server.close()
        await transport.close()
      },
    }
  } catch (error) {
    await transport.close()
    await store.close()
    throw error
  }
}

function settingsOf(config: ServerConfig): ReplicaSettings {
  return {
    ...DEFAULT_SETTINGS,
    antiEntropyIntervalMs: config.antiEntropyInterval,
    pullIntervalMs: config.pullInterval,
    purgeIntervalMs: config.purgeInterval,
    tombstoneRatioMax: config.tombstoneWarning,
    repairBytesPerSecond: config.repairRate,
    diskReserveBytes: config.diskReserve,
    scrubIntervalMs: config.scrubInterval,
    scrubBytesPerSecond: config.scrubRate,
    driftMs: config.driftMax,
    peerTimeoutMs: config.peerTimeout,
    joinTimeoutMs: config.joinTimeout,
    probe: {
      intervalMs: config.probeInterval,
      timeoutMs: config.probeTimeout,
      indirectProbes: config.indirectProbes,
    },
    rumor:
      config.rumorMode === 'eager'
        ? 'eager'
        : {
            exchange: config.rumorMode,
            loss: config.rumorFeedback,
            counting: config.rumorStop,
            k: config.rumorK,
            intervalMs: config.rumorInterval,
            fanout: config.rumorFanout,
          },
  }
}
