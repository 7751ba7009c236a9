import {
  areTombstonesPilingUp,
  compareHlc,
  hlcAt,
  HLC_ZERO,
  laterHlc,
  tombstoneRatio,
  type Acknowledgement,
  type Clock,
  type Hlc,
  type Log,
  type Purgeable,
  type ReplicaId,
  type Store,
} from '@grapevine/core'
import type { Publications } from './publications.ts'
import { firstPurgeable } from './purge-round.ts'
import type { ReplicaState } from './replica-state.ts'

export interface TombstoneWatchContext {
  readonly state: () => ReplicaState
  readonly store: Store
  readonly publications: Publications
  readonly clock: Clock
  readonly log: Log
  readonly nameOf: (replica: ReplicaId) => string
  readonly purgeIntervalMs: number
  /** The share of tombstones from which on to warn; 0 for never. */
  readonly ratioMax: number
}

/**
 * Knows what waits to be purged, for whom, and since when. For people alone: it decides nothing. Only who looks at the
 * frontier knows for whom it waits; the others hear of it when somebody asks for a report.
 */
export class TombstoneWatch {
  readonly #context: TombstoneWatchContext
  #oldest: Purgeable | undefined
  /** Since when, by the monotonic clock, the frontier waits for each, and which one it was. */
  #waits: { readonly frontier: Hlc; readonly sinceMs: ReadonlyMap<ReplicaId, number> } = NOBODY
  #isPilingUp = false

  constructor(context: TombstoneWatchContext) {
    this.#context = context
  }

  /** When the oldest of what may go was deleted or expired, by the wall clock, as of the last look. */
  get oldestMs(): number | undefined {
    return this.#oldest?.at.wallMs
  }

  /** Whether the share of tombstones is one that an operator should hear of, as of the last look. */
  get isPilingUp(): boolean {
    return this.#isPilingUp
  }

  /** For whom the frontier has been waiting, and how long. Nobody once it has moved since the last look. */
  waitsMs(): ReadonlyMap<ReplicaId, number> {
    const { state, clock } = this.#context
    const { frontier, sinceMs } = this.#waits
    if (this.#oldest === undefined || compareHlc(frontier, state().frontier) !== 0) return new Map()
    const nowMs = clock.monotonicMs()
    return new Map([...sinceMs].map(([replica, since]) => [replica, Math.max(0, Math.round(nowMs - since))]))
  }

  /** What could go first, if the frontier let it: deleted, or expired by now. */
  async lookAtOldest(): Promise<Purgeable | undefined> {
    const { state, store, clock, log, purgeIntervalMs, ratioMax } = this.#context
    const wallMs = clock.wallMs()
    const [oldest] = await firstPurgeable(store, laterHlc(state().clock.now, hlcAt(wallMs)), 1)
    this.#oldest = oldest
    const { totals } = state()
    const oldestMs = oldest === undefined ? 0 : wallMs - oldest.at.wallMs
    const isPilingUp = areTombstonesPilingUp(totals, { oldestMs, purgeIntervalMs, ratioMax })
    if (isPilingUp && !this.#isPilingUp)
      log.warn('tombstones-pile-up', {
        ...totals,
        ratio: Math.round(tombstoneRatio(totals) * 1_000) / 1_000,
        oldestMs: Math.round(oldestMs),
        waitsFor: [...this.waitsMs().keys()].map((replica) => this.#context.nameOf(replica)),
        advice: 'grapevine tombstones says who holds the frontier back',
      })
    if (!isPilingUp && this.#isPilingUp) log.info('tombstones-went', { ...totals })
    this.#isPilingUp = isPilingUp
    return oldest
  }

  /** To be called when the members were just asked for their publications. */
  async noteWaits(): Promise<void> {
    const { state, clock } = this.#context
    const oldest = await this.lookAtOldest()
    const { frontier } = state()
    const hasMoved = compareHlc(this.#waits.frontier, frontier) !== 0
    const nowMs = clock.monotonicMs()
    const waiting = oldest === undefined ? [] : this.acknowledgements(oldest.at).filter(isWaitedFor)
    const sinceMs = waiting.map(
      ({ replica }) => [replica, (hasMoved ? undefined : this.#waits.sinceMs.get(replica)) ?? nowMs] as const,
    )
    this.#waits = { frontier, sinceMs: new Map(sinceMs) }
  }

  /** What each member has said so far that lets the frontier pass `need`. */
  acknowledgements(need: Hlc): readonly Acknowledgement[] {
    const { state, publications } = this.#context
    return publications.acknowledgements(need, state().roster)
  }
}

export function isWaitedFor({ waits }: Acknowledgement): boolean {
  return waits !== undefined
}

const NOBODY = { frontier: HLC_ZERO, sinceMs: new Map<ReplicaId, number>() }
