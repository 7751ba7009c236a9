import type { EventOf, HistoryEvent } from '../history/history.ts'
import type { NodeLives } from './node-lives.ts'

export type Contents = EventOf<'contents'>

/**
 * What the nodes hold at the audit, of those that have to agree: neither away by plan nor down. The last contents of
 * each count.
 */
export class Audit {
  readonly #lives: NodeLives
  readonly #contents = new Map<string, Contents>()
  #away: ReadonlySet<string> = new Set()
  #started = false

  constructor(lives: NodeLives) {
    this.#lives = lives
  }

  see(event: HistoryEvent): void {
    if (event.type === 'phase') {
      if (event.phase === 'heal' || event.away !== undefined) this.#away = new Set(event.away)
      this.#started = event.phase === 'audit'
    } else if (event.type === 'contents' && this.#started && this.#lives.isServing(event.node)) {
      this.#contents.set(event.node, event)
    }
  }

  get hasBegun(): boolean {
    return this.#started
  }

  isAway(node: string): boolean {
    return this.#away.has(node)
  }

  /** Of nodes that have to agree, grouped by cluster. */
  get clusters(): ReadonlyMap<string, readonly Contents[]> {
    return Map.groupBy(this.compared, ({ cluster }) => cluster)
  }

  get compared(): readonly Contents[] {
    return [...this.#contents.values()].filter(({ node }) => !this.#away.has(node))
  }
}

/**
 * How many keys a node may be behind with: what it has parked came to it, and waits for its time (P9). The history
 * does not say which they are.
 */
export function keysExcused({ node, parked, corrupt }: Contents, lives: NodeLives): number {
  return parked + (lives.isDamaged(node) ? corrupt : 0)
}
