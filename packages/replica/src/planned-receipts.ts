import {
  assert,
  judgeName,
  receiptOf,
  type CommitBatch,
  type Entry,
  type Receipt,
  type ReceiptGroup,
  type WriteId,
  type WriteName,
} from '@grapevine/core'

export type ReceiptChanges = ReadonlyMap<WriteId, Receipt | undefined>

/**
 * What a plan does to the receipts of named writes. Whoever repeats a write while it is still on its way to the disk meets its
 * receipt here, and is told together with it: when the disk fails, both are unknown.
 */
export class PlannedReceipts {
  /** Those of the plan that is on its way to the disk. */
  readonly #below: ReceiptChanges | undefined
  readonly #before = new Map<WriteId, Receipt | undefined>()
  /** In the order in which they came; `undefined` for one that is forgotten. */
  readonly #after = new Map<WriteId, Receipt | undefined>()
  readonly #forgotten: number[] = []

  constructor(below: ReceiptChanges | undefined) {
    this.#below = below
  }

  get changes(): ReceiptChanges {
    return this.#after
  }

  get isEmpty(): boolean {
    return this.#after.size === 0 && this.#forgotten.length === 0
  }

  /** Adds an id of which no plan tells and that was not read yet. */
  noteUnread(id: WriteId, unread: Set<WriteId>): void {
    if (this.#known(id) === 'unread') unread.add(id)
  }

  /** Notes what the store holds under an id. */
  read(id: WriteId, receipt: Receipt | undefined): void {
    this.#before.set(id, receipt)
  }

  /** What a named write of a client is here: a receipt when it is a repetition. */
  judge(name: WriteName, wallMs: number): Receipt | 'new' | 'mismatch' {
    const receipt = this.#known(name.id)
    assert(receipt !== 'unread', 'a write was judged before its receipt was read')
    const verdict = judgeName(name, receipt, wallMs)
    if (receipt === undefined || verdict !== 'replay') return verdict === 'mismatch' ? verdict : 'new'
    return receipt
  }

  /** The first receipt under an id is the one that stays, also when two nodes took the same write for a new one. */
  keep(entry: Entry, wallMs: number): void {
    const { name } = entry
    const receipt = receiptOf(entry, wallMs)
    if (name === undefined || receipt === undefined) return
    const known = this.#known(name.id)
    // Too old to be repeated a moment ago, when it was not read for that: the clock has gone back meanwhile.
    if (known === 'unread' || judgeName(name, known, wallMs) !== 'new') return
    this.#after.delete(name.id)
    this.#after.set(name.id, receipt)
  }

  /** Returns how many went: an id that was used again since has a receipt of a newer group. */
  forget(groups: readonly ReceiptGroup[]): number {
    let forgotten = 0
    for (const { number, atMs, ids } of groups) {
      this.#forgotten.push(number)
      for (const id of ids) {
        const known = this.#known(id)
        if (typeof known !== 'object' || known.atMs !== atMs) continue
        this.#after.set(id, undefined)
        forgotten++
      }
    }
    return forgotten
  }

  /** @param atMs of the batch: all of one group are of one time, by which they are known again. */
  rows(atMs: number): Pick<CommitBatch, 'receipts' | 'forgotten'> {
    const kept = [...this.#after].flatMap(([id, receipt]) =>
      receipt === undefined ? [] : [[id, { ...receipt, atMs }] as const],
    )
    const ids = [...this.#after].flatMap(([id, receipt]) => (receipt === undefined ? [id] : []))
    return {
      ...(kept.length > 0 && { receipts: kept }),
      ...(this.#forgotten.length > 0 && { forgotten: { groups: this.#forgotten, ids } }),
    }
  }

  #known(id: WriteId): Receipt | undefined | 'unread' {
    for (const told of [this.#after, this.#below, this.#before]) if (told?.has(id) === true) return told.get(id)
    return 'unread'
  }
}
