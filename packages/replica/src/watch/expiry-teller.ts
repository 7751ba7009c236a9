import {
  compareHlc,
  COUNTER_MAX,
  isExpired,
  purgeableAt,
  StoreError,
  WALL_MS_MAX,
  type Clock,
  type Entry,
  type Held,
  type Hlc,
  type Log,
  type Purgeable,
  type Store,
  type StoreView,
  type Timer,
  type Timers,
} from '@grapevine/core'
import { yieldToOthers } from '../sleep.ts'
import type { ChangeFeed } from './change-feed.ts'

export interface ExpiryTellerContext {
  readonly feed: ChangeFeed
  readonly store: Store
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Log
}

/**
 * Between two looks while nothing is known to expire earlier. The index of what expires also holds what was deleted, so
 * that many deletes would make a look that was put off for long a long one.
 */
const LOOK_INTERVAL_MS = 1_000
const PAGE_ROWS = 256
/** Behind every address: buckets are ASCII. */
const LAST_ADDRESS = '\u00ff'

/** Tells those who watch of what expires, when it does. It looks only while somebody watches. */
export class ExpiryTeller {
  readonly #context: ExpiryTellerContext
  #timer: Timer | undefined
  #dueMs = Number.POSITIVE_INFINITY
  #isWatched = false
  #isLooking = false

  constructor(context: ExpiryTellerContext) {
    this.#context = context
  }

  start(): void {
    const { feed } = this.#context
    feed.onWatched = (isWatched) => {
      this.#isWatched = isWatched
      if (isWatched) this.#lookAt(0)
      else this.#cancel()
    }
    feed.onExpiring = (atMs) => this.#lookAt(atMs)
  }

  /** Looks at this time of the wall clock, or earlier. */
  #lookAt(atMs: number): void {
    if (!this.#isWatched || atMs >= this.#dueMs) return
    this.#cancel()
    this.#dueMs = atMs
    const { clock, timers } = this.#context
    this.#timer = timers.after(Math.max(1, Math.min(atMs - clock.wallMs(), LOOK_INTERVAL_MS)), () => void this.#look())
  }

  #cancel(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#dueMs = Number.POSITIVE_INFINITY
  }

  async #look(): Promise<void> {
    const { clock, log } = this.#context
    this.#cancel()
    // Who comes to watch meanwhile is told by the look that is under way, or by the next.
    if (this.#isLooking) return this.#lookAt(clock.wallMs() + LOOK_INTERVAL_MS)
    this.#isLooking = true
    let nextMs: number | undefined
    try {
      nextMs = await this.#tellDue(Math.floor(clock.wallMs()))
    } catch (error) {
      // The store is being opened again: the next look begins where this one did.
      if (!(error instanceof StoreError)) log.error('expiries-not-told', { error: String(error) })
    }
    this.#isLooking = false
    this.#lookAt(Math.min(nextMs ?? Number.POSITIVE_INFINITY, clock.wallMs() + LOOK_INTERVAL_MS))
  }

  /** Returns when the next one expires, if that is known. */
  async #tellDue(wallMs: number): Promise<number | undefined> {
    const { feed, store, timers } = this.#context
    const view = store.view()
    feed.seeksExpiries(wallMs)
    try {
      for await (const due of expired(view, feed.expiriesToldMs, wallMs)) {
        // What was written meanwhile has been told of already, and holds.
        const still = due.filter((entry) => isStillThere(store.read(entry.address), entry))
        if (!this.#isWatched) return undefined
        feed.expired(still, wallMs)
        await yieldToOthers(timers)
      }
      feed.expiredUpTo(wallMs)
      const [next] = await view.purgeable(endOf(WALL_MS_MAX), 1, { at: endOf(wallMs), address: LAST_ADDRESS })
      return next?.at.wallMs
    } finally {
      await view.close()
    }
  }
}

/** What has expired after one moment and until another, in the order of their expiry, page by page. */
export async function* expired(
  view: StoreView,
  afterMs: number,
  untilMs: number,
): AsyncGenerator<readonly Entry[], void> {
  if (untilMs <= afterMs) return
  let last: Purgeable = { at: endOf(afterMs), address: LAST_ADDRESS }
  for (;;) {
    const page = await view.purgeable(endOf(untilMs), PAGE_ROWS, last)
    const end = page.at(-1)
    if (end === undefined) return
    last = end
    const due = dueIn(page, await view.readMany(page.map(({ address }) => address)), untilMs)
    if (due.length > 0) yield due
  }
}

function dueIn(page: readonly Purgeable[], held: readonly Held[], wallMs: number): readonly Entry[] {
  return held.filter((entry, index): entry is Entry => {
    if (typeof entry !== 'object' || entry.value === undefined || !isExpired(entry, wallMs)) return false
    const at = purgeableAt(entry)
    return at !== undefined && compareHlc(at, page[index]?.at ?? at) === 0
  })
}

function isStillThere(held: Held, entry: Entry): boolean {
  return typeof held === 'object' && held.hash === entry.hash
}

/** Behind all that happened in this millisecond. */
function endOf(wallMs: number): Hlc {
  return { wallMs, counter: COUNTER_MAX }
}
