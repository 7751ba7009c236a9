import type { EtagText, HistoryEvent } from '../history/history.ts'
import { NodeLives } from './node-lives.ts'

export interface Durable {
  readonly version: EtagText
  readonly state: 'value' | 'tombstone'
  readonly value: string | undefined
}

/** The newest version of each key that each node has made durable in its present life, as `stored` tells it. */
export class DurableVersions {
  readonly lives: NodeLives = new NodeLives()
  readonly #byNode = new Map<string, Map<string, Durable>>()
  readonly #latest = new Map<string, EtagText>()

  see(event: HistoryEvent): void {
    this.endLives(event)
    this.take(event)
  }

  /**
   * The first half of {@link see}: whoever compares an event with what was durable does so after this half. Tells
   * whose life ended, if any did.
   */
  endLives(event: HistoryEvent): string | undefined {
    const ended = this.lives.see(event)
    if (ended !== undefined) {
      this.#byNode.delete(ended)
      this.#latest.delete(ended)
    }
    return ended
  }

  take(event: HistoryEvent): void {
    if (event.type === 'purged') {
      const held = this.of(event.node, event.key)
      if (held !== undefined && held.version <= event.version) this.#byNode.get(event.node)?.delete(event.key)
    }
    if (event.type !== 'stored') return
    const { node, key, version, state, value } = event
    const held = this.of(node, key)
    if (held === undefined || held.version < version) this.#on(node).set(key, { version, state, value })
    if ((this.#latest.get(node) ?? '') < version) this.#latest.set(node, version)
  }

  of(node: string, key: string): Durable | undefined {
    return this.#byNode.get(node)?.get(key)
  }

  all(node: string): ReadonlyMap<string, Durable> {
    return this.#on(node)
  }

  /** The greatest version of any key that was ever durable there in this life. */
  latest(node: string): EtagText | undefined {
    return this.#latest.get(node)
  }

  #on(node: string): Map<string, Durable> {
    let held = this.#byNode.get(node)
    if (held === undefined) {
      held = new Map()
      this.#byNode.set(node, held)
    }
    return held
  }
}
