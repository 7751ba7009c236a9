import type { Digest } from '../record/entry.ts'

export const PARTITIONS = 256
export const LEAVES = 65_536
export const LEAVES_PER_PARTITION: number = LEAVES / PARTITIONS

/** 0 to 255: the top 8 bits of the key hash. */
export type Partition = number
/** 0 to 65,535: the top 16 bits of the key hash. */
export type Leaf = number

export function partitionOf(keyHash: Digest): Partition {
  return keyHash.charCodeAt(0)
}

export function leafOf(keyHash: Digest): Leaf {
  return (keyHash.charCodeAt(0) << 8) | keyHash.charCodeAt(1)
}

export function partitionOfLeaf(leaf: Leaf): Partition {
  return leaf >>> 8
}
