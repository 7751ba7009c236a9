import { sample, type Answer, type ClusterId, type Random, type ReplicaId, type Transport } from '@grapevine/core'
import { ignoreAbsence, type AskMember } from './ask-member.ts'
import type { FatalError } from './fatal-error.ts'
import { memberHello } from './join.ts'
import type { FailureDetector } from './membership/failure-detector.ts'
import { strangerError, type StrangerWatch } from './stranger-watch.ts'

export interface StrangerRoundContext {
  readonly strangers: StrangerWatch
  readonly detector: FailureDetector
  readonly ask: AskMember
  /** Exchanges with one member what both know of members, frontier and folded writers. */
  readonly publishTo: (replica: ReplicaId) => Promise<void>
  readonly transport: Transport
  readonly random: Random
  readonly cluster: () => ClusterId | undefined
  readonly peerTimeoutMs: number
  /** It cannot go on. */
  readonly fail: (error: FatalError) => void
}

/** Members asked at once. */
const MEMBERS_PER_ROUND = 16

/**
 * Asks members whether they know us, looks where those are that say nothing, and tells those that have forgotten us
 * (frontier.md R14, R16). Also where pulls and probes are slow to come by: how long a member has not known us must be seen.
 */
export async function strangerRound(context: StrangerRoundContext): Promise<void> {
  const { strangers, detector, ask, publishTo, random, fail } = context
  const asked = sample(strangers.inDoubt, MEMBERS_PER_ROUND, random)
  await Promise.all(asked.map((replica) => publishTo(replica).catch(ignoreAbsence)))
  const unheard = sample(strangers.unheard(detector.livePeers().length === 0), MEMBERS_PER_ROUND, random)
  await Promise.all(unheard.map((replica) => lookFor(replica, context)))
  await Promise.all(strangers.forgetful.map((replica) => ask(replica, 'forgotten', {}).catch(ignoreAbsence)))
  if (strangers.isStranger) fail(strangerError())
}

/** Whether another replica lives by now where this member was last. */
async function lookFor(replica: ReplicaId, context: StrangerRoundContext): Promise<void> {
  const known = context.detector.member(replica)
  if (known === undefined) return
  const answer = await memberHello(known.address, context)
  if (typeof answer === 'object') noteBearer(answer, context)
}

/** Of two members of one name one was evicted for the other. */
export function noteBearer(
  { cluster, replica, name, member: isMember }: Answer<'hello'>,
  { cluster: ours, detector, strangers }: Pick<StrangerRoundContext, 'cluster' | 'detector' | 'strangers'>,
): void {
  if (cluster !== ours() || !isMember) return
  for (const known of detector.members())
    if (known.name === name && known.replica !== replica) strangers.noteReplaced(known.replica)
}
