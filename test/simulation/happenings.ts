import type { EventOf, HistoryEvent, SimulationResult } from '@grapevine/simulator'

type Stored = EventOf<'stored'>
type Row = EventOf<'contents'>['entries'][number]

/** A span of true time, in milliseconds since the run began. */
export interface Span {
  readonly fromMs?: number
  readonly toMs?: number
}

/** What a client wrote, and what came of it. */
export interface Written {
  readonly invoke: EventOf<'invoke'>
  /** Undefined when the client never learned. */
  readonly outcome: EventOf<'written'> | undefined
}

/** What a run's history tells, for tests that ask whether something really happened in it. */
export class Happenings {
  readonly result: SimulationResult

  constructor(result: SimulationResult) {
    this.result = result
  }

  of<Type extends HistoryEvent['type']>(type: Type, span: Span = {}): readonly EventOf<Type>[] {
    return this.result.history.filter(
      (event): event is EventOf<Type> => event.type === type && isWithin(event.atMs, span),
    )
  }

  /** What became of a node's processes, with the reason where one was given. */
  lifeOf(node: string, span: Span = {}): readonly string[] {
    return this.of('process', span).flatMap(({ node: whose, what, reason }) =>
      whose === node ? [reason === undefined ? what : `${what}: ${reason}`] : [],
    )
  }

  /** The replica ids that a node has had, in order. */
  replicasOf(node: string): readonly string[] {
    const ids = this.of('process').flatMap((event) => (event.node === node ? (event.replica ?? []) : []))
    return [...new Set(ids)]
  }

  stored(node: string, key: string, span: Span = {}): readonly Stored[] {
    return this.of('stored', span).filter((event) => event.node === node && event.key === key)
  }

  /** Writes to a key, as they were asked for. */
  writesTo(key: string): readonly Written[] {
    return this.writes().filter(({ invoke }) => invoke.key === key)
  }

  writes(span: Span = {}): readonly Written[] {
    const outcomes = new Map(this.of('written').map((event) => [event.op, event]))
    return this.of('invoke', span)
      .filter(({ action }) => action !== 'get')
      .map((invoke) => ({ invoke, outcome: outcomes.get(invoke.op) }))
  }

  /** Reads at a node that were asked for within a span, in order. */
  readsAt(node: string, span: Span = {}): readonly EventOf<'read'>[] {
    const asked = new Set(
      this.of('invoke', span).flatMap((event) => (event.node === node && event.action === 'get' ? [event.op] : [])),
    )
    return this.of('read').filter(({ op }) => asked.has(op))
  }

  accepted(from: string, to: string, span: Span = {}): readonly EventOf<'accepted'>[] {
    return this.of('accepted', span).filter((event) => event.from === from && event.to === to)
  }

  /** What `node` thought of `of`, one opinion after the other. */
  opinions(node: string, of: string, span: Span = {}): readonly string[] {
    return this.of('opinion', span).flatMap((event) => (event.node === node && event.of === of ? [event.state] : []))
  }

  /** Whom anybody held for dead, as `observer>subject`. */
  declaredDead(span: Span = {}): readonly string[] {
    return this.of('opinion', span).flatMap(({ node, of, state }) => (state === 'dead' ? [`${node}>${of}`] : []))
  }

  faults(kind: string): readonly EventOf<'fault'>[] {
    return this.of('fault').filter(({ fault }) => fault === kind)
  }

  parkedAt(node: string, span: Span = {}): number {
    return Math.max(
      0,
      ...this.of('queue', span).flatMap((event) =>
        event.node === node && event.name === 'parked' ? [event.length] : [],
      ),
    )
  }

  /** What each node holds of a key at the end. */
  rowsOf(key: string): readonly (Row | undefined)[] {
    return this.of('contents').map(({ entries }) => entries.find((entry) => entry.key === key))
  }

  /** The clusters that there are at the end, with their nodes. */
  clusters(): ReadonlyMap<string, readonly string[]> {
    const clusters = new Map<string, string[]>()
    for (const { cluster, node } of this.of('contents')) clusters.set(cluster, [...(clusters.get(cluster) ?? []), node])
    return clusters
  }
}

function isWithin(atMs: number, { fromMs = 0, toMs = Number.POSITIVE_INFINITY }: Span): boolean {
  return atMs >= fromMs && atMs <= toMs
}
