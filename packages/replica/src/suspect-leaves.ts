import { partitionOfLeaf, type Leaf, type Log, type Measures, type Partition } from '@grapevine/core'

export interface SuspectLeavesContext {
  readonly measures: Measures
  readonly log: Log
}

/**
 * Leaves of this replica whose rows do not add up to their own sum: it has lost rows, or something that cannot be read
 * and that no peer could give back. As long as a leaf is suspect, the replica gives no complete answers for its partition
 * (frontier.md R19), so that nobody takes a loss for a delete. `leaf-mender.ts` replaces it by that of a clean member.
 *
 * In memory alone: whoever restarts finds them again by the next scrub.
 */
export class SuspectLeaves {
  readonly #context: SuspectLeavesContext
  /** Doubts do not show in the rows, so only a clean member ends them. */
  readonly #leaves = new Map<Leaf, 'unsound' | 'doubtful'>()

  constructor(context: SuspectLeavesContext) {
    this.#context = context
  }

  get leaves(): readonly Leaf[] {
    return [...this.#leaves.keys()].toSorted((a, b) => a - b)
  }

  hasIn(partition: Partition): boolean {
    // Mostly there is none at all.
    return this.#leaves.size > 0 && this.leaves.some((leaf) => partitionOfLeaf(leaf) === partition)
  }

  isSuspect(leaf: Leaf): boolean {
    return this.#leaves.has(leaf)
  }

  /** The one place that hears of a leaf which this replica knows itself to be wrong about. */
  onSuspectLeaf(leaf: Leaf, reason: string): void {
    if (this.#leaves.get(leaf) === 'unsound') return
    this.#leaves.set(leaf, 'unsound')
    const { measures, log } = this.#context
    measures.add('suspect_leaves')
    measures.add('integrity_faults')
    log.error('leaf-suspect', { leaf, reason })
  }

  /** A row that could not be read was replaced, and with it the sum of the leaf: if more is lost, nothing tells any more. */
  onDoubtfulLeaf(leaf: Leaf): void {
    if (this.#leaves.has(leaf)) return
    this.#leaves.set(leaf, 'doubtful')
    this.#context.log.warn('leaf-doubtful', { leaf })
  }

  /** The leaf adds up, and all of it can be read. */
  onSoundLeaf(leaf: Leaf): void {
    if (this.#leaves.get(leaf) === 'unsound') this.onMendedLeaf(leaf)
  }

  /** It is that of a clean member now, or nobody has another. */
  onMendedLeaf(leaf: Leaf): void {
    if (this.#leaves.delete(leaf)) this.#context.log.info('leaf-sound-again', { leaf })
  }
}
