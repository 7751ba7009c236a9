import type { Address, CommitBatch, Held, Receipt, Store, StoredState, StoreView, WriteId } from '@grapevine/core'

/** The store as it is, and whoever wants to know is told what is on its way to the disk. */
export class ObservedStore implements Store {
  readonly #store: Store
  readonly #onCommit: (batch: CommitBatch) => void

  constructor(store: Store, onCommit: (batch: CommitBatch) => void) {
    this.#store = store
    this.#onCommit = onCommit
  }

  get state(): StoredState {
    return this.#store.state
  }

  get wantsCheckpoint(): boolean {
    return this.#store.wantsCheckpoint
  }

  wantCheckpoint(): void {
    this.#store.wantCheckpoint()
  }

  compact(): Promise<void> {
    return this.#store.compact()
  }

  read(address: Address): Held {
    return this.#store.read(address)
  }

  readMany(addresses: readonly Address[]): Promise<readonly Held[]> {
    return this.#store.readMany(addresses)
  }

  get hasReceipts(): boolean {
    return this.#store.hasReceipts
  }

  receipt(id: WriteId): Receipt | undefined {
    return this.#store.receipt(id)
  }

  receipts(ids: readonly WriteId[]): Promise<readonly (Receipt | undefined)[]> {
    return this.#store.receipts(ids)
  }

  view(): StoreView {
    return this.#store.view()
  }

  commit(batch: CommitBatch): Promise<void> {
    this.#onCommit(batch)
    return this.#store.commit(batch)
  }

  reopen(): Promise<void> {
    return this.#store.reopen()
  }

  close(): Promise<void> {
    return this.#store.close()
  }
}
