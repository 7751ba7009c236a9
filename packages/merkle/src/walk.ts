import { LEAVES, type ShortHash, type TreeNode } from '@grapevine/core'

const LEVELS_PER_STEP = 4

/** The nodes four levels below `parent` whose hashes differ between two replicas. */
export function differingChildren(
  { depth, index }: TreeNode,
  mine: readonly ShortHash[],
  theirs: readonly ShortHash[],
): TreeNode[] {
  return mine.flatMap((hash, child) =>
    hash === theirs[child] ? [] : [{ depth: depth + LEVELS_PER_STEP, index: (index << LEVELS_PER_STEP) | child }],
  )
}

/**
 * How many keys differ, when so many leaves do: several may share a leaf (linear counting, Whang, Vander-Zanden and
 * Taylor 1990). Exact as long as there are few.
 */
export function estimateKeys(differingLeaves: number): number {
  if (differingLeaves >= LEAVES) return LEAVES * Math.ceil(Math.log(LEAVES))
  return Math.max(differingLeaves, Math.round(-LEAVES * Math.log(1 - differingLeaves / LEAVES)))
}
