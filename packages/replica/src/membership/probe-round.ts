import {
  MalformedMessageError,
  RefusalError,
  UnreachableError,
  type Answer,
  type Clock,
  type LocalHealth,
  type MemberUpdate,
  type Question,
  type QuestionName,
  type ReplicaId,
} from '@grapevine/core'

export interface ProbeOptions {
  readonly intervalMs: number
  readonly timeoutMs: number
  /** How many members we ask to probe a silent one for us before we suspect it. */
  readonly indirectProbes: number
}

/** Asks a member at whatever address it has now. Throws as {@link Transport.ask} does. */
export type AskMember = <Name extends QuestionName>(
  replica: ReplicaId,
  name: Name,
  question: Question<Name>,
  timeoutMs: number,
) => Promise<Answer<Name>>

export interface ProbeContext {
  readonly ask: AskMember
  readonly clock: Clock
  readonly options: ProbeOptions
  readonly health: LocalHealth
  /** Members to ask about a silent one, at random. */
  helpersFor(target: ReplicaId): readonly ReplicaId[]
  /** What to tell this member, beginning with what it is accused of and what we think of `about`. */
  newsFor(replica: ReplicaId, about?: ReplicaId): readonly MemberUpdate[]
  receive(from: ReplicaId, updates: readonly MemberUpdate[]): void
  answered(target: ReplicaId, rttMs: number): void
  sleptSince(ms: number): boolean
}

export type ProbeVerdict =
  | 'answered'
  /** It did not answer us, but somebody else. */
  | 'vouched'
  | 'silent'
  /** We slept meanwhile, so our own ears prove nothing. */
  | 'void'

/** One probe of one member (SWIM §3.1): ask it, then ask others to ask it. */
export async function probeRound(target: ReplicaId, context: ProbeContext): Promise<ProbeVerdict> {
  const { clock, health, options } = context
  const startMs = clock.monotonicMs()
  if (await reaches(target, options.timeoutMs * health.multiplier, context)) {
    health.note('probe-answered')
    return 'answered'
  }
  if (context.sleptSince(startMs)) return 'void'

  const views = await Promise.all(context.helpersFor(target).map((helper) => askHelper(helper, target, context)))
  if (context.sleptSince(startMs)) return 'void'
  for (const view of views) if (view === 'no-answer') health.note('nack-missed')
  return views.includes('reached') ? 'vouched' : 'silent'
}

/** One direct probe. */
export async function reaches(target: ReplicaId, timeoutMs: number, context: ProbeContext): Promise<boolean> {
  const { ask, clock } = context
  const startMs = clock.monotonicMs()
  try {
    const { updates } = await ask(target, 'probe', { updates: context.newsFor(target) }, timeoutMs)
    context.receive(target, updates)
  } catch (error) {
    if (!isSignOfLife(error)) return false
  }
  context.answered(target, clock.monotonicMs() - startMs)
  return true
}

async function askHelper(
  helper: ReplicaId,
  target: ReplicaId,
  context: ProbeContext,
): Promise<'reached' | 'not-reached' | 'no-answer'> {
  const { ask, options, health } = context
  // Half a time-out more than the helper's own probe takes, so that "not reached" comes in time.
  const timeoutMs = options.timeoutMs * 1.5 * health.multiplier
  try {
    const question = { target, updates: context.newsFor(helper, target) }
    const { reached, updates } = await ask(helper, 'indirect-probe', question, timeoutMs)
    context.receive(helper, updates)
    return reached ? 'reached' : 'not-reached'
  } catch (error) {
    return isSignOfLife(error) ? 'not-reached' : 'no-answer'
  }
}

/** A refusal is an answer, unless it comes from somebody else at that address (F28). A bug of ours is neither. */
export function isSignOfLife(error: unknown): boolean {
  if (error instanceof RefusalError) return error.code !== 'wrong-replica' && error.code !== 'wrong-cluster'
  if (error instanceof UnreachableError || error instanceof MalformedMessageError) return false
  throw error
}
