import { AcknowledgedWrites } from './acknowledged-writes.ts'
import { Audit, keysExcused } from './audit.ts'
import type { CheckerKind } from './checker-kind.ts'
import { DurableVersions } from './durable-versions.ts'
import { listed, rowText } from './wording.ts'

export const nothingAcknowledgedForgotten: CheckerKind = {
  name: 'nothing-acknowledged-forgotten',
  guards: 'P1, P13',
  asserts:
    'Each write that ended as applied is on every live node at the audit, or a greater version of its key is. Excused is what only ' +
    'wiped, damaged, rolled back or absent disks held, and as many keys as a node has parked entries.',
  watch(complain, { diskIsSeen }) {
    const durable = new DurableVersions()
    const audit = new Audit(durable.lives)
    const writes = new AcknowledgedWrites(durable)
    /** Of tombstones and expired entries that left a disk by the rules. */
    const purged = new Map<string, string>()
    return {
      first(event) {
        durable.see(event)
        audit.see(event)
        writes.see(event)
      },
      purged({ key, version }) {
        if ((purged.get(key) ?? '') < version) purged.set(key, version)
      },
      finish() {
        for (const [cluster, compared] of audit.clusters) {
          const required = writes.requiredOf(cluster, compared)
          for (const contents of compared) {
            const { node, atMs, entries } = contents
            const rows = new Map(entries.map((row) => [row.key, row]))
            const forgotten = [...required].filter(([key, { invoke, version }]) => {
              const row = rows.get(key)
              if (row !== undefined) return row.version < version
              const mayBePurged = invoke.action === 'delete' || invoke.ttlMs !== undefined
              if (mayBePurged && !diskIsSeen) return false
              return (purged.get(key) ?? '') < version && !durable.lives.isDamaged(node)
            })
            const [first] = forgotten
            if (first === undefined || forgotten.length <= keysExcused(contents, durable.lives)) continue
            const each = forgotten.map(([key, { invoke, version }]) => {
              const what = invoke.action === 'put' ? `put of ${JSON.stringify(invoke.value)}` : 'delete'
              return `op ${invoke.op}, a ${what} to ${key} applied by ${invoke.node} as ${version}; here is ${rowText(rows.get(key))}`
            })
            complain({
              atMs,
              node,
              key: first[0],
              message: `${node} has forgotten ${forgotten.length} write(s): ${listed(each)}`,
            })
          }
        }
      },
    }
  },
}
