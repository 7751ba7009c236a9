import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  addressOf,
  compareEntries,
  compareHlc,
  replaceLeaf,
  settleLeaf,
  VersionVector,
  type CleanLeaf,
  type Digest,
  type Entry,
  type EntryDigest,
  type LeafChanges,
  type Version,
} from '../../src/index.ts'
import { entryWith } from '../record/any-entry.ts'

const WRITER = 'a'.repeat(16)

/** The history of a few keys: each write has the next number and the next hlc. */
const anyHistory = fc
  .array(fc.record({ key: fc.constantFrom('a', 'b', 'c', 'd'), isDelete: fc.boolean() }), { maxLength: 12 })
  .map((writes) => writes.map(({ key, isDelete }, index) => written(key, index + 1, isDelete)))

function written(key: string, seq: number, isDelete = false): Entry {
  return entryWith({
    address: addressOf('things', key),
    version: { hlc: { wallMs: seq, counter: 0 }, replica: 'b'.repeat(16) },
    dot: { writer: WRITER, seq },
    value: isDelete ? undefined : new Uint8Array([seq]),
  })
}

/** What is held after these writes. */
function after(writes: readonly Entry[]): Map<Digest, Entry> {
  const rows = new Map<Digest, Entry>()
  for (const entry of writes) {
    const held = rows.get(entry.keyHash)
    if (held === undefined || compareEntries(entry, held) > 0) rows.set(entry.keyHash, entry)
  }
  return rows
}

/** Without the tombstones at or below the frontier. */
function purged(rows: ReadonlyMap<Digest, Entry>, frontier: number): Entry[] {
  return [...rows.values()].filter(({ value, version }) => value !== undefined || version.hlc.wallMs > frontier)
}

function digestsOf(entries: readonly Entry[]): EntryDigest[] {
  return entries.map(({ keyHash, version, hash }) => ({ keyHash, version, hash: hash.slice(0, 8) }))
}

function applied(held: readonly Entry[], { put, drop }: LeafChanges): Entry[] {
  const rows = new Map(held.map((entry) => [entry.keyHash, entry]))
  for (const { keyHash } of drop) rows.delete(keyHash)
  for (const entry of put) rows.set(entry.keyHash, entry)
  return [...rows.values()]
}

function sorted(entries: readonly Entry[]): string[] {
  return entries.map(({ address, version }) => `${address}@${version.hlc.wallMs}`).toSorted()
}

function cleanOf(writes: readonly Entry[], frontier: number): CleanLeaf & { readonly entries: readonly Entry[] } {
  const vector = new VersionVector()
  for (const { dot } of writes) vector.add(dot)
  const entries = purged(after(writes), frontier)
  return { entries, listed: digestsOf(entries), covers: (dot) => vector.covers(dot) }
}

describe('a leaf that has lost rows (R19)', () => {
  it('is that of the clean member afterwards, whatever was lost and whatever came back to life in between', () => {
    const law = fc.property(
      anyHistory,
      fc.nat(12),
      fc.array(fc.nat(11), { maxLength: 4 }),
      fc.array(fc.nat(11), { maxLength: 4 }),
      (writes, frontier, losses, zombies) => {
        const clean = cleanOf(writes, frontier)
        // Rows are lost; and old ones, which nothing hides any more, were taken in.
        const rows = new Map(clean.entries.map((entry) => [entry.keyHash, entry]))
        for (const loss of losses) rows.delete(writes[loss]?.keyHash ?? '')
        for (const zombie of zombies) {
          const old = writes[zombie]
          if (old !== undefined && !rows.has(old.keyHash)) rows.set(old.keyHash, old)
        }
        const held = [...rows.values()]
        const mended = applied(held, replaceLeaf(held, clean, clean.entries))
        expect(sorted(mended)).toEqual(sorted(clean.entries))
        expect(replaceLeaf(mended, clean, clean.entries)).toEqual({ put: [], drop: [] })
      },
    )
    fc.assert(law, { numRuns: 1_000 })
  })

  it('keeps what came after the clean member was asked, and the newer of two', () => {
    const law = fc.property(anyHistory, fc.nat(12), fc.nat(12), (writes, split, frontier) => {
      const seen = writes.slice(0, split)
      const clean = cleanOf(seen, Math.min(frontier, split))
      // Nothing is lost here; some of it is news to the clean member, which has purged what both know.
      const held = purged(after(writes), Math.min(frontier, split))
      const mended = applied(held, replaceLeaf(held, clean, clean.entries))
      expect(sorted(mended)).toEqual(sorted(held))
    })
    fc.assert(law, { numRuns: 1_000 })
  })
})

describe('two sound leaves that differ though all else is equal (R20)', () => {
  const NOTHING_PURGED: ReadonlyMap<Digest, Version> = new Map()
  const both = (a: readonly Entry[], b: readonly Entry[], frontier: number, purgedThere = NOTHING_PURGED) =>
    settleLeaf({
      held: a,
      listed: digestsOf(b),
      sent: b.filter(({ keyHash }) => !a.some((entry) => entry.keyHash === keyHash)),
      frontier: { wallMs: frontier, counter: 0 },
      purgedHere: NOTHING_PURGED,
      purgedThere,
    })

  it('become equal above the frontier, and at or below it each keeps what it has', () => {
    const law = fc.property(
      anyHistory,
      fc.nat(12),
      fc.array(fc.nat(11), { maxLength: 4 }),
      fc.array(fc.nat(11), { maxLength: 4 }),
      (writes, frontier, lostHere, lostThere) => {
        const whole = purged(after(writes), frontier)
        const without = (lost: readonly number[]): Entry[] =>
          whole.filter(({ keyHash }) => !lost.some((index) => writes[index]?.keyHash === keyHash))
        const [a, b] = [without(lostHere), without(lostThere)]
        const [atA, atB] = [both(a, b, frontier), both(b, a, frontier)]
        const isNew = ({ version }: Entry): boolean => compareHlc(version.hlc, { wallMs: frontier, counter: 0 }) > 0
        const [afterA, afterB] = [applied(a, atA), applied(b, atB)]
        expect(sorted(afterA.filter(isNew))).toEqual(sorted(afterB.filter(isNew)))
        expect(sorted(afterA.filter((entry) => !isNew(entry)))).toEqual(sorted(a.filter((entry) => !isNew(entry))))
        // Both sides name the same keys, each from its own point of view.
        const names = (settled: typeof atA, isHeldHere: boolean): string[] =>
          sorted(settled.undecided.filter((row) => row.isHeldHere === isHeldHere).map(({ entry }) => entry))
        expect(names(atA, true)).toEqual(names(atB, false))
        expect(names(atA, false)).toEqual(names(atB, true))
      },
    )
    fc.assert(law, { numRuns: 1_000 })
  })

  it('is decided for deletion by whoever remembers a newer one', () => {
    const old = written('a', 3)
    const purge = (wallMs: number): ReadonlyMap<Digest, Version> =>
      new Map([[old.keyHash, { hlc: { wallMs, counter: 0 }, replica: 'f'.repeat(16) }]])
    expect(both([old], [], 9, purge(4))).toEqual({ put: [], drop: [old], undecided: [] })
    expect(both([old], [], 9, purge(2)).undecided).toEqual([{ entry: old, isHeldHere: true }])
    // Above the frontier nothing newer can have been dropped, whatever anybody remembers.
    expect(both([old], [], 2, purge(4))).toEqual({ put: [], drop: [], undecided: [] })
  })
})
