import type { QuestionName } from '../conversations.ts'
import type { Refusal } from '../errors.ts'
import type { Identity } from '../ports.ts'
import type { ClusterId, ReplicaId } from '../version/version.ts'
import { standingOf, type Roster } from './roster.ts'

/** Who asks whom, as the frame says. */
export interface QuestionHeader {
  readonly cluster: ClusterId | ''
  readonly from: ReplicaId | ''
  readonly to: ReplicaId | ''
  readonly name: QuestionName
}

/** What anybody may ask who does not know who answers. */
const FOR_ANYBODY: ReadonlySet<QuestionName> = new Set(['hello', 'join'])
/** What a stranger may ask a certain member of his own cluster. */
const FOR_STRANGERS: ReadonlySet<QuestionName> = new Set([...FOR_ANYBODY, 'forgotten'])
/** What a joiner answers: it takes data from its sponsor alone, by asking (frontier.md R13). */
const FOR_JOINERS: ReadonlySet<QuestionName> = new Set([
  'hello',
  'publish',
  'time',
  'probe',
  'indirect-probe',
  'gossip',
  'push-pull',
])

/** Whether a question may be answered at all, from its header alone (R3, R14). */
export function judge(header: QuestionHeader, identity: Identity | undefined, roster: Roster): Refusal | undefined {
  const { cluster, from, to, name } = header
  const isForAnybody = FOR_ANYBODY.has(name)
  if (identity === undefined) return isForAnybody ? undefined : 'not-founded'
  if (cluster !== identity.cluster && !(cluster === '' && isForAnybody)) return 'wrong-cluster'
  if (to !== identity.replica && !(to === '' && isForAnybody)) return 'wrong-replica'
  if (from !== '' && standingOf(roster, from) === 'evicted') return 'evicted'
  if (FOR_STRANGERS.has(name)) return undefined
  if (standingOf(roster, from) !== 'member') return 'not-introduced'
  return identity.stage === 'joining' && !FOR_JOINERS.has(name) ? 'not-bootstrapped' : undefined
}
