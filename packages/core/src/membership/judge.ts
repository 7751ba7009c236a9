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

/** What a stranger may ask. */
const FOR_STRANGERS: ReadonlySet<QuestionName> = new Set(['hello', 'join', 'forgotten'])
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
  const isStrangerToo = FOR_STRANGERS.has(name)
  if (identity === undefined) return isStrangerToo ? undefined : 'not-founded'
  if (cluster !== identity.cluster && !(cluster === '' && isStrangerToo)) return 'wrong-cluster'
  if (to !== identity.replica && !(to === '' && isStrangerToo)) return 'wrong-replica'
  if (from !== '' && standingOf(roster, from) === 'evicted') return 'evicted'
  if (isStrangerToo) return undefined
  if (standingOf(roster, from) !== 'member') return 'not-introduced'
  return identity.stage === 'joining' && !FOR_JOINERS.has(name) ? 'not-bootstrapped' : undefined
}
