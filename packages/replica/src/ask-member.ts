import {
  RefusalError,
  UnreachableError,
  type Answer,
  type Clock,
  type Question,
  type QuestionName,
  type ReplicaId,
  type Transport,
} from '@grapevine/core'

/** Asks a member by its replica id, wherever it is now. */
export type AskMember = <Name extends QuestionName>(
  replica: ReplicaId,
  name: Name,
  question: Question<Name>,
  timeoutMs?: number,
) => Promise<Answer<Name>>

export interface AskContext {
  readonly transport: Transport
  readonly clock: Clock
  readonly addressOf: (replica: ReplicaId) => string | undefined
  /** The failure detector learns from every contact, so that routing avoids a dead peer after the first. */
  readonly onContact: (replica: ReplicaId, rttMs: number | undefined) => void
  /** A member says that we are evicted. The transport has made sure who says it. */
  readonly onFenced: () => void
  /** How a member answered: with an answer, or with an error. */
  readonly onOutcome: (replica: ReplicaId, error?: unknown) => void
  readonly timeoutMs: number
}

export function askMembers({
  transport,
  clock,
  addressOf,
  onContact,
  onFenced,
  onOutcome,
  timeoutMs,
}: AskContext): AskMember {
  return async (replica, name, question, limitMs = timeoutMs) => {
    const address = addressOf(replica)
    if (address === undefined) throw new UnreachableError('refused', `nobody knows where ${replica} is`)
    const startedMs = clock.monotonicMs()
    try {
      const answer = await transport.ask({ replica, address }, name, question, limitMs)
      // Its answer comes when something has happened there, which says nothing of the way.
      if (name !== 'await-versions') onContact(replica, clock.monotonicMs() - startedMs)
      onOutcome(replica)
      return answer
    } catch (error) {
      onOutcome(replica, error)
      // A refusal is an answer: somebody is alive there.
      if (error instanceof UnreachableError) onContact(replica, undefined)
      if (error instanceof RefusalError && error.code === 'evicted') onFenced()
      throw error
    }
  }
}

/** Whoever cannot be told now learns it from the next publication. */
export function ignoreAbsence(error: unknown): void {
  if (!(error instanceof UnreachableError || error instanceof RefusalError)) throw error
}
