import { Audit } from './audit.ts'
import type { CheckerKind } from './checker-kind.ts'
import { NodeLives } from './node-lives.ts'

export const wellFormed: CheckerKind = {
  name: 'well-formed',
  guards: 'the other checkers',
  asserts:
    'The history can be believed: time does not go back, an operation is asked for once and ends at most once and as what it was, each put has a value of its own, ' +
    'an applied write and a value that was read have a version, a stored entry is a value or a tombstone, and at the audit each node that is ready and not away shows its contents.',
  watch(complain) {
    const asked = new Set<number>()
    const open = new Map<number, 'put' | 'delete' | 'get'>()
    const values = new Set<string>()
    const lives = new NodeLives()
    const audit = new Audit(lives)
    let lastMs = 0

    const end = (op: number, as: 'written' | 'read', atMs: number): void => {
      const action = open.get(op)
      open.delete(op)
      if (action === undefined) complain({ atMs, message: `op ${op} ends without having begun, or twice` })
      else if ((action === 'get') !== (as === 'read'))
        complain({ atMs, message: `op ${op}, a ${action}, ends as "${as}"` })
    }
    return {
      first(event) {
        const { atMs } = event
        lives.see(event)
        audit.see(event)
        if (atMs < lastMs) complain({ atMs, message: `time goes back from ${lastMs} to ${atMs}` })
        lastMs = atMs
      },
      invoke({ atMs, op, key, action, value }) {
        const object = (message: string): void => complain({ atMs, key, message: `op ${op} ${message}` })
        if (asked.has(op)) object('is asked for twice')
        asked.add(op)
        open.set(op, action)
        if ((action === 'put') !== (value !== undefined))
          object(`is a ${action} ${value === undefined ? 'without' : 'with'} a value`)
        if (value === undefined) return
        if (values.has(value)) object(`puts ${JSON.stringify(value)}, as another one did`)
        values.add(value)
      },
      written({ atMs, op, outcome, version }) {
        end(op, 'written', atMs)
        if (outcome === 'applied' && version === undefined)
          complain({ atMs, message: `op ${op} was applied without a version` })
      },
      read({ atMs, op, value, version }) {
        end(op, 'read', atMs)
        if (typeof value === 'string' && version === undefined)
          complain({ atMs, message: `op ${op} reads a value without a version` })
      },
      stored({ atMs, node, key, state, value }) {
        if ((state === 'value') === (value !== undefined)) return
        const message = `${node} stores a ${state} ${value === undefined ? 'without' : 'with'} a value`
        complain({ atMs, key, node, message })
      },
      finish() {
        if (!audit.hasBegun) return
        const shown = new Set(audit.compared.map(({ node }) => node))
        for (const node of lives.names)
          if (lives.isServing(node) && !audit.isAway(node) && !shown.has(node))
            complain({ atMs: lastMs, node, message: `${node} is ready, and its contents are not in the audit` })
      },
    }
  },
}
