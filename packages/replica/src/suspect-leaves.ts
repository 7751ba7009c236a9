import { partitionOfLeaf, type Leaf, type Log, type Measures, type Partition } from '@grapevine/core'

export interface SuspectLeavesContext {
  readonly measures: Measures
  readonly log: Log
}

/**
 * Leaves of this replica whose rows do not add up to their own sum: it has lost rows, or something that cannot be read
 * and that no peer could give back. As long as a leaf is suspect, the replica gives no complete answers for its partition
 * (frontier.md R19), so that nobody takes a loss for a delete.
 *
 * In memory alone: whoever restarts finds them again by the next scrub.
 */
export class SuspectLeaves {
  readonly #context: SuspectLeavesContext
  readonly #leaves = new Set<Leaf>()

  constructor(context: SuspectLeavesContext) {
    this.#context = context
  }

  get leaves(): readonly Leaf[] {
    return [...this.#leaves].toSorted((a, b) => a - b)
  }

  hasIn(partition: Partition): boolean {
    // Mostly there is none at all.
    return this.#leaves.size > 0 && this.leaves.some((leaf) => partitionOfLeaf(leaf) === partition)
  }

  /**
   * The one place that hears of a leaf which this replica knows itself to be wrong about. Replacing the leaf by that of a
   * clean member whose vector contains ours (R19) begins here.
   */
  onSuspectLeaf(leaf: Leaf, reason: string): void {
    if (this.#leaves.has(leaf)) return
    this.#leaves.add(leaf)
    const { measures, log } = this.#context
    measures.add('suspect_leaves')
    measures.add('integrity_faults')
    log.error('leaf-suspect', { leaf, reason })
  }

  /** The leaf adds up, and all of it can be read. */
  onSoundLeaf(leaf: Leaf): void {
    if (this.#leaves.delete(leaf)) this.#context.log.info('leaf-sound-again', { leaf })
  }
}
