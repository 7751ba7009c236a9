import {
  compareHlc,
  PURGE_KEYS_PER_BATCH_MAX,
  StoreError,
  type Hlc,
  type Log,
  type Purgeable,
  type Store,
  type Timers,
} from '@grapevine/core'
import { errorOf } from './arrival.ts'
import type { Committer } from './committer.ts'
import type { ChangeMembership } from './membership-change.ts'
import { yieldToOthers } from './sleep.ts'

export interface PurgeContext {
  readonly committer: Committer
  readonly store: Store
  readonly timers: Timers
  readonly log: Log
  readonly changeMembership: ChangeMembership
}

/** Fewer dropped keys are not worth a look at the disk: together they take less than a megabyte. */
const DROPS_WORTH_RECLAIMING = PURGE_KEYS_PER_BATCH_MAX
/** And as a share of what is held, so that over all a byte is rewritten a few times for each that was given back. */
const SHARE_WORTH_RECLAIMING = 0.5

/** Drops what the frontier makes absent (frontier.md R10): readers do not see it any more, and here the disk follows. */
export class Purger {
  readonly #context: PurgeContext
  #sweeping: Promise<void> | undefined
  /** Keys dropped since space was given back. */
  #dropped = 0

  constructor(context: PurgeContext) {
    this.#context = context
  }

  /** To be called when another member has raised the frontier: what it makes absent goes now, and not with the next round. */
  onRaise: () => void = () => {}

  /** Resolves when nothing is left that the frontier makes absent. Whoever asks meanwhile waits for the same sweep. */
  sweep(): Promise<void> {
    this.#sweeping ??= this.#sweep().finally(() => (this.#sweeping = undefined))
    return this.#sweeping
  }

  /**
   * Gives back the space of what was dropped, once that is much: a database does not by itself, and what is deleted should
   * also leave the disk. Nobody waits for it but who does the rounds.
   */
  async reclaim(): Promise<void> {
    const { committer, store, changeMembership, log } = this.#context
    const { values, tombstones } = committer.state.totals
    const isMuch = this.#dropped >= Math.max(DROPS_WORTH_RECLAIMING, SHARE_WORTH_RECLAIMING * (values + tombstones))
    // It takes some space before it gives any.
    if (!isMuch || committer.isReadOnly) return
    const dropped = this.#dropped
    this.#dropped = 0
    // What the journal says of them is of no use once a checkpoint stands, and one goes along with any batch.
    store.wantCheckpoint()
    await changeMembership(() => ({ witness: committer.state.clock.now }))
    try {
      await store.compact()
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      log.warn('space-not-given-back', { error: error.message })
      return
    }
    log.info('space-given-back', { dropped })
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
      const gone = await this.#drop(page)
      dropped += gone
      this.#dropped += gone
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
