import { standingOf, type Clock, type Hash, type Log, type Measures, type Random, type Timers } from '@grapevine/core'
import {
  DEFAULT_SETTINGS,
  evictedError,
  isUnfinished,
  RunningReplica,
  type Replica,
  type ReplicaSettings,
  type SnapshotSource,
} from '@grapevine/replica'
import {
  asidesIn,
  discardUnfinished,
  forgetFormer,
  formerOf,
  openStore,
  ScrubProgressFile,
  type LevelStore,
  type OpenStoreOptions,
} from '@grapevine/storage'
import { openPeerServer, PeerClient } from '@grapevine/transport'
import { addressesToAsk, beginAnew, joinerIn, rebuild } from './begin-anew.ts'
import { diskSpaceOf } from './system-ports.ts'
import { parseHostPort } from './config/option-types.ts'
import type { ServerConfig } from './config/options.ts'
import { openSnapshotFile } from './snapshot/snapshot-file.ts'
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
  /**
   * After it failed and was closed: whether it may be opened again as an empty one, because only its data is no replica's any
   * more. That has then been set aside.
   */
  beginsAnewAfter(error: unknown): Promise<boolean>
}

/** LevelDB's block cache: what is read again and again is mostly small. */
const CACHE_BYTES: number = 16 * 1024 * 1024

/**
 * Puts the node together: store, transport, replica.
 * @throws {StoreError} when the directory cannot be used.
 */
export async function openNode(config: ServerConfig, ports: NodePorts): Promise<OpenNode> {
  const { hash, log } = ports
  const anew = { dataDir: config.dataDir, clock: ports.clock, log }
  if (config.rebuild) await rebuild(anew)
  const opened = await openMember(config, ports)
  const former = await formerOf(config.dataDir)
  // Whoever was a member comes back to the cluster that it was in, also with the flags that it was first started with.
  const found = config.found && (config.rebuild || (former?.replicas ?? []).length === 0)
  const { store, restore } = await beginningOf(opened, config, found, ports)
  const joins = store.state.identity === undefined && !found
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
    seeds: addressesToAsk(config.seed, former),
    found,
    ...(restore !== undefined && { restore }),
    rebuild: config.rebuild,
    former: former?.replicas ?? [],
    ...(joins && { joinAs: await joinerIn(config.dataDir, ports.random) }),
    onFatal: fail,
  })
  try {
    // It says so once more to those who may not have heard it, serves nobody, and ends.
    if (store.state.identity?.stage === 'left') {
      replica.start()
      try {
        await failed
      } finally {
        await replica.stop()
      }
    }
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
      beginsAnewAfter: (error) => beginAnew(error, store.state, anew),
    }
  } catch (error) {
    await transport.close()
    await store.close()
    throw error
  }
}

/**
 * Opens the store. One that knows of its own eviction is not shown to anybody for a moment: it is set aside at once, and an
 * empty one opened (frontier.md R15).
 */
async function openMember(config: ServerConfig, { hash, clock, log }: NodePorts): Promise<LevelStore> {
  const { dataDir } = config
  // Also finishes a move that was cut off, which the store would take for lost data.
  await formerOf(dataDir)
  const asides = await asidesIn(dataDir)
  // Nothing else remembers them, and they take room.
  if (asides.length > 0) log.info('data-still-set-aside', { asides })
  const options = storeOptions(config, hash)
  const store = await openStore(options)
  const { identity, roster } = store.state
  if (identity === undefined || identity.stage === 'left') return store
  if (standingOf(roster, identity.replica) === 'evicted') {
    await store.close()
    await beginAnew(evictedError(identity), store.state, { dataDir, clock, log })
    return openStore(options)
  }
  // Until it is a member again, a node that is cut off once more must still prove who it was.
  if (identity.stage === 'member') await forgetFormer(dataDir)
  return store
}

/** The store of a founder, and the snapshot to begin with, when there is one and the directory is empty (frontier.md R18). */
async function beginningOf(
  store: LevelStore,
  config: ServerConfig,
  found: boolean,
  { hash, log }: NodePorts,
): Promise<{ store: LevelStore; restore: SnapshotSource | undefined }> {
  const { dataDir } = config
  if (config.restore === '') return { store, restore: undefined }
  if (!found || store.state.identity !== undefined) {
    log.info('restore-ignored', { dataDir, why: 'this node belongs to a cluster already' })
    return { store, restore: undefined }
  }
  // The store stays open: checking takes a while, and no other process may take the directory meanwhile.
  const restore = await openSnapshotFile(config.restore, hash).catch(async (error: unknown) => {
    await store.close()
    throw error
  })
  log.info('snapshot-checked', { path: restore.path, of: restore.clusterId, frontier: restore.frontier })
  if (!isUnfinished(store.state)) return { store, restore }
  await store.close()
  await discardUnfinished(dataDir)
  log.warn('unfinished-restore-discarded', { dataDir })
  return { store: await openStore(storeOptions(config, hash)), restore }
}

function storeOptions({ dataDir, writeBufferSize }: ServerConfig, hash: Hash): OpenStoreOptions {
  return { directory: dataDir, hash, writeBufferBytes: writeBufferSize, cacheBytes: CACHE_BYTES }
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
