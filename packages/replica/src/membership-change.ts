import { errorOf, type MembershipNow, type MembershipThen } from './arrival.ts'
import type { Committer } from './committer.ts'

/** Changes identity, roster or known peers by the one door, and resolves when that is durable. */
export type ChangeMembership = (change: (current: MembershipNow) => MembershipThen) => Promise<void>

export function membershipChanger(committer: Committer): ChangeMembership {
  return (change) =>
    new Promise((settle, reject) => {
      committer.submit({
        kind: 'membership',
        change,
        settle,
        fail: (failure) => reject(errorOf(failure)),
      })
    })
}
