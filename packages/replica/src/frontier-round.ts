import {
  compareHlc,
  foldableWriters,
  RefusalError,
  UnreachableError,
  type Clock,
  type Hlc,
  type Log,
  type ReplicaId,
} from '@grapevine/core'
import type { ChangeMembership } from './membership-change.ts'
import type { HeldBack, Publications } from './publications.ts'
import type { RollbackWatch } from './rollback-watch.ts'
import { askPublication, promiseAtLeast, type PublishContext } from './publish.ts'

export interface FrontierContext extends PublishContext {
  readonly publications: Publications
  readonly changeMembership: ChangeMembership
  readonly rollback: RollbackWatch
  readonly clock: Clock
  readonly log: Log
}

/**
 * Collects the publications of all members, and raises the frontier as far as they allow (frontier.md R9). Writers that all
 * members cover are folded on the way.
 * @param wanted what all are asked to promise, if their clocks have passed it.
 * @returns who holds the frontier back; nobody when it has reached what this replica promises.
 */
export async function frontierRound(wanted: Hlc, context: FrontierContext): Promise<readonly HeldBack[]> {
  const { state, publications, changeMembership, clock, log } = context
  const others = state()
    .members()
    .filter((replica) => replica !== state().identity?.replica)
  await Promise.all(others.map((replica) => collect(replica, wanted, context)))
  await promiseAtLeast(wanted, context)
  context.rollback.published()
  publications.note(state().publication())
  const { roster, frontier: before, folded } = state()
  const { frontier, holds } = publications.step(roster, before, clock.monotonicMs())
  const fold = foldableWriters(roster, publications.latest, folded)
  if (compareHlc(frontier, before) <= 0 && fold.length === 0) return publications.holds
  const promises = [...publications.latest.values()].map(({ replica, promise }) => [replica, promise] as const)
  await changeMembership((now) => ({
    // It only grows; whatever was taken over meanwhile stands.
    ...(compareHlc(frontier, now.frontier) > 0 && {
      frontier: { frontier, atMs: clock.wallMs(), takenFrom: '', promises },
    }),
    ...(fold.length > 0 && { fold }),
  }))
  log.info('frontier-raised', { frontier, folded: fold.length, holds: holds.length })
  return publications.holds
}

/** A member that does not answer keeps its latest publication: what it promised still holds. */
async function collect(replica: ReplicaId, wanted: Hlc, context: FrontierContext): Promise<void> {
  try {
    context.publications.note(await askPublication(replica, wanted, context))
  } catch (error) {
    if (!(error instanceof UnreachableError || error instanceof RefusalError)) throw error
  }
}
