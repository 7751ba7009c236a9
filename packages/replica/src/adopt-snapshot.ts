import {
  laterHlc,
  type Admission,
  type Clock,
  type ClusterId,
  type Digest,
  type Entry,
  type Hlc,
  type Log,
  type Partition,
  type ReplicaId,
  type StoredState,
  type Timers,
  type VectorRows,
  type WriterId,
} from '@grapevine/core'
import { errorOf, type MembershipThen, type RemoteEntries } from './arrival.ts'
import type { Committer } from './committer.ts'
import { FatalError } from './fatal-error.ts'
import { freshTree } from './fresh-tree.ts'

/** A whole snapshot that was read to its end before, to begin a cluster from. */
export interface SnapshotSource {
  /** For messages. */
  readonly path: string
  readonly clusterId: ClusterId
  readonly nodeId: ReplicaId
  /** H, clock and F of its moment. */
  readonly promise: Hlc
  readonly clock: Hlc
  readonly frontier: Hlc
  readonly folded: readonly WriterId[]
  readonly root: Digest
  /** V, all of it. */
  readonly vectors: readonly (readonly [Partition, VectorRows])[]
  /** All of them, in handfuls. */
  entries(): AsyncIterable<readonly Entry[]>
}

export interface AdoptionContext {
  readonly committer: Committer
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Log
  readonly driftMs: number
  readonly isStopping: () => boolean
}

/** What the founder's identity is committed with. */
export type Adopted = Pick<MembershipThen, 'fold' | 'witness'>

/**
 * Adopts a snapshot whole, in an empty directory, before the first publication (frontier.md R18): entries, then vectors and
 * frontier, and with the identity, which its caller commits last, folded writers and the clock. Whatever ends this in the middle
 * leaves a directory that is nobody's.
 *
 * It is right for the reason for which a joiner may adopt its sponsor's complete answer (R7, R13): vectors, frontier and rows are of one
 * moment, and nobody else is a member of the new cluster. What the old one has written since is unknown here, and is an
 * import when it turns up.
 * @returns `undefined` when the node was told to stop.
 * @throws {FatalError} `bad_snapshot`
 */
export async function adoptSnapshot(source: SnapshotSource, context: AdoptionContext): Promise<Adopted | undefined> {
  const { committer, clock, timers, log, driftMs, isStopping } = context
  const { path, nodeId, promise, frontier, folded, root, vectors } = source
  const latest = laterHlc(promise, source.clock)
  if (latest.wallMs > clock.wallMs() + driftMs)
    throw new FatalError(
      'bad_snapshot',
      `${path} is of ${new Date(latest.wallMs).toISOString()}, which is further ahead of this node's clock than --drift-max. ` +
        `Nobody could join a cluster that begins there. Set the clock, best by NTP, and start again.`,
    )
  const nothing = { kind: 'entries', source: 'bootstrap', from: nodeId, claims: [], clock: latest, frontier } as const
  let adopted = 0
  for await (const entries of source.entries()) {
    if (isStopping()) return undefined
    const admissions = await submit({ ...nothing, entries }, committer)
    if (admissions.some((admission) => admission !== 'news')) throw changedError(path)
    adopted += entries.length
  }
  await submit({ ...nothing, entries: [], claims: vectors }, committer)
  const tree = await freshTree(committer.state, timers)
  if (tree.root() !== root) throw changedError(path)
  log.info('snapshot-adopted', { path, entries: adopted, of: source.clusterId, frontier })
  return { fold: folded, witness: latest }
}

/** Whether a directory without an identity has something in it all the same: somebody began to adopt a snapshot there. */
export function isUnfinished({ identity, totals, vectors }: StoredState): boolean {
  return identity === undefined && (totals.bytes > 0 || vectors.some((vector) => !vector.isEmpty))
}

export function unfinishedError(): FatalError {
  return new FatalError(
    'unfinished_restore',
    'this directory holds a part of a snapshot that a cluster was to begin from, and belongs to nobody. Start it again with ' +
      '--found --restore FILE, which begins anew, or with --rebuild to move it aside and join a cluster.',
  )
}

function submit(arrival: Omit<RemoteEntries, 'settle' | 'fail'>, committer: Committer): Promise<readonly Admission[]> {
  return new Promise((settle, reject) => {
    committer.submit({ ...arrival, settle, fail: (failure) => reject(errorOf(failure)) })
  })
}

function changedError(path: string): FatalError {
  return new FatalError('bad_snapshot', `${path} was changed while it was read. Nothing was founded; start again.`)
}
