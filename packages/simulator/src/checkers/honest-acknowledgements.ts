import type { EtagText, EventOf } from '../history/history.ts'
import type { CheckerKind } from './checker-kind.ts'

export const honestAcknowledgements: CheckerKind = {
  name: 'honest-acknowledgements',
  guards: 'P1',
  asserts:
    'A write that ended as applied had as many acknowledgements as it asked for; and at that moment at least so many nodes had ' +
    'made its version, or a greater one of its key, durable, the coordinator among them.',
  watch(complain, { diskIsSeen }) {
    const open = new Map<number, EventOf<'invoke'>>()
    // Whatever becomes of a disk later: when it was told, it was true.
    const reached = new Map<string, Map<string, EtagText>>()
    return {
      invoke(event) {
        if (event.action !== 'get') open.set(event.op, event)
      },
      stored({ node, key, version }) {
        const nodes = reached.get(key) ?? new Map<string, EtagText>()
        reached.set(key, nodes)
        if ((nodes.get(node) ?? '') < version) nodes.set(node, version)
      },
      written({ atMs, op, outcome, version, acks = 1, members }) {
        const invoke = open.get(op)
        open.delete(op)
        if (invoke === undefined || outcome !== 'applied' || version === undefined) return
        const { key, node } = invoke
        const object = (message: string): void => complain({ atMs, key, node, message })
        const needed = acksNeeded(invoke.w ?? 1, members)
        if (needed !== undefined && acks < needed)
          object(`op ${op} asked for ${needed} node(s) and was applied with ${acks}`)
        if (!diskIsSeen) return
        const holders = [...(reached.get(key) ?? [])].filter(([, held]) => held >= version).map(([holder]) => holder)
        if (holders.length < acks)
          object(
            `op ${op}: ${acks} node(s) are said to hold ${version}; it is durable on ${holders.join(', ') || 'none'}`,
          )
        else if (!holders.includes(node))
          object(`op ${op} was applied as ${version}, which its coordinator ${node} has not made durable`)
      },
    }
  },
}

/** `undefined` when it cannot be told from the history. */
function acksNeeded(w: number | 'quorum' | 'all', members: number | undefined): number | undefined {
  if (typeof w === 'number') return w
  if (members === undefined) return undefined
  return w === 'all' ? members : Math.floor(members / 2) + 1
}
