import type { CheckerKind } from './checker-kind.ts'
import { NodeLives } from './node-lives.ts'

export const isolation: CheckerKind = {
  name: 'isolation',
  guards: 'P15, R3',
  asserts:
    'No node takes in a frame of another cluster, or one that is meant for another replica, such as the one it was before it was wiped. ' +
    'Who is not a member yet names no cluster, and a caller that knows only an address names no replica.',
  watch(complain) {
    const lives = new NodeLives()
    return {
      first: (event) => void lives.see(event),
      accepted({ atMs, from, to, name, fromCluster, toCluster, toReplica }) {
        if (fromCluster !== '' && toCluster !== '' && fromCluster !== toCluster)
          complain({
            atMs,
            node: to,
            message: `${to} of ${toCluster} took in "${name}" from ${from} of ${fromCluster}`,
          })
        const replica = lives.replica(to)
        // While a node joins it may throw one id away for the next, but a former one it never is again.
        const isForAnother =
          lives.isServing(to) && replica !== undefined ? replica !== toReplica : lives.wasReplica(to, toReplica)
        if (toReplica !== '' && isForAnother)
          complain({
            atMs,
            node: to,
            message: `${to}, which is ${replica ?? 'new'}, took in "${name}" from ${from} that was meant for ${toReplica}`,
          })
      },
    }
  },
}
