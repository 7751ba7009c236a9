import {
  RefusalError,
  StoreError,
  UnreachableError,
  type Address,
  type Leaf,
  type Log,
  type Measures,
  type Peer,
  type ReplicaId,
  type UndecidedRow,
} from '@grapevine/core'
import { acceptLeaf, repairLeaf, type LeafOutcome, type LeafRepairContext } from './leaf-repair.ts'

export interface LeafMenderContext extends LeafRepairContext {
  readonly livePeers: () => readonly Peer[]
  /** Whether there is no other member at all, dead or alive. */
  readonly isAlone: () => boolean
  readonly nameOf: (replica: ReplicaId) => string
  readonly isReadOnly: () => boolean
  readonly measures: Measures
  readonly log: Log
}

/** What came back from a member, and what turned out to be deleted. */
export type Mended = Omit<Extract<LeafOutcome, { kind: 'replaced' }>, 'kind'>

/** A row that one side holds and the other does not, and nobody remembers whether it was deleted (frontier.md R20). */
export interface UndecidedKey {
  readonly address: Address
  /** The name of the member that was compared with. */
  readonly with: string
  readonly isHeldHere: boolean
}

interface UndecidedLeaf {
  readonly leaf: Leaf
  readonly peer: ReplicaId
  readonly keys: readonly Omit<UndecidedKey, 'with'>[]
}

/** Leaves to look at because something about them was odd. What does not fit is odd again at the next exchange. */
const EXAMINATIONS_MAX = 1_024
/** Enough for an operator to see what it is about; there is more to see once these are decided. */
const UNDECIDED_MAX = 1_000

/** Mends what this replica knows itself to be wrong about, and looks at what it cannot agree upon with another. */
export class LeafMender {
  readonly #context: LeafMenderContext
  readonly #running = new Map<Leaf, Promise<Mended | undefined>>()
  readonly #waiting = new Map<Leaf, ReplicaId>()
  readonly #undecided = new Map<string, UndecidedLeaf>()
  #examining = false

  constructor(context: LeafMenderContext) {
    this.#context = context
  }

  /** Keys for the operator to choose about: writing or deleting one decides. */
  get undecided(): readonly UndecidedKey[] {
    return [...this.#undecided.values()]
      .flatMap(({ peer, keys }) => keys.map((key) => ({ ...key, with: this.#context.nameOf(peer) })))
      .slice(0, UNDECIDED_MAX)
  }

  /**
   * Replaces a leaf that has lost rows by that of a clean member. Returns what that did, or nothing when nobody could.
   *
   * @param unreadable rows that cannot be read and that no index may lead to.
   */
  mend(leaf: Leaf, unreadable: readonly Address[] = []): Promise<Mended | undefined> {
    const running = this.#running.get(leaf)
    if (running !== undefined && unreadable.length === 0) return running
    const mending = this.#mend(leaf, unreadable).finally(() => {
      if (this.#running.get(leaf) === mending) this.#running.delete(leaf)
    })
    this.#running.set(leaf, mending)
    return mending
  }

  /** A member sent what had to be refused: its leaf and ours differ for a reason that exchanges do not mend. */
  examine(leaf: Leaf, peer: ReplicaId): void {
    if (this.#waiting.size >= EXAMINATIONS_MAX || this.#waiting.has(leaf)) return
    this.#waiting.set(leaf, peer)
    if (this.#examining) return
    this.#examining = true
    void this.#examineWaiting().finally(() => (this.#examining = false))
  }

  /** Tries again what nobody could mend, and whether what was undecided is decided. */
  async round(): Promise<void> {
    const { suspects, isAlone, state } = this.#context
    for (const leaf of suspects.leaves) await (isAlone() ? this.#accept(leaf) : this.mend(leaf))
    const members = new Set(state().members())
    for (const [name, { leaf, peer }] of this.#undecided) {
      // With whoever is no member any more there is nothing to decide.
      if (members.has(peer)) this.examine(leaf, peer)
      else this.#undecided.delete(name)
    }
  }

  /**
   * Nobody else was ever told of what is lost here, or nobody who is still a member: it is lost for good, and nothing of it can
   * come back. So what is left is the truth. Else nobody could ever join this node, who gives no complete answers.
   */
  async #accept(leaf: Leaf): Promise<void> {
    const { suspects, log } = this.#context
    if (!(await acceptLeaf(leaf, this.#context))) return
    log.error('leaf-lost-rows', { leaf, explanation: 'there is no other member, so they are lost for good' })
    suspects.onMendedLeaf(leaf)
  }

  async #mend(leaf: Leaf, unreadable: readonly Address[]): Promise<Mended | undefined> {
    const { livePeers } = this.#context
    for (const { replica } of livePeers()) {
      const outcome = await this.#ask(leaf, replica, unreadable)
      if (outcome.kind === 'replaced') return outcome
    }
    return undefined
  }

  async #examineWaiting(): Promise<void> {
    for (;;) {
      const [next] = this.#waiting
      if (next === undefined) return
      const [leaf, peer] = next
      this.#waiting.delete(leaf)
      // What was not expected is in the log; the other leaves are looked at all the same.
      await this.#examine(leaf, peer).catch(() => {})
    }
  }

  async #examine(leaf: Leaf, peer: ReplicaId): Promise<void> {
    await this.#ask(leaf, peer, [])
    // Whoever is found to be in the wrong is mended by whoever can.
    if (this.#context.suspects.isSuspect(leaf)) await this.mend(leaf)
  }

  async #ask(leaf: Leaf, peer: ReplicaId, unreadable: readonly Address[]): Promise<LeafOutcome> {
    const { isReadOnly, log } = this.#context
    // It would need space.
    if (isReadOnly()) return { kind: 'no-help' }
    try {
      const outcome = await repairLeaf(leaf, peer, unreadable, this.#context)
      this.#note(leaf, peer, outcome)
      return outcome
    } catch (error) {
      const isExpected = error instanceof UnreachableError || error instanceof RefusalError
      if (!isExpected) log.error('leaf-not-mended', { leaf, peer, error: String(error) })
      if (!isExpected && !(error instanceof StoreError)) throw error
      return { kind: 'no-help' }
    }
  }

  #note(leaf: Leaf, peer: ReplicaId, outcome: LeafOutcome): void {
    const { suspects, measures, log, nameOf } = this.#context
    if (outcome.kind === 'no-help') return
    const { put, dropped } = outcome
    const about = { leaf, from: nameOf(peer), put, dropped }
    if (outcome.kind === 'replaced') {
      measures.add('mended_leaves')
      measures.add('healed_entries', put)
      measures.add('hidden_entries', outcome.hidden)
      log.warn('leaf-replaced', about)
      suspects.onMendedLeaf(leaf)
      return
    }
    if (put + dropped > 0) log.warn('leaf-settled', about)
    if (put > 0) measures.add('settled_rows', put, 'taken')
    if (dropped > 0) measures.add('settled_rows', dropped, 'dropped')
    this.#noteUndecided(leaf, peer, outcome.undecided)
  }

  #noteUndecided(leaf: Leaf, peer: ReplicaId, rows: readonly UndecidedRow[]): void {
    const name = `${leaf} ${peer}`
    const before = this.#undecided.get(name)
    if (rows.length === 0) {
      if (this.#undecided.delete(name)) this.#context.log.info('rows-decided', { leaf })
      return
    }
    if (before === undefined && this.#undecided.size >= UNDECIDED_MAX) return
    const keys = rows.map(({ entry, isHeldHere }) => ({ address: entry.address, isHeldHere }))
    this.#undecided.set(name, { leaf, peer, keys })
    if (before !== undefined) return
    this.#context.log.error('rows-undecided', {
      leaf,
      with: this.#context.nameOf(peer),
      keys,
      advice: 'one node holds these keys and the other does not, and neither remembers why: write or delete them',
    })
  }
}
