import {
  compareHlc,
  PURGE_KEYS_PER_BATCH_MAX,
  type Hlc,
  type Log,
  type Purgeable,
  type Store,
  type Timers,
} from '@grapevine/core'
import { errorOf } from './arrival.ts'
import type { Committer } from './committer.ts'
import { yieldToOthers } from './sleep.ts'

export interface PurgeContext {
  readonly committer: Committer
  readonly store: Store
  readonly timers: Timers
  readonly log: Log
}

/** Drops what the frontier makes absent (frontier.md R10): readers do not see it any more, and here the disk follows. */
export class Purger {
  readonly #context: PurgeContext
  #sweeping: Promise<void> | undefined

  constructor(context: PurgeContext) {
    this.#context = context
  }

  /** Resolves when nothing is left that the frontier makes absent. Whoever asks meanwhile waits for the same sweep. */
  sweep(): Promise<void> {
    this.#sweeping ??= this.#sweep().finally(() => (this.#sweeping = undefined))
    return this.#sweeping
  }

  async #sweep(): Promise<void> {
    const { committer, log } = this.#context
    while (!committer.state.isPurged) {
      const { state } = committer
      const { frontier } = state
      const dropped = await this.#dropUpTo(frontier)
      if (dropped > 0) log.info('purged', { dropped, frontier })
      // Nothing at or below it comes in any more. After a reopening there is another state, and all is looked at again.
      if (compareHlc(state.frontier, frontier) === 0) state.purgedUpTo(frontier)
    }
  }

  async #dropUpTo(frontier: Hlc): Promise<number> {
    const { store, timers } = this.#context
    let dropped = 0
    let last: Purgeable | undefined
    for (;;) {
      const page = await firstPurgeable(store, frontier, PURGE_KEYS_PER_BATCH_MAX, last)
      last = page.at(-1)
      if (last === undefined) return dropped
      dropped += await this.#drop(page)
      await yieldToOthers(timers)
    }
  }

  #drop(rows: readonly Purgeable[]): Promise<number> {
    return new Promise((settle, reject) => {
      this.#context.committer.submit({
        kind: 'purge',
        rows,
        settle,
        fail: (failure) => reject(errorOf(failure)),
      })
    })
  }
}

/** What may be purged first, of one moment: see `purgeable` of the store's view. */
export async function firstPurgeable(
  store: Store,
  below: Hlc,
  limit: number,
  after?: Purgeable,
): Promise<readonly Purgeable[]> {
  const view = store.view()
  try {
    return await view.purgeable(below, limit, after)
  } finally {
    await view.close()
  }
}
