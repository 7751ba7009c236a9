import {
  etagOf,
  HLC_ZERO,
  hlcText,
  keyOf,
  PARKED_ENTRIES_MAX,
  partitionOf,
  RUMOR_QUEUE_ENTRIES_MAX,
  WRITE_QUEUE_ENTRIES_MAX,
  type Entry,
  type Log,
  type Measures,
  type Roster,
} from '@grapevine/core'
import type { HistoryEvent } from './history/history.ts'
import type { Machine, Running } from './machine.ts'
import type { Recorder } from './recorder.ts'
import type { Trace } from './trace.ts'

type ProcessEvent = Extract<HistoryEvent, { type: 'process' }>

export interface ObserverContext {
  readonly recorder: Recorder
  readonly trace: Trace
  /** True time. */
  readonly nowMs: () => number
  readonly machines: () => readonly Machine[]
  /** Whether an operator has given up what this replica was, or it itself. */
  readonly isGivenUp: (replica: string) => boolean
}

/** Writes down what machines do, for the checkers: what comes to their disks, what they think of each other, what they say. */
export class Observer {
  readonly #context: ObserverContext
  readonly #recorder: Recorder
  readonly #trace: Trace
  /** Which node each replica was, as soon as a disk says so. */
  readonly #names = new Map<string, string>()

  constructor(context: ObserverContext) {
    this.#context = context
    this.#recorder = context.recorder
    this.#trace = context.trace
  }

  tell(machine: Machine, what: ProcessEvent['what'], reason?: string): void {
    const identity = machine.running?.replica?.identity
    this.#recorder.write({
      type: 'process',
      atMs: this.#context.nowMs(),
      node: machine.name,
      what,
      ...(identity !== undefined &&
        identity.replica !== '' && { cluster: identity.cluster, replica: identity.replica }),
      ...(reason !== undefined && { reason }),
    })
  }

  /** What no fault explains. */
  surprise({ name }: Machine, message: string): void {
    this.#recorder.violation({ checker: 'no surprises', atMs: this.#context.nowMs(), node: name, message })
  }

  /** Something has become durable: what the program was about to store. */
  noteKept(machine: Machine): void {
    const { pending } = machine
    machine.pending = undefined
    if (pending === undefined) return
    if (pending.identity !== undefined) {
      machine.replica = pending.identity.replica
      machine.isJoining = pending.identity.stage === 'joining'
      this.#names.set(machine.replica, machine.name)
    }
    if (pending.roster !== undefined) this.#noteRoster(machine, pending.roster)
    const replica = pending.identity?.replica ?? machine.running?.store?.state.identity?.replica ?? ''
    const drops = pending.changes.some(({ after }) => after === undefined)
    const frontier = hlcText((drops ? machine.running?.replica?.status().frontier : undefined) ?? HLC_ZERO)
    for (const { after, before } of pending.changes) {
      if (after === undefined) {
        if (typeof before === 'object')
          this.#recorder.write({
            type: 'purged',
            atMs: this.#context.nowMs(),
            node: machine.name,
            key: keyOf(before.address),
            version: etagOf(before.version),
            frontier,
          })
        continue
      }
      this.#recorder.write({
        type: 'stored',
        atMs: this.#context.nowMs(),
        node: machine.name,
        replica,
        key: keyOf(after.address),
        version: etagOf(after.version),
        dot: [after.dot.writer, after.dot.seq],
        partition: partitionOf(after.keyHash),
        state: after.value === undefined ? 'tombstone' : 'value',
        ...(after.value !== undefined && { value: textOf(after) }),
        ...(typeof before === 'object' && { before: etagOf(before.version) }),
        wallMs: machine.clock.wallMs(),
      })
    }
  }

  /** Whose disk is still that of a member, and whom no operator gave up, nobody else may give up either. */
  #judgeMark(machine: Machine, replica: string): void {
    const evicted = this.#context.machines().find((other) => other.replica === replica)
    if (evicted === undefined || this.#context.isGivenUp(replica)) return
    const message = `${machine.name} stores that ${evicted.name} (${replica}) is evicted, and no operator asked for that`
    this.surprise(machine, message)
  }

  /** Who was evicted is known from the first disk on that says so. */
  #noteRoster(machine: Machine, roster: Roster): void {
    const before = machine.roster.evicted
    machine.roster = roster
    for (const replica of roster.evicted) {
      if (before.includes(replica)) continue
      this.#judgeMark(machine, replica)
      this.#recorder.write({
        type: 'opinion',
        atMs: this.#context.nowMs(),
        node: machine.name,
        of: this.#names.get(replica) ?? replica,
        ofReplica: replica,
        state: 'evicted',
      })
    }
  }

  /** What a node thinks of the others, and how much waits in it, where that has changed. */
  look(machine: Machine): void {
    const { running } = machine
    if (running?.replica === undefined || running.process.isFrozen) return
    const status = running.replica.status()
    if (status.ready && !running.wasReady) {
      machine.rebuild = false
      machine.wasMember = true
      this.tell(machine, 'ready')
    }
    running.wasReady = status.ready
    const queues = [
      ['writes', status.writeQueue],
      ['parked', status.parked],
      ['rumors', status.report.hotRumors],
    ] as const
    for (const [name, length] of queues)
      if (length > 0)
        this.#recorder.write({
          type: 'queue',
          atMs: this.#context.nowMs(),
          node: machine.name,
          name,
          length,
          lengthMax: QUEUE_MAX[name],
        })
    for (const { replica, name, state, isSelf } of running.replica.members()) {
      if (isSelf || running.opinions.get(replica) === state) continue
      running.opinions.set(replica, state)
      // Told when it came to the disk.
      if (state === 'evicted') continue
      this.#recorder.write({
        type: 'opinion',
        atMs: this.#context.nowMs(),
        node: machine.name,
        of: name,
        ofReplica: replica,
        state,
      })
    }
  }

  logOf(machine: Machine): Log {
    return {
      info: (event) => this.#trace.note('log', machine.name, event),
      warn: (event) => this.#trace.note('log', machine.name, event),
      error: (event, fields = {}) => {
        this.#trace.note('log', machine.name, event)
        if (event === 'integrity-fault')
          this.#recorder.write({
            type: 'integrity-fault',
            atMs: this.#context.nowMs(),
            node: machine.name,
            peer: this.#nameOf(String(fields['peer'])),
          })
        if (BUGS.has(event) && !/StoreError|is stopping/.test(String(fields['error'])))
          this.surprise(machine, `${machine.name} says ${event}: ${String(fields['error'])}`)
      },
    }
  }

  measuresOf(machine: Machine, running: Running): Measures {
    return {
      add: (name) => {
        if (name !== 'antientropy_exchanges') return
        const [exchange] = running.replica?.exchanges() ?? []
        if (exchange === undefined) return
        const { with: peer, result, questions, walks, durationMs } = exchange
        const startedAtMs = this.#context.nowMs() - durationMs
        this.#recorder.write({
          type: 'exchange',
          atMs: this.#context.nowMs(),
          node: machine.name,
          peer,
          result,
          questions,
          walks,
          startedAtMs,
        })
      },
      observe: () => {},
    }
  }

  #nameOf(replica: string): string {
    const found = this.#context.machines().find(({ running }) => running?.replica?.identity.replica === replica)
    return found?.name ?? replica
  }
}

/** What only a mistake in the program brings into its log. */
const BUGS: ReadonlySet<string> = new Set(['round-failed', 'question-not-answered', 'commit-not-told'])

const QUEUE_MAX = {
  writes: WRITE_QUEUE_ENTRIES_MAX,
  parked: PARKED_ENTRIES_MAX,
  rumors: RUMOR_QUEUE_ENTRIES_MAX,
} as const

export function textOf({ value }: Pick<Entry, 'value'>): string {
  return Buffer.from(value ?? new Uint8Array()).toString('latin1')
}
