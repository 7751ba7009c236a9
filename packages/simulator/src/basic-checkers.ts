import type { Checker, ContentsRow, HistoryEvent, Violation } from './history/history.ts'

/** The least that must hold. Whoever calls `simulate` may give more. */
export function basicCheckers(): readonly Checker[] {
  return [new Agreement(), new NothingForgotten(), new TreeEqualsData(), new Idleness()]
}

type Contents = Extract<HistoryEvent, { type: 'contents' }>

/** At the end, all nodes of a cluster hold the same. */
class Agreement implements Checker {
  readonly name = 'agreement'
  readonly #contents: Contents[] = []

  see(event: HistoryEvent): void {
    if (event.type === 'contents') this.#contents.push(event)
  }

  finish(): readonly Violation[] {
    const violations: Violation[] = []
    const [first] = this.#contents
    for (const other of this.#contents) {
      if (first === undefined || other.cluster !== first.cluster) continue
      const key = differingKey(first.entries, other.entries)
      if (key === undefined) continue
      const message = `${first.node} and ${other.node} differ at the end, at least in ${key}`
      violations.push({ checker: this.name, atMs: other.atMs, node: other.node, key, message })
    }
    return violations
  }
}

/** What was acknowledged is everywhere at the end, or something newer is, unless those who held it lost their disks. */
class NothingForgotten implements Checker {
  readonly name = 'nothing forgotten'
  readonly #keys = new Map<number, string>()
  readonly #acknowledged = new Map<string, { version: string; atMs: number }[]>()
  /** Nodes whose disk holds a version, by key and version. */
  readonly #holders = new Map<string, Set<string>>()
  readonly #contents: Contents[] = []

  see(event: HistoryEvent): void {
    if (event.type === 'invoke') this.#keys.set(event.op, event.key)
    if (event.type === 'contents') this.#contents.push(event)
    if (event.type === 'stored') this.#holdersOf(event.key, event.version).add(event.node)
    if (event.type === 'process' && event.what === 'wiped')
      for (const holders of this.#holders.values()) holders.delete(event.node)
    if (event.type === 'written' && event.outcome === 'applied' && event.version !== undefined) {
      const key = this.#keys.get(event.op) ?? ''
      const { version, atMs } = event
      this.#acknowledged.set(key, [...(this.#acknowledged.get(key) ?? []), { version, atMs }])
    }
  }

  finish(): readonly Violation[] {
    const violations: Violation[] = []
    // Who stays away takes along what it alone holds.
    const here = new Map(this.#contents.map(({ node, cluster }) => [node, cluster]))
    for (const holders of this.#holders.values()) for (const node of holders) if (!here.has(node)) holders.delete(node)
    for (const { node, cluster, entries } of this.#contents) {
      const held = new Map(entries.map((row) => [row.key, row.version]))
      for (const [key, writes] of this.#acknowledged) {
        for (const { version, atMs } of writes) {
          const found = held.get(key) ?? ''
          const isOurs = [...this.#holdersOf(key, version)].some((holder) => here.get(holder) === cluster)
          if (found >= version || !isOurs) continue
          const message = `${node} holds ${found || 'nothing'} for ${key}, and ${version} was acknowledged`
          violations.push({ checker: this.name, atMs, node, key, message })
        }
      }
    }
    return violations
  }

  #holdersOf(key: string, version: string): Set<string> {
    const name = `${key} ${version}`
    const holders = this.#holders.get(name) ?? new Set()
    this.#holders.set(name, holders)
    return holders
  }
}

class TreeEqualsData implements Checker {
  readonly name = 'tree equals data'
  readonly #violations: Violation[] = []

  see(event: HistoryEvent): void {
    if (event.type !== 'contents' || event.root === event.recomputedRoot) return
    const message = `${event.node} says that its root is ${event.root}, and its rows give ${event.recomputedRoot}`
    this.#violations.push({ checker: this.name, atMs: event.atMs, node: event.node, message })
  }

  finish(): readonly Violation[] {
    return this.#violations
  }
}

/** When nothing is written and all agree, little is said. */
class Idleness implements Checker {
  readonly name = 'falls to idle'
  readonly #violations: Violation[] = []

  see(event: HistoryEvent): void {
    if (event.type !== 'idle' || event.framesPerNodeSecond <= event.framesPerNodeSecondMax) return
    const message = `${event.framesPerNodeSecond} frames per node and second, and at most ${event.framesPerNodeSecondMax} are needed`
    this.#violations.push({ checker: this.name, atMs: event.atMs, message })
  }

  finish(): readonly Violation[] {
    return this.#violations
  }
}

function differingKey(a: readonly ContentsRow[], b: readonly ContentsRow[]): string | undefined {
  const there = new Map(b.map((row) => [row.key, row]))
  for (const row of a) {
    if (there.get(row.key)?.hash !== row.hash) return row.key
    there.delete(row.key)
  }
  const [more] = there.keys()
  return more
}
