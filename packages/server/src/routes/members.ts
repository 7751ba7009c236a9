import type { MemberView, Replica } from '@grapevine/replica'
import { ProblemError } from '../http/problem.ts'

/** `host:port` of a member's client port. */
export function clientAddressOf({ clientUrl }: MemberView): string {
  return clientUrl.replace(/^https?:\/\//, '').replace(/\/$/, '')
}

/**
 * The member that somebody means by a name, a node id, a URL or an address. Of two with one name, the member comes
 * before the evicted one that it replaced.
 * @throws {ProblemError} `not_found`.
 */
export function findMember(replica: Replica, text: string): MemberView {
  const members = replica.members().toSorted((a, b) => Number(a.state === 'evicted') - Number(b.state === 'evicted'))
  const plain = text.replace(/\/$/, '')
  const found = members.find(
    (member) =>
      member.name === text ||
      member.replica === text ||
      member.clientUrl.replace(/\/$/, '') === plain ||
      clientAddressOf(member) === plain ||
      member.address === plain,
  )
  if (found !== undefined) return found
  const names = members.map(({ name }) => name).join(', ')
  throw new ProblemError(
    'not_found',
    `No member is called ${JSON.stringify(text.slice(0, 100))}. Members are ${names}.`,
  )
}
