import {
  byteStringOf,
  LEAVES,
  LEAVES_PER_PARTITION,
  writeByteString,
  type Digest,
  type Hash,
  type Leaf,
  type Partition,
  type ShortHash,
  type TreeNode,
} from '@grapevine/core'
import { SUM_BYTES } from './digest-sum.ts'

const HASH_BYTES = 32
const SHORT_HASH_BYTES = 8
const SUM_WORDS: number = SUM_BYTES / 4
export const LEAF_DEPTH = 16
const PARTITION_DEPTH = 8
/** An exchange looks four levels down at a time. */
const LEVELS_PER_STEP = 4
/** The root has number 1, the children of node n are 2n and 2n + 1, so the leaves begin at 65,536. */
const NODES: number = 2 * LEAVES
const ROOT = 1

/**
 * The hash tree over the 65,536 leaves of the key space: a leaf is SHA-256(0x00 ‖ sum of its entries' digests), an
 * inner node SHA-256(left ‖ right). It is a pure function of the set of entries, whatever the history. A write
 * costs one sum; the hashes above it are worked out when somebody wants to see them.
 */
export class HashTree {
  readonly #hash: Hash
  readonly #sums: Uint8Array
  readonly #hashes: Uint8Array = new Uint8Array(NODES * HASH_BYTES)
  readonly #leafInput: Uint8Array = new Uint8Array(1 + SUM_BYTES)
  /** One byte a leaf, 1 when it is stale. Leaves are rehashed in their order, so that neighbours share what is above. */
  readonly #stale: Uint8Array = new Uint8Array(LEAVES)
  #staleLeaves = 0

  /** @param sums 65,536 sums of 32 bytes, which the tree keeps and changes. */
  constructor(hash: Hash, sums: Uint8Array = new Uint8Array(LEAVES * SUM_BYTES)) {
    this.#hash = hash
    this.#sums = sums
    this.#fillAsEmpty()
    this.#markUsed()
  }

  get isStale(): boolean {
    return this.#staleLeaves > 0
  }

  sum(leaf: Leaf): Uint8Array {
    return this.#sums.subarray(leaf * SUM_BYTES, (leaf + 1) * SUM_BYTES)
  }

  setSum(leaf: Leaf, sum: Uint8Array): void {
    this.#sums.set(sum, leaf * SUM_BYTES)
    if (this.#stale[leaf] === 0) this.#staleLeaves++
    this.#stale[leaf] = 1
  }

  /** A copy of the 256 sums of a partition. */
  partitionSums(partition: Partition): Uint8Array {
    const bytes = LEAVES_PER_PARTITION * SUM_BYTES
    return this.#sums.slice(partition * bytes, (partition + 1) * bytes)
  }

  refresh(): void {
    this.refreshSome(LEAVES)
  }

  /** Rehashes up to so many leaves and all that is above them. Returns whether any are left. */
  refreshSome(leavesMax: number): boolean {
    let level = this.#takeStale(leavesMax)
    for (const node of level) this.#rehashLeaf(node - LEAVES)
    while (level.length > 0 && level[0] !== ROOT) {
      level = parentsOf(level)
      for (const parent of level) this.#rehashInner(parent)
    }
    return this.isStale
  }

  root(): Digest {
    this.refresh()
    return byteStringOf(this.#hashAt(ROOT, HASH_BYTES))
  }

  /** The hashes of the 16 nodes four levels below this one. */
  children({ depth, index }: TreeNode): ShortHash[] {
    return this.#shortHashes(depth + LEVELS_PER_STEP, index << LEVELS_PER_STEP, 1 << LEVELS_PER_STEP)
  }

  partitionHashes(): ShortHash[] {
    return this.#shortHashes(PARTITION_DEPTH, 0, 1 << PARTITION_DEPTH)
  }

  leafHashes(partition: Partition): ShortHash[] {
    return this.#shortHashes(LEAF_DEPTH, partition * LEAVES_PER_PARTITION, LEAVES_PER_PARTITION)
  }

  /** The full hash of a leaf: what an oracle builds the rest of the tree from. */
  leafHash(leaf: Leaf): Digest {
    this.refresh()
    return byteStringOf(this.#hashAt(LEAVES + leaf, HASH_BYTES))
  }

  /** The hashes of a tree without entries: one for each level, so a start costs no more than what is there to hash. */
  #fillAsEmpty(): void {
    const hashes = this.#hashes
    let digest = this.#hash.sha256(this.#leafInput)
    for (let first = LEAVES; first >= ROOT; first >>>= 1) {
      const from = first * HASH_BYTES
      writeByteString(hashes, from, digest)
      for (let filled = HASH_BYTES; filled < from; filled *= 2) hashes.copyWithin(from + filled, from, from + filled)
      digest = this.#hash.sha256(hashes.subarray(from, from + 2 * HASH_BYTES))
    }
  }

  /** Only leaves with entries differ from what an empty tree has there. */
  #markUsed(): void {
    const sums = this.#sums
    // Looked at four bytes at a time, which must lie at a multiple of four.
    const { buffer, byteOffset } = sums.byteOffset % 4 === 0 ? sums : sums.slice()
    const words = new Uint32Array(buffer, byteOffset, LEAVES * SUM_WORDS)
    for (let leaf = 0, word = 0; leaf < LEAVES; leaf++) {
      const end = word + SUM_WORDS
      while (word < end && words[word] === 0) word++
      if (word < end) {
        this.#stale[leaf] = 1
        this.#staleLeaves++
        word = end
      }
    }
  }

  #shortHashes(depth: number, from: number, count: number): ShortHash[] {
    this.refresh()
    const first = (1 << depth) + from
    return Array.from({ length: count }, (_, index) => byteStringOf(this.#hashAt(first + index, SHORT_HASH_BYTES)))
  }

  #hashAt(node: number, bytes: number): Uint8Array {
    return this.#hashes.subarray(node * HASH_BYTES, node * HASH_BYTES + bytes)
  }

  /** Stale leaves from the lowest on, as numbers of nodes. */
  #takeStale(leavesMax: number): number[] {
    const taken: number[] = []
    let leaf = -1
    while (this.#staleLeaves > 0 && taken.length < leavesMax) {
      leaf = this.#stale.indexOf(1, leaf + 1)
      this.#stale[leaf] = 0
      this.#staleLeaves--
      taken.push(LEAVES + leaf)
    }
    return taken
  }

  #rehashLeaf(leaf: Leaf): void {
    this.#leafInput.set(this.sum(leaf), 1)
    writeByteString(this.#hashes, (LEAVES + leaf) * HASH_BYTES, this.#hash.sha256(this.#leafInput))
  }

  #rehashInner(node: number): void {
    const children = this.#hashes.subarray(node * 2 * HASH_BYTES, (node * 2 + 2) * HASH_BYTES)
    writeByteString(this.#hashes, node * HASH_BYTES, this.#hash.sha256(children))
  }
}

/** The nodes above these, once each. The nodes are in order, so siblings stand side by side. */
function parentsOf(nodes: readonly number[]): number[] {
  const parents: number[] = []
  for (const node of nodes) if (node >>> 1 !== parents.at(-1)) parents.push(node >>> 1)
  return parents
}
