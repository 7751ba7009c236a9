import type { CheckerKind } from './checker-kind.ts'
import { DurableVersions, type Durable } from './durable-versions.ts'
import { nameOf, rowText } from './wording.ts'

export const nothingDurableLost: CheckerKind = {
  name: 'nothing-durable-lost',
  guards: 'P1, P4',
  asserts:
    'For each key the version that a node holds only rises, over crashes and restarts: what it makes durable, what it shows to readers ' +
    'and what is found on its disk is never older than what was durable there before, and never gone. A wiped, damaged or rolled back ' +
    'disk begins anew, and so does a node that comes back as another replica; purged entries are gone by right.',
  watch(complain) {
    const durable = new DurableVersions()
    const reads = new Map<number, { node: string; key: string; life: number; floor: Durable | undefined }>()
    const expiring = new Set<string>()
    const mayReadAsAbsent = ({ state, value }: Durable): boolean =>
      state === 'tombstone' || (value !== undefined && expiring.has(value))
    return {
      first: (event) => void durable.endLives(event),
      last: (event) => durable.take(event),
      invoke({ op, node, key, action, value, ttlMs }) {
        if (ttlMs !== undefined && value !== undefined) expiring.add(value)
        if (action === 'get') reads.set(op, { node, key, life: durable.lives.life(node), floor: durable.of(node, key) })
      },
      read({ atMs, op, outcome, version }) {
        const open = reads.get(op)
        reads.delete(op)
        if (open === undefined || outcome !== 'ok' || open.life !== durable.lives.life(open.node)) return
        const { node, key, floor } = open
        const now = durable.of(node, key)
        // Purged meanwhile: then it may show nothing.
        if (floor === undefined || now === undefined) return
        const isNothing = version === undefined && !mayReadAsAbsent(floor) && !mayReadAsAbsent(now)
        if (!isNothing && (version === undefined || version >= floor.version)) return
        const expected = nameOf(floor.state, floor.value, floor.version)
        const message = `op ${op} reads ${version ?? 'nothing'} on ${node}, where ${expected} was durable before`
        complain({ atMs, node, key, message })
      },
      stored({ atMs, node, key, version, before, state, value }) {
        const held = durable.of(node, key)
        const now = (): string => nameOf(state, value, version)
        if (held !== undefined && version < held.version)
          complain({
            atMs,
            node,
            key,
            message: `${node} stores ${now()} over ${nameOf(held.state, held.value, held.version)}`,
          })
        else if (before !== undefined && before > version)
          complain({ atMs, node, key, message: `${node} stores ${now()} over its ${before}` })
      },
      contents({ atMs, node, corrupt, entries }) {
        const rows = new Map(entries.map((row) => [row.key, row]))
        const lost = [...durable.all(node)].filter(([key, { version }]) => (rows.get(key)?.version ?? '') < version)
        if (durable.lives.isDamaged(node) && lost.length <= corrupt) return
        for (const [key, held] of lost) {
          const made = nameOf(held.state, held.value, held.version)
          const message = `${node} made ${made} durable and now holds ${rowText(rows.get(key))}`
          complain({ atMs, node, key, message })
        }
      },
    }
  },
}
