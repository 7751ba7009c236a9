import type { EtagText } from '../history/history.ts'
import type { CheckerKind } from './checker-kind.ts'
import { Sessions, type Seen } from './sessions.ts'

interface OpenOperation {
  readonly client: string
  readonly node: string
  readonly key: string
  readonly seen: Seen | undefined
}

export const sessionGuarantees: CheckerKind = {
  name: 'session-guarantees',
  guards: 'P7',
  asserts:
    'Per key and session, on whatever nodes: a read shows its own earlier writes (read your writes) and what it read before (monotonic reads), or ' +
    'newer; a write gets a greater version than its own earlier writes (monotonic writes) and than what it read (writes follow reads). ' +
    'Refusing to answer is always right, and clients without a session are promised none of it.',
  watch(complain) {
    const sessions = new Sessions()
    const open = new Map<number, OpenOperation>()
    const purged = new Map<string, EtagText>()
    /** The latest tombstone of each key on each node. */
    const deleted = new Map<string, EtagText>()
    return {
      last: (event) => sessions.see(event),
      invoke({ op, client, node, key, session }) {
        if (session === true) open.set(op, { client, node, key, seen: sessions.of(client, key) })
      },
      stored({ node, key, version, state }) {
        if (state === 'tombstone') deleted.set(`${node} ${key}`, version)
      },
      purged({ key, version }) {
        if ((purged.get(key) ?? '') < version) purged.set(key, version)
      },
      written({ atMs, op, outcome, version }) {
        const { client, node, key, seen } = open.get(op) ?? UNKNOWN
        open.delete(op)
        if (seen === undefined || outcome !== 'applied' || version === undefined || version > seen.version) return
        const guarantee = seen.by === 'its own write' ? 'monotonic writes' : 'writes follow reads'
        const message = `${guarantee}: op ${op} of ${client} was applied as ${version}, after ${seen.by} ${seen.op} had shown ${seen.version}`
        complain({ atMs, node, key, message })
      },
      read({ atMs, op, outcome, version }) {
        const { client, node, key, seen } = open.get(op) ?? UNKNOWN
        open.delete(op)
        if (seen === undefined || outcome !== 'ok') return
        // A tombstone is absent from when the frontier passes it; the row goes a moment later.
        const goneBy = [purged.get(key), deleted.get(`${node} ${key}`)]
        const mayBeNothing = seen.mayBeAbsent || goneBy.some((gone = '') => gone >= seen.version)
        if (version === undefined ? mayBeNothing : version >= seen.version) return
        const guarantee = seen.by === 'its own write' ? 'read your writes' : 'monotonic reads'
        const message = `${guarantee}: op ${op} of ${client} reads ${version ?? 'nothing'} on ${node}, after ${seen.by} ${seen.op} had shown ${seen.version}`
        complain({ atMs, node, key, message })
      },
    }
  },
}

/** An operation without a session. */
const UNKNOWN: OpenOperation = { client: '', node: '', key: '', seen: undefined }
