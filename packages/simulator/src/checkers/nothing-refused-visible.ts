import type { CheckerKind, Complaint } from './checker-kind.ts'

export const nothingRefusedVisible: CheckerKind = {
  name: 'nothing-refused-visible',
  guards: 'P2',
  asserts:
    'The value of a write that ended as not applied is never stored anywhere, read by anybody or found in any contents, before or after ' +
    'the refusal; and no key gets more tombstones than deletes that may have been made. What ended as unknown, or never ended, may show or not.',
  watch(complain) {
    const writes = new Map<number, { key: string; value: string | undefined }>()
    const seen = new Map<string, string>()
    const refused = new Map<string, number>()
    const deletes = new Map<string, { possible: number; readonly tombstones: Set<string> }>()
    let lastMs = 0

    const deletesOf = (key: string): { possible: number; readonly tombstones: Set<string> } => {
      const held = deletes.get(key) ?? { possible: 0, tombstones: new Set<string>() }
      deletes.set(key, held)
      return held
    }
    const show = (value: string, where: string, about: Omit<Complaint, 'message'>): void => {
      const op = refused.get(value)
      if (op === undefined) seen.set(value, where)
      else complain({ ...about, message: `${JSON.stringify(value)} of op ${op}, which was not applied, is ${where}` })
    }
    return {
      first({ atMs }) {
        lastMs = atMs
      },
      invoke({ op, action, key, value }) {
        if (action === 'get') return
        writes.set(op, { key, value })
        if (action === 'delete') deletesOf(key).possible++
      },
      written({ op, atMs, outcome }) {
        const write = writes.get(op)
        writes.delete(op)
        if (write === undefined || outcome !== 'not-applied') return
        const { key, value } = write
        if (value === undefined) {
          deletesOf(key).possible--
          return
        }
        const where = seen.get(value)
        if (where !== undefined)
          complain({
            atMs,
            key,
            message: `op ${op} ended as not applied, but its ${JSON.stringify(value)} was ${where}`,
          })
        refused.set(value, op)
      },
      read({ op, atMs, value }) {
        if (typeof value === 'string') show(value, `read by op ${op}`, { atMs })
      },
      stored({ atMs, node, key, version, state, value }) {
        if (state === 'tombstone') deletesOf(key).tombstones.add(version)
        else if (value !== undefined) show(value, `stored on ${node}`, { atMs, key, node })
      },
      contents({ atMs, node, entries }) {
        for (const { key, state, value, version } of entries) {
          if (state === 'tombstone') deletesOf(key).tombstones.add(version)
          else if (value !== undefined) show(value, `among the contents of ${node}`, { atMs, key, node })
        }
      },
      finish() {
        for (const [key, { possible, tombstones }] of deletes) {
          if (tombstones.size <= possible) continue
          const versions = [...tombstones].join(', ')
          const message = `${key} got ${tombstones.size} tombstone(s), but only ${possible} delete(s) of it were not refused: ${versions}`
          complain({ atMs: lastMs, key, message })
        }
      },
    }
  },
}
