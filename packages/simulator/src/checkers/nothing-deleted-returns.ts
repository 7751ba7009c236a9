import type { EtagText } from '../history/history.ts'
import { AcknowledgedWrites } from './acknowledged-writes.ts'
import { Audit, keysExcused } from './audit.ts'
import type { CheckerKind } from './checker-kind.ts'
import { DurableVersions } from './durable-versions.ts'
import { nameOf } from './wording.ts'

export const nothingDeletedReturns: CheckerKind = {
  name: 'nothing-deleted-returns',
  guards: 'P6',
  asserts:
    'Where a tombstone was durable, no older value of its key is stored, read or held any more, also after the tombstone was purged. ' +
    'Once any node of a cluster has purged it, no node of that cluster stores an older value. At the audit no live node holds a value older ' +
    'than an applied delete. Excused are evicted nodes and rolled back disks, until they are wiped, and whom an evicted node lets in: ' +
    'they do not know.',
  watch(complain) {
    const durable = new DurableVersions()
    const audit = new Audit(durable.lives)
    const writes = new AcknowledgedWrites(durable)
    const tombstones = new Map<string, Map<string, EtagText>>()
    const purged = new Map<string, Map<string, EtagText>>()
    const evicted = new Set<string>()
    const sponsors = new Map<string, string>()
    const reads = new Map<number, { node: string; key: string; life: number; tombstone: EtagText | undefined }>()

    const isExcused = (node: string): boolean => {
      const sponsor = sponsors.get(node)
      // What it lets in goes with it.
      if (sponsor !== undefined && evicted.has(sponsor)) evicted.add(node)
      return evicted.has(node) || durable.lives.isRolledBack(node)
    }

    return {
      first(event) {
        const ended = durable.endLives(event)
        if (ended === undefined) return
        tombstones.delete(ended)
        sponsors.delete(ended)
        if (!durable.lives.isRolledBack(ended)) evicted.delete(ended)
      },
      last(event) {
        durable.take(event)
        audit.see(event)
        writes.see(event)
      },
      opinion({ of, ofReplica, state }) {
        const replica = durable.lives.replica(of)
        if (state === 'evicted' && (ofReplica ?? replica) === replica) evicted.add(of)
      },
      accepted({ from, to, name }) {
        if (name === 'join') sponsors.set(from, to)
      },
      invoke({ op, node, key, action }) {
        const life = durable.lives.life(node)
        if (action === 'get') reads.set(op, { node, key, life, tombstone: tombstones.get(node)?.get(key) })
      },
      read({ atMs, op, value, version }) {
        const open = reads.get(op)
        reads.delete(op)
        if (open?.tombstone === undefined || typeof value !== 'string' || version === undefined) return
        const { node, key, tombstone, life } = open
        if (version >= tombstone || life !== durable.lives.life(node)) return
        const message = `op ${op} reads ${nameOf('value', value, version)} on ${node}, where ${tombstone} had deleted it`
        complain({ atMs, node, key, message })
      },
      stored({ atMs, node, key, version, state, value }) {
        if (state === 'tombstone') return raise(tombstones, node, key, version)
        const here = tombstones.get(node)?.get(key)
        const gone = purged.get(durable.lives.cluster(node))?.get(key)
        const entry = (): string => nameOf(state, value, version)
        if (here !== undefined && version < here)
          complain({ atMs, node, key, message: `${node} stores ${entry()} though ${here} had deleted it there` })
        // An expired value goes under its own version, and a joiner may be given it by a sponsor that has not heard of that yet.
        else if (gone !== undefined && version < gone && !isExcused(node))
          complain({
            atMs,
            node,
            key,
            message: `${node} stores ${entry()} though its tombstone ${gone} was purged already`,
          })
      },
      purged({ node, key, version }) {
        raise(purged, durable.lives.cluster(node), key, version)
      },
      contents({ atMs, node, entries }) {
        for (const { key, version, state, value } of entries) {
          const tombstone = tombstones.get(node)?.get(key)
          if (state === 'tombstone' || tombstone === undefined || version >= tombstone) continue
          const message = `${node} holds ${nameOf(state, value, version)}, which ${tombstone} had deleted there`
          complain({ atMs, node, key, message })
        }
      },
      finish() {
        for (const [cluster, compared] of audit.clusters) {
          const required = writes.requiredOf(cluster, compared)
          for (const contents of compared) {
            const { node, atMs, entries } = contents
            const returned = entries.flatMap(({ key, state, version, value }) => {
              const write = required.get(key)
              const isDeleted = write?.invoke.action === 'delete' && state === 'value' && version < write.version
              return isDeleted ? [{ key, entry: nameOf(state, value, version), write }] : []
            })
            if (returned.length <= keysExcused(contents, durable.lives)) continue
            for (const { key, entry, write } of returned)
              complain({
                atMs,
                node,
                key,
                message: `${node} holds ${entry}, which op ${write.invoke.op} deleted on ${write.invoke.node} as ${write.version}`,
              })
          }
        }
      },
    }
  },
}

function raise(marks: Map<string, Map<string, EtagText>>, where: string, key: string, version: EtagText): void {
  const held = marks.get(where) ?? new Map<string, EtagText>()
  marks.set(where, held)
  if ((held.get(key) ?? '') < version) held.set(key, version)
}
