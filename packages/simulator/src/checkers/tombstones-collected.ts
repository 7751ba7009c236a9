import { Audit } from './audit.ts'
import type { CheckerKind } from './checker-kind.ts'
import { NodeLives } from './node-lives.ts'
import { listed } from './wording.ts'

/** P6 gives two periods; each is up to a fifth longer than it is set. */
const PERIODS = 2 * 1.2
/** What a raise of the frontier takes to the last node. */
const SPREADING_MS = 5_000

/** How long nobody may have to store anything before every tombstone is gone. */
export function collectionMs(purgeIntervalMs: number): number {
  return PERIODS * purgeIntervalMs + SPREADING_MS
}

export const tombstonesCollected: CheckerKind = {
  name: 'tombstones-collected',
  guards: 'P6, R9',
  asserts:
    'Tombstones go: when all members of a cluster have been ready and nobody has stored anything for two purge periods, no node holds one at the audit. ' +
    'A node that is away holds them back, unless one that is here knows it to be evicted; so do entries that are parked, and damaged disks.',
  watch(complain, { diskIsSeen, vectorsConverge, purgeIntervalMs }) {
    const lives = new NodeLives()
    const audit = new Audit(lives)
    /** Whom each node knows to be evicted. What only an evicted one knew is gone with its directory. */
    const marks = new Map<string, Set<string>>()
    let busyMs = 0
    let auditMs = 0
    return {
      first(event) {
        const ended = lives.see(event)
        if (ended !== undefined) marks.delete(ended)
        audit.see(event)
      },
      opinion({ node, ofReplica, state }) {
        if (state !== 'evicted' || ofReplica === undefined) return
        const known = marks.get(node) ?? new Set()
        marks.set(node, known.add(ofReplica))
      },
      process({ atMs }) {
        busyMs = atMs
      },
      stored({ atMs }) {
        busyMs = atMs
      },
      phase({ atMs, phase }) {
        if (phase === 'audit') auditMs = atMs
        else busyMs = atMs
      },
      finish() {
        if (!diskIsSeen || !vectorsConverge || auditMs - busyMs < collectionMs(purgeIntervalMs)) return
        const shown = new Set(audit.compared.map(({ node }) => node))
        for (const [cluster, compared] of audit.clusters) {
          const holders = [...lives.names].filter((node) => !shown.has(node) && lives.cluster(node) === cluster)
          const isEvicted = (replica: string): boolean => compared.some(({ node }) => marks.get(node)?.has(replica))
          if (holders.some((node) => !isEvicted(lives.replica(node) ?? ''))) continue
          if (compared.some(({ node, parked }) => parked > 0 || lives.isDamaged(node))) continue
          for (const { node, atMs, entries } of compared) {
            const left = entries.filter(({ state }) => state === 'tombstone')
            const [first] = left
            if (first === undefined) continue
            const keys = left.map(({ key, version }) => `${key} (${version})`)
            const message = `${node} still holds ${left.length} tombstone(s), ${auditMs - busyMs} ms after the last change: ${listed(keys)}`
            complain({ atMs, node, key: first.key, message })
          }
        }
      },
    }
  },
}
