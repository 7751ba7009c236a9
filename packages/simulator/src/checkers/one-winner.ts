import { parseEtag } from '@grapevine/core'
import type { EtagText } from '../history/history.ts'
import type { CheckerKind } from './checker-kind.ts'
import { NodeLives } from './node-lives.ts'

interface Known {
  readonly key: string
  readonly state: 'value' | 'tombstone'
  readonly value: string | undefined
  hash: string | undefined
  readonly where: string
}

export const oneWinner: CheckerKind = {
  name: 'one-winner',
  guards: 'P4',
  asserts:
    'A version names one entry: the same key, state, value and hash wherever it is stored, read, acknowledged or found in contents. ' +
    'So whoever holds the same version holds the same thing. Excused is what a replica issues that runs from an older state ' +
    'of its disk without knowing it: it stamps again what it has forgotten, and only the dot and the hash tell these apart.',
  watch(complain) {
    const lives = new NodeLives()
    const repeating = new Set<string>()
    const known = new Map<EtagText, Known>()
    const expiring = new Set<string>()
    const open = new Map<number, { key: string; node: string; value: string | undefined; action: string }>()

    const isRepeated = (version: EtagText): boolean =>
      repeating.size > 0 && repeating.has(parseEtag(version)?.replica ?? '')
    const check = (atMs: number, node: string, version: EtagText, entry: Known): void => {
      if (isRepeated(version)) return
      const held = known.get(version)
      if (held === undefined) {
        known.set(version, entry)
        return
      }
      const isSame = held.key === entry.key && held.state === entry.state && held.value === entry.value
      const isSameHash = held.hash === undefined || entry.hash === undefined || held.hash === entry.hash
      held.hash ??= entry.hash
      if (isSame && isSameHash) return
      const message = `${version} is ${textOf(held)} ${held.where}, and ${textOf(entry)} ${entry.where}`
      complain({ atMs, node, key: entry.key, message })
    }
    return {
      first(event) {
        lives.see(event)
      },
      invoke({ op, key, node, value, action, ttlMs }) {
        open.set(op, { key, node, value, action })
        if (ttlMs !== undefined && value !== undefined) expiring.add(value)
      },
      written({ atMs, op, outcome, version }) {
        const write = open.get(op)
        open.delete(op)
        if (write === undefined || outcome !== 'applied' || version === undefined) return
        const { key, node, value } = write
        const state = write.action === 'delete' ? 'tombstone' : 'value'
        check(atMs, node, version, { key, state, value, hash: undefined, where: `by the acknowledgement of op ${op}` })
      },
      read({ atMs, op, outcome, version, value }) {
        const read = open.get(op)
        open.delete(op)
        if (read === undefined || outcome !== 'ok' || version === undefined) return
        if (isRepeated(version)) return
        const { key, node } = read
        const where = `as op ${op} reads it on ${node}`
        const held = known.get(version)
        if (typeof value === 'string')
          check(atMs, node, version, { key, state: 'value', value, hash: undefined, where })
        else if (held?.value !== undefined && !expiring.has(held.value))
          complain({ atMs, node, key, message: `${version} is ${textOf(held)} ${held.where}, and nothing ${where}` })
      },
      stored({ atMs, node, replica, key, version, state, value }) {
        if (lives.isRolledBack(node)) repeating.add(replica)
        check(atMs, node, version, { key, state, value, hash: undefined, where: `as stored on ${node}` })
      },
      contents({ atMs, node, entries }) {
        for (const { key, state, value, hash, version } of entries)
          check(atMs, node, version, { key, state, value, hash, where: `among the contents of ${node}` })
      },
    }
  },
}

function textOf({ key, state, value, hash }: Known): string {
  const what = state === 'tombstone' ? 'a tombstone' : JSON.stringify(value ?? null)
  return `${what} of ${key}${hash === undefined ? '' : ` (hash ${hash})`}`
}
