import {
  bytesOf,
  compareHlc,
  foldableWriters,
  hexOf,
  RefusalError,
  UnreachableError,
  vectorText,
  type Barrier,
  type Clock,
  type FrontierGrounds,
  type Hash,
  type Hlc,
  type Hold,
  type Log,
  type ReplicaId,
} from '@grapevine/core'
import type { ChangeMembership } from './membership-change.ts'
import type { Publications } from './publications.ts'
import type { RollbackWatch } from './rollback-watch.ts'
import { askPublication, promiseAtLeast, type PublishContext } from './publish.ts'

export interface FrontierContext extends PublishContext {
  readonly publications: Publications
  readonly changeMembership: ChangeMembership
  readonly rollback: RollbackWatch
  readonly clock: Clock
  readonly hash: Hash
  readonly log: Log
}

/**
 * Collects the publications of all members, and raises the frontier as far as they allow (frontier.md R9). Writers that all
 * members cover are folded on the way.
 * @param wanted what all are asked to promise, if their clocks have passed it.
 * @returns who holds the frontier back; nobody when it has reached what this replica promises.
 */
export async function frontierRound(wanted: Hlc, context: FrontierContext): Promise<readonly Hold[]> {
  const { state, publications, changeMembership, clock, hash, log } = context
  await collectPublications(wanted, context)
  await promiseAtLeast(wanted, context)
  context.rollback.published()
  publications.note(state().publication())
  const { roster, frontier: before, folded } = state()
  const { frontier, reached, holds } = publications.step(roster, before)
  const fold = foldableWriters(roster, publications.latest, folded)
  if (compareHlc(frontier, before) <= 0 && fold.length === 0) return holds
  const grounds: FrontierGrounds = {
    frontier,
    atMs: Math.round(clock.wallMs()),
    takenFrom: '',
    promises: [...publications.latest.values()].map(({ replica, promise }) => [replica, promise]),
    evicted: roster.evicted,
    ...(reached !== undefined && accountOf(reached, hash)),
  }
  await changeMembership((now) => ({
    // It only grows; whatever was taken over meanwhile stands.
    ...(compareHlc(frontier, now.frontier) > 0 && { frontier: grounds }),
    ...(fold.length > 0 && { fold }),
  }))
  log.info('frontier-raised', { frontier, folded: fold.length, holds: holds.length })
  return holds
}

const ACCOUNT_HASH_BYTES = 8

function accountOf({ union }: Barrier, hash: Hash): Pick<FrontierGrounds, 'union'> {
  const text = union.map((vector) => vectorText(vector.rows())).join('|')
  return {
    union: {
      hash: hexOf(hash.sha256(bytesOf(text)).slice(0, ACCOUNT_HASH_BYTES)),
      writes: union.reduce((sum, vector) => sum + vector.size, 0),
    },
  }
}

/** Asks all other members. What they say is remembered, and nothing comes of it by itself. */
export async function collectPublications(wanted: Hlc, context: FrontierContext): Promise<void> {
  const others = context.state().others()
  await Promise.all(others.map((replica) => collect(replica, wanted, context)))
}

/** A member that does not answer keeps its latest publication: what it promised still holds. */
async function collect(replica: ReplicaId, wanted: Hlc, context: FrontierContext): Promise<void> {
  try {
    context.publications.note(await askPublication(replica, wanted, context))
  } catch (error) {
    if (!(error instanceof UnreachableError || error instanceof RefusalError)) throw error
    if (error instanceof RefusalError && error.code === 'busy') context.publications.noteUnacquainted(replica)
  }
}
