import type { EtagText } from '../history/history.ts'
import type { CheckerKind } from './checker-kind.ts'
import { DurableVersions } from './durable-versions.ts'
import { Sessions } from './sessions.ts'

interface OpenWrite {
  readonly client: string
  readonly node: string
  readonly key: string
  readonly life: number
  readonly held: EtagText | undefined
  readonly seen: EtagText | undefined
  readonly ifMatch: EtagText | null | undefined
}

export const orderedUpdates: CheckerKind = {
  name: 'ordered-updates',
  guards: 'P5',
  asserts:
    'An applied write has a greater version than any version of its key that its coordinator held durably, or its session had seen, when it ' +
    'was asked for. Of the writes on condition that a node holds one version, one node applies one.',
  watch(complain) {
    const durable = new DurableVersions()
    const sessions = new Sessions()
    const open = new Map<number, OpenWrite>()
    /** Which write a condition let pass, per node, key and version. */
    const passed = new Map<string, number>()
    return {
      first: (event) => void durable.endLives(event),
      last(event) {
        durable.take(event)
        sessions.see(event)
      },
      invoke({ op, client, node, key, action, session, ifMatch }) {
        if (action === 'get') return
        const held = durable.of(node, key)?.version
        const seen = session === true ? sessions.of(client, key)?.version : undefined
        open.set(op, { client, node, key, life: durable.lives.life(node), held, seen, ifMatch })
      },
      written({ atMs, op, outcome, version }) {
        const write = open.get(op)
        open.delete(op)
        if (write === undefined || outcome !== 'applied' || version === undefined) return
        const { node, key, held, seen, client, ifMatch, life } = write
        const object = (message: string): void => complain({ atMs, node, key, message })
        if (life === durable.lives.life(node) && held !== undefined && version <= held)
          object(`op ${op} was applied as ${version} on ${node}, which held ${held} already`)
        if (seen !== undefined && version <= seen)
          object(`op ${op} of ${client} was applied as ${version}, and ${client} had seen ${seen}`)
        if (typeof ifMatch !== 'string') return
        if (version <= ifMatch) object(`op ${op} replaced ${ifMatch} by ${version}, which is not greater`)
        const condition = `${node} ${life} ${ifMatch} ${key}`
        const former = passed.get(condition)
        if (former === undefined) passed.set(condition, op)
        else object(`ops ${former} and ${op} both replaced ${ifMatch} on ${node}`)
      },
    }
  },
}
