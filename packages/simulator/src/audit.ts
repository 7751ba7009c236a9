import {
  bytesOf,
  etagOf,
  hexOf,
  keyOf,
  leafOf,
  membersOf,
  openEnvelope,
  vectorText,
  type Entry,
  type VersionVector,
  type WriterId,
} from '@grapevine/core'
import { addDigest, entryDigest, HashTree, SUM_BYTES } from '@grapevine/merkle'
import { createHash } from 'node:crypto'
import type { ContentsRow } from './history/history.ts'
import type { Machine } from './machine.ts'
import { sha256 } from './sha256.ts'
import { textOf } from './observer.ts'
import type { World } from './world.ts'

/** Rows of entries begin so. */
const ENTRY_ROW = 'e'

/** Reads every node's rows as they are on its disk, and works out from them alone what it should say of itself. */
export function audit(world: World): void {
  // Working out a whole tree takes a while, and most nodes hold the same.
  const roots = new Map<string, string>()
  const vectorHashes = vectorHashesIn(world)
  for (const machine of world.machines) {
    const { running } = machine
    if (running?.replica === undefined || running.store === undefined) continue
    const { identity, report, parked } = running.replica.status()
    if (identity.replica === '') continue
    const { entries, corrupt, digest } = entriesOf(machine)
    const recomputedRoot = roots.get(digest) ?? rootOf(entries)
    roots.set(digest, recomputedRoot)
    world.recorder.write({
      type: 'contents',
      atMs: world.nowMs,
      node: machine.name,
      cluster: identity.cluster,
      replica: identity.replica,
      root: hexOf(report.root),
      recomputedRoot,
      entries: entries.map(rowOf),
      corrupt,
      parked,
      members: membersOf(running.store.state.roster).toSorted(),
      vectorHash: vectorHashes.get(machine) ?? '',
    })
  }
}

/** What each node has seen, without the writers that some have folded away and others will in a moment. */
export function vectorHashesIn({ machines }: World): ReadonlyMap<Machine, string> {
  const folded = new Set(machines.flatMap(({ running }) => running?.store?.state.folded ?? []))
  return new Map(
    machines.flatMap((machine) => {
      const store = machine.running?.store
      return store === undefined ? [] : [[machine, vectorHashOf(store.state.vectors, folded)]]
    }),
  )
}

function entriesOf({ disk }: Machine): { entries: Entry[]; corrupt: number; digest: string } {
  const entries: Entry[] = []
  const digest = createHash('sha256')
  let corrupt = 0
  for (const [name, row] of disk.rows.entries(ENTRY_ROW)) {
    if (!name.startsWith(ENTRY_ROW)) break
    const entry = openEnvelope(row, sha256)
    digest.update(name).update(row)
    if (entry?.address === name.slice(1)) entries.push(entry)
    else corrupt++
  }
  return { entries, corrupt, digest: digest.digest('hex') }
}

function rootOf(entries: readonly Entry[]): string {
  const tree = new HashTree(sha256)
  for (const entry of entries) {
    const leaf = leafOf(entry.keyHash)
    const sum = Uint8Array.from(tree.sum(leaf))
    addDigest(sum, entryDigest(entry, sha256))
    tree.setSum(leaf, sum.subarray(0, SUM_BYTES))
  }
  return hexOf(tree.root())
}

function rowOf(entry: Entry): ContentsRow {
  return {
    key: keyOf(entry.address),
    version: etagOf(entry.version),
    hash: hexOf(entry.hash),
    state: entry.value === undefined ? 'tombstone' : 'value',
    ...(entry.value !== undefined && { value: textOf(entry) }),
  }
}

/** As two replicas compare them. */
function vectorHashOf(vectors: readonly VersionVector[], folded: ReadonlySet<WriterId>): string {
  const texts = vectors.map((vector) => vectorText(vector.rows().filter(([writer]) => !folded.has(writer))))
  return hexOf(sha256.sha256(bytesOf(texts.join('\n'))))
}
