import type { RestoreBody } from '@grapevine/contract'
import {
  bucketOf,
  hexOf,
  isReserved,
  isVisible,
  keyOf,
  WriteError,
  type ByteString,
  type Clock,
  type ClusterId,
  type Entry,
  type Hash,
  type Timers,
} from '@grapevine/core'
import type { Replica, WriteRequest } from '@grapevine/replica'
import type { SnapshotManifest } from './manifest.ts'
import { readSnapshot } from './read-snapshot.ts'
import { RestoreTally } from './restore-tally.ts'

export interface RestoreRequest {
  /**
   * What is written anew, as a fresh version: nothing; the quarantined, after all has been taken in by the rules; or whatever
   * has a value, with no regard to what was deleted since.
   */
  readonly anew: 'nothing' | 'quarantined' | 'all'
  /** Of what is written anew: in this bucket only; empty for all. */
  readonly bucket: string
  /** Of what is written anew: keys that begin so. */
  readonly prefix: ByteString
  /** Of what is written anew: keys that have no value now. */
  readonly onlyAbsent: boolean
  /** A cluster whose snapshots are taken in beside our own's: said by whoever knows that this one was begun from it. */
  readonly ancestor: ClusterId | undefined
}

export interface RestoreContext {
  readonly replica: Pick<Replica, 'importEntries' | 'status' | 'write'>
  readonly hash: Hash
  readonly clock: Clock
  readonly timers: Timers
}

/** A snapshot of another cluster. */
export class ForeignSnapshotError extends Error {
  override readonly name = 'ForeignSnapshotError'
  readonly clusterId: ClusterId

  constructor(clusterId: ClusterId, ours: ClusterId) {
    super(`this snapshot is of cluster ${clusterId}, and this node belongs to ${ours}`)
    this.clusterId = clusterId
  }
}

/** A write that found the queue full waits for it. */
const RETRY_MS = 50
/** And no longer than this: then the node has something else to do. */
const PATIENCE_MS = 30_000
const WRITE_TIMEOUT_MS = 30_000

/**
 * Takes a snapshot into the running cluster, frame by frame: each is checked before, and durable here after, the next one is
 * read. What was deleted stays deleted (frontier.md R17), unless it is to be written anew.
 * @param tally is filled meanwhile, so that it tells how far it came when this throws.
 * @throws {MalformedSnapshotError}
 * @throws {ForeignSnapshotError} before anything is changed.
 * @throws {WriteError}
 * @throws {StoreError}
 */
export async function restoreSnapshot(
  source: AsyncIterable<Uint8Array>,
  request: RestoreRequest,
  tally: RestoreTally,
  context: RestoreContext,
): Promise<RestoreBody> {
  const { hash, replica } = context
  let manifest: SnapshotManifest | undefined
  let isWhole = false
  for await (const part of readSnapshot(source, hash)) {
    if (part.kind === 'manifest') {
      manifest = part.manifest
      const ours = replica.status().identity.cluster
      const isOurs = manifest.clusterId === ours || manifest.clusterId === request.ancestor
      if (!isOurs && request.anew !== 'all') throw new ForeignSnapshotError(manifest.clusterId, ours)
    } else if (part.kind === 'entries') {
      tally.add('entries', part.entries.length)
      if (request.anew === 'all') await writeAnew(part.entries, request, tally, context)
      else await takeIn(part.entries, request, tally, context)
    } else if (part.kind === 'end') isWhole = part.end.isWhole
  }
  const { clusterId = '', nodeId = '', name = '', takenAt = '', root = '' } = manifest ?? {}
  return tally.body({ clusterId, nodeId, name, takenAt, root: hexOf(root), whole: isWhole })
}

async function takeIn(
  entries: readonly Entry[],
  request: RestoreRequest,
  tally: RestoreTally,
  context: RestoreContext,
): Promise<void> {
  const fates = await context.replica.importEntries(entries)
  const wallMs = context.clock.wallMs()
  const quarantined: Entry[] = []
  for (const [index, entry] of entries.entries()) {
    const fate = fates[index] ?? 'failed'
    tally.note(entry, fate, wallMs)
    if (fate === 'quarantined') quarantined.push(entry)
  }
  if (request.anew === 'quarantined') await writeAnew(quarantined, request, tally, context)
}

/** Through the door that every client's write takes. What expires does so when it would have. */
async function writeAnew(
  entries: readonly Entry[],
  { bucket, prefix, onlyAbsent }: RestoreRequest,
  tally: RestoreTally,
  { clock, replica, timers }: RestoreContext,
): Promise<void> {
  const wallMs = clock.wallMs()
  const isWanted = ({ address }: Entry): boolean =>
    !isReserved(address) && (bucket === '' || bucketOf(address) === bucket) && keyOf(address).startsWith(prefix)
  const wanted = entries.filter((entry) => isVisible(entry, wallMs) && isWanted(entry))
  tally.add('skipped', entries.length - wanted.length)
  const writes = await Promise.allSettled(
    wanted.map(async ({ address, value, contentType, expiresAtMs }) => {
      const precondition = onlyAbsent ? ({ kind: 'absent' } as const) : undefined
      const written = { address, value, contentType, expiresAtMs, ...(precondition && { precondition }) }
      const { kind } = await writePatiently(
        { ...written, w: 1, timeoutMs: WRITE_TIMEOUT_MS },
        { clock, replica, timers },
      )
      tally.add(kind === 'applied' ? 'written' : 'kept')
    }),
  )
  // Only now: the others are counted, too.
  for (const write of writes) if (write.status === 'rejected') throw write.reason
}

async function writePatiently(
  request: WriteRequest,
  { clock, replica, timers }: Pick<RestoreContext, 'clock' | 'replica' | 'timers'>,
): ReturnType<Replica['write']> {
  const startedMs = clock.monotonicMs()
  for (;;) {
    try {
      return await replica.write(request)
    } catch (error) {
      const isFull = error instanceof WriteError && error.code === 'overloaded'
      if (!isFull || clock.monotonicMs() - startedMs > PATIENCE_MS) throw error
      await new Promise<void>((resolve) => {
        timers.after(RETRY_MS, resolve)
      })
    }
  }
}
