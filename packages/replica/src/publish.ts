import {
  compareHlc,
  hlcAt,
  HLC_ZERO,
  VersionVector,
  type Answer,
  type Clock,
  type Hlc,
  type Publication,
  type Question,
  type ReplicaId,
  type Roster,
  type ShortHash,
} from '@grapevine/core'
import type { AskMember } from './ask-member.ts'
import type { ChangeMembership } from './membership-change.ts'
import type { ReplicaState } from './replica-state.ts'

/** What members tell each other of the cluster: both sides of a publication carry it. */
export type Knowledge = Pick<Question<'publish'>, 'roster' | 'folded' | 'frontier'>

export interface PublishContext {
  readonly ask: AskMember
  readonly state: () => ReplicaState
  /** Stores what another member knows, before it has any effect. */
  readonly learn: (knowledge: Knowledge, from: ReplicaId) => Promise<void>
}

export function knowledgeOf(state: ReplicaState): Knowledge {
  return { roster: state.roster, folded: state.foldedRows(), frontier: state.frontier }
}

/**
 * Rosters, folded writers and the frontier, both ways; vectors are left at home.
 * @returns the other's roster.
 */
export async function exchangeKnowledge(replica: ReplicaId, { ask, state, learn }: PublishContext): Promise<Roster> {
  const answer = await ask(replica, 'publish', { ...knowledgeOf(state()), partitions: [], wanted: HLC_ZERO })
  await learn(answer, replica)
  return answer.roster
}

/** The publication of a member, of one moment of it. Of its vectors only those travel that are not as ours. */
export async function askPublication(
  replica: ReplicaId,
  wanted: Hlc,
  { ask, state, learn }: PublishContext,
): Promise<Publication> {
  const mine = state().publication()
  const partitions = state().partitionVectorHashes()
  const answer = await ask(replica, 'publish', { ...knowledgeOf(state()), partitions, wanted })
  // Its K has to be part of ours before the publication counts (frontier.md R9).
  await learn(answer, replica)
  const theirs = new Map(answer.vectors)
  return {
    replica,
    roster: answer.roster,
    promise: answer.promise,
    vectors: mine.vectors.map((vector, partition) => {
      const rows = theirs.get(partition)
      return rows === undefined ? vector : VersionVector.of(rows)
    }),
    folded: new Set(answer.folded),
    closed: answer.closed,
  }
}

/** The answer to `publish`, all of it read in one turn. */
export function publicationFor(state: ReplicaState, hashes: readonly ShortHash[]): Answer<'publish'> {
  const { promise, closed } = state
  const ours = state.partitionVectorHashes()
  const differing = hashes.flatMap((hash, partition) => (hash === ours[partition] ? [] : [partition]))
  return {
    ...knowledgeOf(state),
    promise,
    closed,
    vectors: differing.map((partition) => [partition, state.vector(partition).rows()]),
  }
}

/**
 * Promises at least `wanted`, or what the wall clock shows if that is less: nothing older will enter through this
 * replica any more. Writes and what arrives raise the promise by themselves; only what expires waits for time alone.
 */
export async function promiseAtLeast(
  wanted: Hlc,
  { state, clock, changeMembership }: { state: () => ReplicaState; clock: Clock; changeMembership: ChangeMembership },
): Promise<void> {
  const wall = hlcAt(clock.wallMs())
  const witness = compareHlc(wanted, wall) <= 0 ? wanted : wall
  if (compareHlc(witness, state().promise) > 0) await changeMembership(() => ({ witness }))
}
