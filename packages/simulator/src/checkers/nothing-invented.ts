import type { CheckerKind } from './checker-kind.ts'

export const nothingInvented: CheckerKind = {
  name: 'nothing-invented',
  guards: 'P11',
  asserts:
    'Every value that is stored, read or found in contents was put before, by some client, under that very key; a tombstone appears ' +
    'only where somebody asked for a delete.',
  watch(complain) {
    const keyOf = new Map<string, string>()
    const deleted = new Set<string>()
    const reads = new Map<number, { key: string; node: string }>()

    const check = (key: string, value: string | undefined, atMs: number, node: string, where: string): void => {
      if (value === undefined) {
        if (!deleted.has(key))
          complain({ atMs, key, node, message: `a tombstone of ${key} is ${where}, and nobody deleted it` })
        return
      }
      const origin = keyOf.get(value)
      if (origin === key) return
      const why = origin === undefined ? 'nobody put it' : `it was put to ${origin}`
      complain({ atMs, key, node, message: `${JSON.stringify(value)} is ${where} for ${key}, and ${why}` })
    }
    return {
      invoke({ op, node, key, action, value }) {
        if (action === 'get') reads.set(op, { key, node })
        else if (value !== undefined) keyOf.set(value, key)
        else deleted.add(key)
      },
      read({ atMs, op, value }) {
        const read = reads.get(op)
        reads.delete(op)
        if (read === undefined || typeof value !== 'string') return
        check(read.key, value, atMs, read.node, `read by op ${op} on ${read.node}`)
      },
      stored({ atMs, node, key, state, value }) {
        check(key, state === 'tombstone' ? undefined : (value ?? ''), atMs, node, `stored on ${node}`)
      },
      contents({ atMs, node, entries }) {
        for (const { key, state, value } of entries) {
          const shown = state === 'tombstone' ? undefined : (value ?? '')
          check(key, shown, atMs, node, `among the contents of ${node}`)
        }
      },
    }
  },
}
