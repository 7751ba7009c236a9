import type { ContentsRow, EventOf, HistoryEvent } from '../../src/index.ts'
import { CLUSTER } from './events.ts'

/** One thing that happens to the reference cluster. Numbers choose among what there is, modulo how much there is. */
export interface Step {
  readonly what:
    | 'write'
    | 'read'
    | 'answer'
    | 'deliver'
    | 'replay'
    | 'exchange'
    | 'crash'
    | 'start'
    | 'wipe'
    | 'freeze'
    | 'thaw'
    | 'purge'
    | 'damage'
    | 'roll-back'
  readonly node: number
  readonly peer: number
  readonly key: number
  readonly client: number
  readonly dice: number
}

interface Entry {
  readonly key: string
  readonly version: string
  readonly value: string | undefined
  readonly dot: readonly [string, number]
}

interface Node {
  readonly name: string
  replica: string
  writer: string
  life: number
  clock: number
  /** Fast or slow against true time. */
  readonly offsetMs: number
  state: 'up' | 'down' | 'frozen' | 'rolled-back'
  readonly held: Map<string, Entry>
  readonly corrupt: Set<string>
  readonly numbers: Map<string, number>
  snapshot: readonly Entry[]
}

interface Client {
  readonly name: string
  readonly hasSession: boolean
  readonly floors: Map<string, { version: string; isGone: boolean }>
  latest: number
  pending: (() => void) | undefined
}

const KEYS = ['k0', 'k1', 'k2']
const HEAL_LASTS_MS = 60_000

/**
 * The simplest cluster that keeps the promises: whole entries travel one by one, the greater version wins, and nothing
 * is hidden from the history. What it writes down is correct by construction, however the steps come.
 */
export class ReferenceCluster {
  readonly history: HistoryEvent[] = []
  readonly #nodes: readonly Node[]
  readonly #clients: readonly Client[]
  readonly #archive: Entry[] = []
  readonly #purged = new Map<string, string>()
  #nowMs = 0
  #operations = 0
  #ids = 0
  #writes = 0

  constructor(nodes: number) {
    this.#clients = ['anna', 'bob', 'carl', 'dora'].map((name, index) => ({
      name,
      hasSession: index < 2,
      floors: new Map(),
      latest: 0,
      pending: undefined,
    }))
    this.#nodes = Array.from({ length: nodes }, (_, index) => ({
      name: `n${index}`,
      replica: this.#newId(),
      writer: this.#newId(),
      life: 0,
      clock: 0,
      offsetMs: (index - 1) * 3_000 + 5_000,
      state: 'up',
      held: new Map(),
      corrupt: new Set(),
      numbers: new Map(),
      snapshot: [],
    }))
    for (const node of this.#nodes) this.#start(node)
    this.#note({ type: 'phase', phase: 'chaos' })
  }

  take(step: Step): void {
    const node = pick(this.#nodes, step.node)
    const peer = pick(this.#nodes, step.peer)
    const client = pick(this.#clients, step.client)
    const key = pick(KEYS, step.key)
    switch (step.what) {
      case 'write':
        return client.pending === undefined ? this.#write(client, node, peer, key, step.dice) : this.#answer(client)
      case 'read':
        return client.pending === undefined ? this.#read(client, node, key) : this.#answer(client)
      case 'answer':
        return this.#answer(client)
      case 'deliver': {
        const entry = node.held.get(key)
        if (entry !== undefined && node.state === 'up') this.#deliver(entry, node, peer)
        return
      }
      case 'replay':
        if (this.#archive.length > 0) this.#deliver(pick(this.#archive, step.dice), node, peer)
        return
      case 'exchange':
        return this.#exchange(node, peer)
      case 'crash':
        if (node.state === 'up') this.#stop(node, 'crashed', 'down')
        return
      case 'start':
        if (node.state === 'down') this.#start(node)
        return
      case 'freeze':
        if (node.state === 'up') this.#stop(node, 'frozen', 'frozen')
        return
      case 'thaw':
        if (node.state === 'frozen') this.#stop(node, 'thawed', 'up')
        return
      case 'wipe':
        if (node.state !== 'frozen' && peer !== node && peer.state === 'up') this.#joinAnew(node, peer)
        return
      case 'purge':
        return this.#purge(key)
      case 'damage':
        return this.#damage(node, key)
      case 'roll-back':
        return this.#rollBack(node)
    }
  }

  /** Faults end, all but perhaps one come back, everybody hears everything, and all is looked at. */
  finish(away: number | undefined): readonly HistoryEvent[] {
    for (const client of this.#clients) this.#answer(client)
    const absent = away === undefined ? undefined : pick(this.#nodes, away)
    if (absent?.state === 'up') this.#stop(absent, 'crashed', 'down')
    const deadlineMs = this.#nowMs + HEAL_LASTS_MS
    const names = absent === undefined ? [] : [absent.name]
    this.#note({ type: 'phase', phase: 'heal', away: names, deadlineMs })
    const present = this.#nodes.filter((node) => node !== absent)
    for (const node of present) {
      if (node.state === 'down') this.#start(node)
      if (node.state === 'frozen') this.#stop(node, 'thawed', 'up')
    }
    for (const node of present) {
      const sponsor = present.find((other) => other.state === 'up')
      if (node.state === 'rolled-back' && sponsor !== undefined) this.#joinAnew(node, sponsor)
      else if (node.state === 'rolled-back') node.state = 'up'
    }
    for (const node of present)
      for (const of of this.#nodes) {
        const state = of === absent ? 'dead' : 'alive'
        if (of !== node) this.#note({ type: 'opinion', node: node.name, of: of.name, ofReplica: of.replica, state })
      }
    for (const _ of ['there', 'and back'])
      for (const node of present) for (const peer of present) this.#exchange(node, peer)
    // By now whatever was stored has been counted, so equals need one question.
    this.#nowMs = deadlineMs - 1_000
    for (const node of present) for (const peer of present) this.#exchange(node, peer)
    this.#nowMs = deadlineMs
    this.#note({ type: 'phase', phase: 'audit' })
    for (const node of present) this.#lookInto(node)
    return this.history
  }

  #write(client: Client, node: Node, peer: Node, key: string, dice: number): void {
    const isDelete = dice % 4 === 0
    const w = dice % 3 === 0 && peer !== node ? 2 : 1
    const value = isDelete ? undefined : `value ${++this.#writes}`
    const op = this.#invoke(client, node, {
      action: isDelete ? 'delete' : 'put',
      key,
      w,
      ...(value !== undefined && { value }),
    })
    const { life } = node
    const latest = client.hasSession ? client.latest : 0
    const canTake = node.state === 'up' && !node.corrupt.has(key)
    if (!canTake || dice % 7 === 0 || (w === 2 && peer.state !== 'up')) {
      client.pending = () => this.#note({ type: 'written', op, outcome: 'not-applied', code: 'not_ready' })
      return
    }
    const commit = (): Entry => {
      const held = node.held.get(key)
      node.clock = Math.max(node.clock, this.#wallMs(node), hlcOf(held?.version), latest) + 1
      const version = versionOf(node.clock, node.replica)
      const seq = (node.numbers.get(key) ?? 0) + 1
      node.numbers.set(key, seq)
      const entry: Entry = { key, version, value, dot: [node.writer, seq] }
      this.#store(node, entry)
      return entry
    }
    const tell = ({ version }: Entry, acks: number): void => {
      this.#note({ type: 'written', op, outcome: 'applied', version, acks, members: this.#nodes.length })
      if (!client.hasSession) return
      client.floors.set(key, { version, isGone: isDelete })
      client.latest = Math.max(client.latest, hlcOf(version))
    }
    const unknown = (): void => this.#note({ type: 'written', op, outcome: 'unknown', code: 'timeout' })
    const early = dice % 5 < 2 ? commit() : undefined
    client.pending = () => {
      const isHere = node.life === life && node.state === 'up'
      if (early === undefined && (!isHere || node.corrupt.has(key))) return unknown()
      const entry = early ?? commit()
      if (!isHere || dice % 11 === 0) return unknown()
      if (w === 1) return tell(entry, 1)
      this.#deliver(entry, node, peer)
      const isThere = (peer.held.get(key)?.version ?? '') >= entry.version && peer.state === 'up'
      return isThere && !peer.corrupt.has(key) ? tell(entry, 2) : unknown()
    }
  }

  #read(client: Client, node: Node, key: string): void {
    const op = this.#invoke(client, node, { action: 'get', key })
    client.pending = () => {
      const held = node.held.get(key)
      const floor = client.hasSession ? client.floors.get(key) : undefined
      const isPurged = floor?.isGone === true && (this.#purged.get(key) ?? '') >= floor.version
      const isBehind = floor !== undefined && (held === undefined ? !isPurged : held.version < floor.version)
      const isAnswering = node.state === 'up' || node.state === 'rolled-back'
      if (!isAnswering || isBehind || node.corrupt.has(key)) {
        this.#note({ type: 'read', op, outcome: 'failed', code: isBehind ? 'behind' : 'unreachable' })
        return
      }
      if (held === undefined) return this.#note({ type: 'read', op, outcome: 'ok', value: null })
      const { version, value } = held
      this.#note({ type: 'read', op, outcome: 'ok', value: value ?? null, version })
      if (!client.hasSession) return
      client.floors.set(key, { version, isGone: value === undefined })
      client.latest = Math.max(client.latest, hlcOf(version))
    }
  }

  #invoke(
    client: Client,
    node: Node,
    fields: Pick<EventOf<'invoke'>, 'action' | 'key'> & Partial<EventOf<'invoke'>>,
  ): number {
    const op = ++this.#operations
    this.#note({ type: 'invoke', op, client: client.name, node: node.name, session: client.hasSession, ...fields })
    return op
  }

  #answer(client: Client): void {
    const { pending } = client
    client.pending = undefined
    pending?.()
  }

  #deliver(entry: Entry, from: Node, to: Node): void {
    if (to.state !== 'up' || to === from) return
    this.#note({
      type: 'accepted',
      from: from.name,
      to: to.name,
      name: 'rumors',
      fromCluster: CLUSTER,
      toCluster: CLUSTER,
      fromReplica: from.replica,
      toReplica: to.replica,
      bytes: 100,
    })
    this.#takeIn(entry, to)
  }

  #takeIn(entry: Entry, to: Node): void {
    const { key, version } = entry
    if (version <= (this.#purged.get(key) ?? '') || version <= (to.held.get(key)?.version ?? '')) return
    if (to.corrupt.has(key)) {
      if (hlcOf(version) <= to.clock) return
      to.corrupt.delete(key)
    }
    to.clock = Math.max(to.clock, hlcOf(version))
    this.#store(to, entry)
  }

  #store(node: Node, entry: Entry): void {
    const { key, version, value, dot } = entry
    const before = node.held.get(key)?.version
    node.held.set(key, entry)
    this.#archive.push(entry)
    this.#note({
      type: 'stored',
      node: node.name,
      replica: node.replica,
      key,
      version,
      dot,
      partition: KEYS.indexOf(key),
      state: value === undefined ? 'tombstone' : 'value',
      ...(value !== undefined && { value }),
      ...(before !== undefined && { before }),
    })
  }

  #exchange(node: Node, peer: Node): void {
    if (node === peer || node.state !== 'up' || peer.state !== 'up') return
    const startedAtMs = this.#nowMs + 1
    const before = this.history.length
    for (const entry of node.held.values()) this.#takeIn(entry, peer)
    for (const entry of peer.held.values()) this.#takeIn(entry, node)
    const isEqual = this.history.length === before && node.corrupt.size + peer.corrupt.size === 0
    const about = { type: 'exchange', node: node.name, peer: peer.name, startedAtMs } as const
    this.#note(isEqual ? { ...about, result: 'equal', questions: 1 } : { ...about, result: 'repaired', questions: 6 })
  }

  #start(node: Node): void {
    node.state = 'up'
    node.writer = this.#newId()
    node.numbers.clear()
    this.#note({ type: 'process', node: node.name, what: 'started' })
    this.#note({ type: 'process', node: node.name, what: 'ready', cluster: CLUSTER, replica: node.replica })
  }

  #stop(node: Node, what: 'crashed' | 'frozen' | 'thawed', state: Node['state']): void {
    node.state = state
    this.#note({ type: 'process', node: node.name, what })
  }

  #joinAnew(node: Node, sponsor: Node): void {
    node.life++
    node.replica = this.#newId()
    node.held.clear()
    node.corrupt.clear()
    node.snapshot = []
    node.clock = sponsor.clock
    this.#note({ type: 'process', node: node.name, what: 'wiped' })
    this.#start(node)
    for (const entry of sponsor.held.values()) this.#takeIn(entry, node)
  }

  /** A tombstone that every node holds beats whatever may still be on its way. */
  #purge(key: string): void {
    const version = this.#nodes[0]?.held.get(key)?.version
    const isEverywhere = this.#nodes.every(({ held, state }) => {
      const entry = held.get(key)
      return entry !== undefined && entry.value === undefined && entry.version === version && state !== 'rolled-back'
    })
    if (version === undefined || !isEverywhere) return
    this.#purged.set(key, version)
    for (const { name, held } of this.#nodes) {
      held.delete(key)
      this.#note({ type: 'purged', node: name, key, version, frontier: version.slice(0, 16) })
    }
  }

  #damage(node: Node, key: string): void {
    if (node.state !== 'up' || !node.held.delete(key)) return
    node.corrupt.add(key)
    node.life++
    this.#note({ type: 'fault', fault: 'bit-flip', node: node.name, disk: 'damaged' })
  }

  /** The first time a copy is kept, the second time it comes back. */
  #rollBack(node: Node): void {
    if (node.state !== 'up' || this.#nodes.every((other) => other === node || other.state !== 'up')) return
    if (node.snapshot.length === 0) {
      node.snapshot = [...node.held.values()]
      return
    }
    node.life++
    node.state = 'rolled-back'
    node.held.clear()
    node.corrupt.clear()
    for (const entry of node.snapshot) node.held.set(entry.key, entry)
    this.#note({ type: 'fault', fault: 'old-backup', node: node.name, disk: 'rolled-back' })
  }

  #lookInto(node: Node): void {
    const entries: ContentsRow[] = [...node.held.values()].map(({ key, version, value }) => ({
      key,
      version,
      hash: `hash of ${version}`,
      state: value === undefined ? 'tombstone' : 'value',
      ...(value !== undefined && { value }),
    }))
    const root = entries
      .map(({ version }) => version)
      .toSorted()
      .join(' ')
    this.#note({
      type: 'contents',
      node: node.name,
      cluster: CLUSTER,
      replica: node.replica,
      root,
      recomputedRoot: root,
      entries,
      corrupt: node.corrupt.size,
      parked: 0,
      vectorHash: 'v',
    })
  }

  #note(event: Unstamped<HistoryEvent>): void {
    this.#nowMs += 1
    this.history.push({ ...event, atMs: this.#nowMs })
  }

  #wallMs({ offsetMs }: Node): number {
    return this.#nowMs + offsetMs
  }

  #newId(): string {
    return (++this.#ids).toString(16).padStart(16, '0')
  }
}

type Unstamped<Event> = Event extends unknown ? Omit<Event, 'atMs'> : never

function versionOf(hlc: number, replica: string): string {
  return `${hlc.toString(16).padStart(16, '0')}-${replica}`
}

function hlcOf(version: string | undefined): number {
  return version === undefined ? 0 : Number.parseInt(version.slice(0, 16), 16)
}

function pick<Item>(items: readonly Item[], number: number): Item {
  const item = items[number % items.length]
  if (item === undefined) throw new Error('there is nothing to pick from')
  return item
}
