import type { CheckerKind } from './checker-kind.ts'
import { NodeLives } from './node-lives.ts'

export const treeEqualsData: CheckerKind = {
  name: 'tree-equals-data',
  guards: 'P11, F13, F14',
  asserts:
    'The root that a node keeps is the one that its rows give, and none of its rows is corrupt; unless its disk was damaged and not wiped since.',
  watch(complain) {
    const lives = new NodeLives()
    return {
      first: (event) => void lives.see(event),
      contents({ atMs, node, root, recomputedRoot, corrupt }) {
        if (lives.isDamaged(node)) return
        if (root !== recomputedRoot)
          complain({ atMs, node, message: `${node} keeps the root ${root}, and its rows give ${recomputedRoot}` })
        if (corrupt > 0)
          complain({ atMs, node, message: `${corrupt} row(s) of ${node} are corrupt, and nothing damaged its disk` })
      },
    }
  },
}
