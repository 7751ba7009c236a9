import { standingOf } from '@grapevine/core'
import { clockAdvice } from './clock-watch.ts'
import type { MemberParts } from './member-parts.ts'
import type { ReplicaOptions } from './replica-options.ts'
import type { ReplicaState } from './replica-state.ts'
import { twinAdvice } from './twin-watch.ts'
import type { WriteRefusal } from './write.ts'

export interface ReadinessContext {
  readonly options: Pick<ReplicaOptions, 'found' | 'restore'>
  readonly state: () => ReplicaState
  readonly member: () => Pick<MemberParts, 'twins' | 'clocks'> | undefined
  /** The store has to be opened again after a failed write. */
  readonly isReopening: () => boolean
  /** The disk has no room. */
  readonly isReadOnly: () => boolean
}

/** Where a replica is in its life, and so whether it may serve, in words for whoever waits for it. */
export class Readiness {
  readonly #context: ReadinessContext
  isStopping = false
  /** It has found out that it is no replica any more (frontier.md R15, R16), and says nothing until it is stopped. */
  isOut = false
  isLeaving = false
  /** Somebody was found, or nobody was there to be found. */
  hasSearched = false
  /** How far the only sponsor's clock is ahead of ours, when that is too far to join. */
  sponsorAheadMs: number | undefined
  /** Why nobody has let this node in so far. */
  notSponsored: string | undefined

  constructor(context: ReadinessContext) {
    this.#context = context
  }

  /** Why this node is not ready; `undefined` when it is. */
  get problem(): string | undefined {
    const { incompleteness } = this
    if (incompleteness !== undefined) return incompleteness
    const member = this.#context.member()
    const twin = member?.twins.twin
    if (twin !== undefined) return `cloned: ${twinAdvice(twin)}`
    const fault = member?.clocks.fault
    return fault && `clock_suspect: ${clockAdvice(fault)}`
  }

  /** Why this node is not yet, or no more, a member that holds what a member holds. */
  get incompleteness(): string | undefined {
    const { state, isReopening } = this.#context
    const { identity, roster } = state()
    if (this.isStopping) return 'stopping'
    if (identity === undefined) return this.#search
    if (identity.stage === 'left') return 'it has left the cluster'
    if (standingOf(roster, identity.replica) === 'evicted') return 'evicted'
    if (this.isLeaving) return 'leaving: it takes no more writes, until another member holds everything'
    if (identity.stage === 'joining') return 'joining'
    if (isReopening()) return 'opening the store again after a failed write'
    return this.hasSearched ? undefined : 'looking for the other members'
  }

  /**
   * A suspect clock is no reason to refuse a write: nobody who comes here is better served by an error, and versions
   * follow what is held, whatever the clock says.
   */
  readonly writeRefusal = (): WriteRefusal | undefined => {
    if (this.isStopping || this.isOut || this.isLeaving) return 'draining'
    if (this.#context.member()?.twins.twin !== undefined) return 'cloned'
    if (this.incompleteness !== undefined) return 'not_ready'
    return this.#context.isReadOnly() ? 'disk_full' : undefined
  }

  /** What a node that belongs to no cluster is doing about it. */
  get #search(): string {
    const { found, restore } = this.#context.options
    if (this.sponsorAheadMs !== undefined)
      return `clock_suspect: the sponsor's clock is ${Math.round(this.sponsorAheadMs / 1_000)} s ahead of this node's. Set the clocks, best by NTP: the node then joins by itself`
    if (found) return restore === undefined ? 'founding' : 'founding, from a snapshot'
    return ['looking for a sponsor', ...(this.notSponsored === undefined ? [] : [this.notSponsored])].join(': ')
  }
}
