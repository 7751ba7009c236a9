import { Audit } from './audit.ts'
import type { CheckerKind } from './checker-kind.ts'
import { NodeLives } from './node-lives.ts'
import { listed } from './wording.ts'

export const sameMembers: CheckerKind = {
  name: 'same-members',
  guards: 'R13, R14, R15',
  asserts:
    'At the audit all live nodes of a cluster know the same members: each other, nodes that are away, and nobody else. An id that ' +
    'no node bears any more would hold the frontier back for ever.',
  watch(complain) {
    const lives = new NodeLives()
    const audit = new Audit(lives)
    /** Which node each replica was, whatever became of its disk. */
    const bearers = new Map<string, string>()
    return {
      first(event) {
        lives.see(event)
        audit.see(event)
      },
      process({ node, replica }) {
        if (replica !== undefined) bearers.set(replica, node)
      },
      finish() {
        const shown = new Set(audit.compared.map(({ node }) => node))
        for (const compared of audit.clusters.values()) {
          const here = new Map(compared.map(({ node, replica }) => [replica, node]))
          const known = new Set(compared.flatMap(({ members = [] }) => members))
          const ghosts = [...known].filter((replica) => {
            const bearer = bearers.get(replica)
            return !here.has(replica) && (bearer === undefined || shown.has(bearer))
          })
          for (const { node, atMs, members } of compared) {
            if (members === undefined) continue
            const lacking = [...known, ...here.keys()].filter((replica) => !members.includes(replica))
            const names = [...new Set(lacking)].map((replica) => here.get(replica) ?? replica)
            if (names.length > 0)
              complain({ atMs, node, message: `${node} does not know ${listed(names)} as a member` })
          }
          const [first] = compared
          if (first !== undefined && ghosts.length > 0)
            complain({ atMs: first.atMs, message: `members that no node is: ${listed(ghosts)}` })
        }
      },
    }
  },
}
