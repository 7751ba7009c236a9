import type { EventOf, HistoryEvent } from '../history/history.ts'

type Running = 'down' | 'starting' | 'ready'

interface NodeLife {
  /** Counts what took back something durable; a disk never holds what it held in another life. */
  life: number
  /** The number of the last such change among all nodes'. */
  endedLifeAt: number
  running: Running
  frozen: boolean
  damaged: boolean
  rolledBack: boolean
  cluster: string | undefined
  replica: string | undefined
  readonly formerReplicas: Set<string>
}

/**
 * Which nodes run, and since when their disks have only gained. What was durable in one life of a node need not be
 * there in the next: it was wiped, damaged, rolled back, or came back as another replica.
 */
export class NodeLives {
  readonly #nodes = new Map<string, NodeLife>()
  #changes = 0

  /** Tells whether a life ended, and whose. */
  see(event: HistoryEvent): string | undefined {
    if (event.type === 'process') return this.#seeProcess(event)
    if (event.type === 'stored') return this.#seeReplica(event.node, event.replica)
    if (event.type === 'contents') {
      this.#of(event.node).cluster ??= event.cluster
      return this.#seeReplica(event.node, event.replica)
    }
    if (event.type !== 'fault' || event.node === undefined || event.disk === undefined) return undefined
    if (event.disk === 'damaged') this.#of(event.node).damaged = true
    else this.#rollBack(event.node)
    return this.#end(event.node)
  }

  get names(): Iterable<string> {
    return this.#nodes.keys()
  }

  life(node: string): number {
    return this.#nodes.get(node)?.life ?? 0
  }

  /** Numbers the lives' ends of all nodes, so that two moments can be compared. */
  get now(): number {
    return this.#changes
  }

  /** Whether a life of the node ended after that moment. */
  hasLostSince(node: string, moment: number): boolean {
    return (this.#nodes.get(node)?.endedLifeAt ?? 0) > moment
  }

  cluster(node: string): string {
    return this.#nodes.get(node)?.cluster ?? ''
  }

  replica(node: string): string | undefined {
    return this.#nodes.get(node)?.replica
  }

  wasReplica(node: string, replica: string): boolean {
    return this.#nodes.get(node)?.formerReplicas.has(replica) ?? false
  }

  /** Whether it takes requests: up to date with its start and not frozen. A node nobody reported about does. */
  isServing(node: string): boolean {
    const held = this.#nodes.get(node)
    return held === undefined || (held.running === 'ready' && !held.frozen)
  }

  /** Whether its process runs and is not frozen, however far it has come. */
  isUp(node: string): boolean {
    const held = this.#nodes.get(node)
    return held === undefined || (held.running !== 'down' && !held.frozen)
  }

  /** Whether rows may be missing since its disk was damaged. */
  isDamaged(node: string): boolean {
    return this.#nodes.get(node)?.damaged ?? false
  }

  /** Whether it may be no replica any more without knowing it (frontier.md R16). */
  isRolledBack(node: string): boolean {
    return this.#nodes.get(node)?.rolledBack ?? false
  }

  /** Whoever it was before, it may be again. */
  #rollBack(node: string): void {
    const held = this.#of(node)
    held.rolledBack = true
    held.replica = undefined
    held.formerReplicas.clear()
  }

  #seeProcess(event: EventOf<'process'>): string | undefined {
    const { node, what } = event
    const held = this.#of(node)
    if (event.cluster !== undefined && event.cluster !== '') held.cluster = event.cluster
    const ended =
      event.replica === undefined || event.replica === '' ? undefined : this.#seeReplica(node, event.replica)
    switch (what) {
      case 'started':
        held.running = 'starting'
        held.frozen = false
        return ended
      case 'ready':
        held.running = 'ready'
        return ended
      case 'crashed':
      case 'stopped':
      case 'ended-itself':
        held.running = 'down'
        return ended
      case 'frozen':
        held.frozen = true
        return ended
      case 'thawed':
        held.frozen = false
        return ended
      case 'wiped':
        if (held.replica !== undefined) held.formerReplicas.add(held.replica)
        held.replica = undefined
        held.damaged = false
        held.rolledBack = false
        return this.#end(node)
    }
  }

  #seeReplica(node: string, replica: string): string | undefined {
    const held = this.#of(node)
    const former = held.replica
    held.replica = replica
    if (former === undefined || former === replica) return undefined
    held.formerReplicas.add(former)
    held.damaged = false
    held.rolledBack = false
    return this.#end(node)
  }

  #end(node: string): string {
    const held = this.#of(node)
    held.life++
    held.endedLifeAt = ++this.#changes
    return node
  }

  #of(node: string): NodeLife {
    let held = this.#nodes.get(node)
    if (held === undefined) {
      held = {
        life: 0,
        endedLifeAt: 0,
        // Without a report that it started, a node runs for as long as the history goes.
        running: 'ready',
        frozen: false,
        damaged: false,
        rolledBack: false,
        cluster: undefined,
        replica: undefined,
        formerReplicas: new Set(),
      }
      this.#nodes.set(node, held)
    }
    return held
  }
}
