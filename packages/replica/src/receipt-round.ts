import {
  forgettable,
  RECEIPTS_FORGOTTEN_PER_BATCH_MAX,
  type Clock,
  type ReceiptGroup,
  type Store,
  type Timers,
} from '@grapevine/core'
import { errorOf } from './arrival.ts'
import type { Committer } from './committer.ts'
import { yieldToOthers } from './sleep.ts'

export interface ReceiptContext {
  readonly committer: Committer
  readonly store: Store
  readonly clock: Clock
  readonly timers: Timers
}

/**
 * Forgets receipts whose time is over, a batch at a time, until what is left is to be kept. One that is only too old answers
 * nobody any more; here the disk follows. Returns how many went.
 */
export async function forgetReceipts({ committer, store, clock, timers }: ReceiptContext): Promise<number> {
  if (!store.hasReceipts) return 0
  for (let forgotten = 0; ;) {
    const due = await dueGroups(store, clock.wallMs())
    if (due.length === 0) return forgotten
    forgotten += await new Promise<number>((settle, reject) => {
      committer.submit({ kind: 'forgetting', groups: due, settle, fail: (failure) => reject(errorOf(failure)) })
    })
    await yieldToOthers(timers)
  }
}

async function dueGroups(store: Store, wallMs: number): Promise<readonly ReceiptGroup[]> {
  const view = store.view()
  try {
    const { groups, total } = await view.oldestReceipts(RECEIPTS_FORGOTTEN_PER_BATCH_MAX)
    return forgettable(groups, total, wallMs)
  } finally {
    await view.close()
  }
}
