import { compareHlc, type Hlc } from '../clock/hlc.ts'
import { membersOf } from '../membership/roster.ts'
import type { ReplicaId } from '../version/version.ts'
import { unionOf, type FrontierView, type Hold } from './frontier.ts'
import { lackedBy, type Publication } from './publication.ts'

/**
 * What a member has said so far that lets the frontier pass some hlc, and what is still wanting of it. Its latest publication
 * goes on counting while it is silent: what it has promised and covered, it has promised and covered for good.
 */
export interface Acknowledgement {
  readonly replica: ReplicaId
  /** H of its latest publication; `undefined` without one that counts. */
  readonly promise: Hlc | undefined
  /** Writes that some member has covered and that this one had not. */
  readonly lacks: number
  /**
   * Why the frontier waits for it, or `undefined` when it does not. `unacquainted`: it answers, and promises nothing before it
   * has heard what all others have seen.
   */
  readonly waits: Hold['reason'] | 'promised-less' | 'unacquainted' | undefined
}

/**
 * What each member has done for the frontier to pass `need` (frontier.md R9). For people: it decides nothing, and says of
 * the round under way, or of the one that would begin now, who is waited for and why.
 */
export function acknowledgements(
  need: Hlc,
  { roster, barrier, publications }: Omit<FrontierView, 'frontier'>,
): readonly Acknowledgement[] {
  const isMarked = ({ roster: { evicted } }: Publication): boolean =>
    roster.evicted.every((replica) => evicted.includes(replica))
  const members = membersOf(roster)
  const counting = members.flatMap((replica) => publications.get(replica) ?? []).filter(isMarked)
  const isUnderWay = barrier?.evicted.length === roster.evicted.length && compareHlc(barrier.promise, need) >= 0
  const union = isUnderWay ? barrier.union : unionOf(counting)
  return members.map((replica) => {
    const publication = publications.get(replica)
    if (publication === undefined) return { replica, promise: undefined, lacks: 0, waits: 'silent' }
    if (!isMarked(publication)) return { replica, promise: undefined, lacks: 0, waits: 'unaware-of-eviction' }
    const { promise } = publication
    const lacks = lackedBy(publication, union)
    const hasPromised = isUnderWay || compareHlc(promise, need) >= 0
    return { replica, promise, lacks, waits: lacks > 0 ? 'lacks-entries' : hasPromised ? undefined : 'promised-less' }
  })
}
