import type { EtagText } from '../history/history.ts'
import type { CheckerKind } from './checker-kind.ts'
import { DurableVersions } from './durable-versions.ts'
import { Sessions } from './sessions.ts'

interface OpenWrite {
  readonly client: string
  readonly node: string
  readonly key: string
  readonly life: number
  readonly durable: EtagText | undefined
  readonly seen: EtagText | undefined
}

/** A writer's numbers in one partition, with the versions they were given. */
type Numbered = Map<number, { readonly version: EtagText; readonly key: string }>

export const causality: CheckerKind = {
  name: 'causality',
  guards: 'P5, R1, R6',
  asserts:
    'Versions keep the order of cause and effect over all keys: a write is later, by its hybrid clock, than everything its coordinator had ' +
    'durable and everything its session had seen when it was asked for; and of two writes of one writer in one partition the one with the greater number is later.',
  watch(complain) {
    const durable = new DurableVersions()
    const sessions = new Sessions()
    const open = new Map<number, OpenWrite>()
    const writers = new Map<string, Numbered>()
    let lastMs = 0
    return {
      first(event) {
        lastMs = event.atMs
        durable.endLives(event)
      },
      last(event) {
        durable.take(event)
        sessions.see(event)
      },
      invoke({ op, client, node, key, action, session }) {
        if (action === 'get') return
        const seen = session === true ? sessions.latest(client) : undefined
        open.set(op, { client, node, key, life: durable.lives.life(node), durable: durable.latest(node), seen })
      },
      written({ atMs, op, outcome, version }) {
        const write = open.get(op)
        open.delete(op)
        if (write === undefined || outcome !== 'applied' || version === undefined) return
        const { node, key, client, seen } = write
        const before = write.life === durable.lives.life(node) ? write.durable : undefined
        if (before !== undefined && hlcOf(version) <= hlcOf(before))
          complain({
            atMs,
            node,
            key,
            message: `op ${op} was applied as ${version}, though ${node} had ${before} before`,
          })
        if (seen !== undefined && hlcOf(version) <= hlcOf(seen))
          complain({
            atMs,
            node,
            key,
            message: `op ${op} was applied as ${version}, though ${client} had seen ${seen} before`,
          })
      },
      stored({ key, version, partition, dot: [writer, seq] }) {
        const name = `${writer} in ${partition === undefined ? `key ${key}` : `partition ${partition}`}`
        const numbers: Numbered = writers.get(name) ?? new Map()
        writers.set(name, numbers)
        numbers.set(seq, { version, key })
      },
      finish() {
        for (const [name, numbers] of writers) {
          let former: EtagText | undefined
          // Entries arrive in any order, so the numbers can be gone through only now.
          for (const [seq, { version, key }] of [...numbers].toSorted(([a], [b]) => a - b)) {
            if (former !== undefined && version <= former)
              complain({
                atMs: lastMs,
                key,
                message: `number ${seq} of writer ${name} is ${version}, and a smaller number was ${former}`,
              })
            former = version
          }
        }
      },
    }
  },
}

function hlcOf(version: EtagText): string {
  return version.slice(0, 16)
}
