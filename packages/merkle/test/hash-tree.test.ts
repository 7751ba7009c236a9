import { bytesOf, hexOf, LEAVES, leafOf, type Digest, type Hash } from '@grapevine/core'
import { assert as assertProperty, array, constantFrom, integer, property, record } from 'fast-check'
import MerkleTools from 'merkle-tools'
import { hash as nodeHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { addDigest, differingChildren, entryDigest, estimateKeys, HashTree, subtractDigest } from '../src/index.ts'

const sha256: Hash = { sha256: (bytes) => nodeHash('sha256', bytes, 'binary') }

interface Held {
  readonly keyHash: Digest
  readonly hash: Digest
}

function held(key: number, version: number): Held {
  return { keyHash: sha256.sha256(bytesOf(`key ${key}`)), hash: sha256.sha256(bytesOf(`${key} at ${version}`)) }
}

/** Replaces what a key holds, as a commit does: the old digest out, the new one in. */
function put(tree: HashTree, before: Held | undefined, after: Held | undefined): void {
  const leaf = leafOf((before ?? after)?.keyHash ?? '')
  const sum = tree.sum(leaf).slice()
  if (before !== undefined) subtractDigest(sum, entryDigest(before, sha256))
  if (after !== undefined) addDigest(sum, entryDigest(after, sha256))
  tree.setSum(leaf, sum)
}

function treeOf(entries: Iterable<Held>): HashTree {
  const tree = new HashTree(sha256)
  for (const entry of entries) put(tree, undefined, entry)
  return tree
}

function oracleRoot(tree: HashTree): string | undefined {
  const oracle = new MerkleTools({ hashType: 'sha256' })
  oracle.addLeaves(Array.from({ length: LEAVES }, (_, leaf) => hexOf(tree.leafHash(leaf))))
  oracle.makeTree()
  return oracle.getMerkleRoot()?.toString('hex')
}

describe('the hash tree', () => {
  it('is a pure function of the set of entries, whatever the history', () => {
    const step = record({
      key: integer({ min: 0, max: 40 }),
      version: integer({ min: 0, max: 5 }),
      kind: constantFrom('put', 'drop'),
    })
    const law = property(array(step, { maxLength: 60 }), integer({ min: 1, max: 7 }), (steps, refreshEvery) => {
      const tree = new HashTree(sha256)
      const entries = new Map<number, Held>()
      for (const [index, { key, version, kind }] of steps.entries()) {
        const before = entries.get(key)
        if (kind === 'drop' && before === undefined) continue
        const after = kind === 'put' ? held(key, version) : undefined
        put(tree, before, after)
        if (after === undefined) entries.delete(key)
        else entries.set(key, after)
        if (index % refreshEvery === 0) tree.refreshSome(2)
      }
      expect(hexOf(tree.root())).toBe(hexOf(treeOf([...entries.values()].toReversed()).root()))
    })
    assertProperty(law, { numRuns: 25 })
  }, 60_000)

  it('has the root that merkle-tools computes from the same leaves', () => {
    const tree = treeOf(Array.from({ length: 500 }, (_, key) => held(key, 1)))
    expect(hexOf(tree.root())).toBe(oracleRoot(tree))
    put(tree, held(7, 1), held(7, 2))
    put(tree, held(8, 1), undefined)
    expect(hexOf(tree.root())).toBe(oracleRoot(tree))
  })

  it('is empty again when everything was taken out', () => {
    const tree = treeOf([held(1, 1)])
    expect(tree.root()).not.toBe(new HashTree(sha256).root())
    put(tree, held(1, 1), undefined)
    expect(tree.root()).toBe(new HashTree(sha256).root())
  })

  it('rehashes in slices, and says when it is done', () => {
    const full = new HashTree(sha256, new Uint8Array(LEAVES * 32).fill(1))
    let slices = 1
    while (full.refreshSome(4_096)) slices++
    expect(slices).toBe(LEAVES / 4_096)
    const tree = new HashTree(sha256)
    expect(tree.isStale).toBe(false)
    put(tree, undefined, held(1, 1))
    expect(tree.isStale).toBe(true)
    expect(tree.refreshSome(1)).toBe(false)
    expect(tree.root()).toBe(treeOf([held(1, 1)]).root())
  })

  it('begins with what its sums say, wherever in memory they lie', () => {
    const entries = Array.from({ length: 40 }, (_, key) => held(key, 1))
    const made = treeOf(entries)
    const bytes = new Uint8Array(3 + LEAVES * 32)
    const sums = bytes.subarray(3)
    for (const { keyHash } of entries) sums.set(made.sum(leafOf(keyHash)), leafOf(keyHash) * 32)
    expect(new HashTree(sha256, sums).root()).toBe(made.root())
  })

  it('leads from the root to exactly the leaves that differ', () => {
    const mine = treeOf(Array.from({ length: 300 }, (_, key) => held(key, 1)))
    const theirs = treeOf(Array.from({ length: 300 }, (_, key) => held(key, key < 5 ? 2 : 1)))
    let level = [{ depth: 0, index: 0 }]
    for (let step = 0; step < 4; step++)
      level = level.flatMap((node) => differingChildren(node, mine.children(node), theirs.children(node)))
    const expected = [0, 1, 2, 3, 4].map((key) => leafOf(held(key, 1).keyHash))
    expect(level.map(({ index }) => index)).toEqual(expected.toSorted((a, b) => a - b))
    const partition = (expected[0] ?? 0) >>> 8
    expect(mine.leafHashes(partition)).not.toEqual(theirs.leafHashes(partition))
    expect(mine.partitionHashes()).toHaveLength(256)
  })
})

describe('the sum of a leaf', () => {
  it('does not depend on order, and takes out what was put in', () => {
    const law = property(array(integer({ min: 0, max: 1_000 }), { minLength: 1, maxLength: 20 }), (keys) => {
      const digests = keys.map((key) => entryDigest(held(key, 1), sha256))
      const forwards = new Uint8Array(32)
      const backwards = new Uint8Array(32)
      for (const digest of digests) addDigest(forwards, digest)
      for (const digest of digests.toReversed()) addDigest(backwards, digest)
      expect(forwards).toEqual(backwards)
      for (const digest of digests) subtractDigest(forwards, digest)
      expect(forwards).toEqual(new Uint8Array(32))
    })
    assertProperty(law)
  })

  it('carries over all bytes', () => {
    const sum = new Uint8Array(32).fill(255)
    addDigest(sum, '\0'.repeat(31) + '\u0001')
    expect(sum).toEqual(new Uint8Array(32))
    subtractDigest(sum, '\0'.repeat(31) + '\u0001')
    expect(sum).toEqual(new Uint8Array(32).fill(255))
  })
})

describe('the estimate of differing keys', () => {
  it('is exact for few, and grows beyond the leaves for many', () => {
    expect([0, 1, 2, 10].map(estimateKeys)).toEqual([0, 1, 2, 10])
    expect(estimateKeys(60_000)).toBeGreaterThan(120_000)
    expect(estimateKeys(LEAVES)).toBeGreaterThan(estimateKeys(LEAVES - 1) / 2)
  })
})
