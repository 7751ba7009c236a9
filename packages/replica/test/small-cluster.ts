import {
  addressOf,
  NO_MEASURES,
  RefusalError,
  UnreachableError,
  type Address,
  type Entry,
  type Hash,
  type Measures,
  type Peer,
  type Question,
  type QuestionName,
  type Random,
  type Transport,
} from '@grapevine/core'
import { LevelStore } from '@grapevine/storage'
import { FrameCodec } from '@grapevine/wire'
import { MemoryLevel } from 'memory-level'
import { hash as nodeHash } from 'node:crypto'
import {
  DEFAULT_SETTINGS,
  RunningReplica,
  type ReplicaOptions,
  type ReplicaSettings,
  type WriteResult,
} from '../src/index.ts'
import { sleep } from '../src/sleep.ts'
import { VirtualTime } from './virtual-time.ts'

export const sha256: Hash = { sha256: (bytes) => nodeHash('sha256', bytes, 'binary') }

/** One asked question, as it went over the network. */
export interface Asked {
  readonly from: string
  readonly to: string
  readonly name: QuestionName
}

/** One run of a node. After a crash its timers and messages come to nothing. */
interface Process {
  readonly replica: RunningReplica
  crashed: boolean
}

interface Machine {
  readonly name: string
  readonly address: string
  readonly db: MemoryLevel<Buffer, Buffer>
  process: Process | undefined
  readonly fatal: unknown[]
  freeBytes: number
}

/** A few replicas in one process: real bytes on the wire, memory for a disk, and time that passes when told to. */
export class SmallCluster {
  readonly time = new VirtualTime()
  readonly asked: Asked[] = []
  /** Whose database was asked to give back space, each time. */
  readonly compacted: string[] = []
  failingCompactions = false
  readonly warnings: string[] = []
  readonly errors: string[] = []
  /** How far the wall clock of a node is ahead of that of the cluster. */
  readonly skewMs = new Map<string, number>()
  /** Links that carry nothing, as `from>to`; `*` stands for all. */
  readonly cut = new Set<string>()
  /** How many ms an answer is on its way longer than others. */
  delayOf: (from: string, to: string, name: QuestionName) => number = () => 0
  /** Told when an answer has arrived. */
  onAnswered: (from: string, to: string, name: QuestionName) => void = () => {}
  readonly #machines = new Map<string, Machine>()
  readonly #random: Random
  readonly #settings: Partial<ReplicaSettings>
  readonly #measures: Measures

  constructor(settings: Partial<ReplicaSettings> = {}, seed = 1, measures: Measures = NO_MEASURES) {
    this.#settings = settings
    this.#random = seededRandom(seed)
    this.#measures = measures
  }

  /** Starts so many nodes, the first as founder, and waits until all are ready. */
  static async of(nodes: number, settings: Partial<ReplicaSettings> = {}, seed = 1): Promise<SmallCluster> {
    const cluster = new SmallCluster(settings, seed)
    for (let node = 1; node <= nodes; node++) await cluster.start(`n${node}`, { found: node === 1 })
    await cluster.until(() => [...cluster.#machines.keys()].every((name) => cluster.node(name).status().ready))
    return cluster
  }

  node(name: string): RunningReplica {
    const replica = this.#machines.get(name)?.process?.replica
    if (replica === undefined) throw new Error(`${name} is not running`)
    return replica
  }

  isRunning(name: string): boolean {
    return this.#machines.get(name)?.process !== undefined
  }

  fatal(name: string): readonly unknown[] {
    return this.#machines.get(name)?.fatal ?? []
  }

  /** What is on a node's disk, to damage it. */
  database(name: string): MemoryLevel<Buffer, Buffer> {
    const machine = this.#machines.get(name)
    if (machine === undefined) throw new Error(`there is no ${name}`)
    return machine.db
  }

  setFreeBytes(name: string, freeBytes: number): void {
    const machine = this.#machines.get(name)
    if (machine !== undefined) machine.freeBytes = freeBytes
  }

  idOf(name: string): string {
    return this.node(name).status().identity.replica
  }

  async start(
    name: string,
    {
      as = name,
      ...options
    }: Partial<
      Pick<ReplicaOptions, 'found' | 'rebuild' | 'restore' | 'former' | 'joinAs' | 'seeds' | 'scrubProgress'>
    > & {
      as?: string
    } = {},
  ): Promise<RunningReplica> {
    const machine = this.#machines.get(name) ?? newMachine(name)
    this.#machines.set(name, machine)
    const store = await LevelStore.open({
      hash: sha256,
      openDatabase: async () => {
        await machine.db.open()
        return machine.db
      },
      compactDatabase: async () => {
        this.compacted.push(name)
        if (this.failingCompactions) throw new Error('no space for it')
      },
    })
    const process = { crashed: false } as Process & { replica: RunningReplica }
    process.replica = new RunningReplica({
      store,
      transport: this.#transportOf(name, process),
      clock: {
        wallMs: () => this.time.wallMs() + (this.skewMs.get(name) ?? 0),
        monotonicMs: () => this.time.monotonicMs(),
      },
      timers: { after: (delayMs, run) => this.time.after(delayMs, () => process.crashed || run()) },
      random: this.#random,
      hash: sha256,
      log: {
        info: () => {},
        warn: (event) => this.warnings.push(`${name}: ${event}`),
        error: (event) => this.errors.push(`${name}: ${event}`),
      },
      measures: this.#measures,
      settings: { ...DEFAULT_SETTINGS, ...this.#settings },
      disk: { freeBytes: () => Promise.resolve(machine.freeBytes) },
      self: { name: as, address: machine.address, clientUrl: `http://${name}`, zone: '', version: '0' },
      seeds: [...this.#machines.values()]
        .map(({ address }) => address)
        .filter((address) => address !== machine.address),
      found: false,
      rebuild: false,
      onFatal: (error) => machine.fatal.push(error),
      ...options,
    })
    machine.process = process
    process.replica.start()
    return process.replica
  }

  /** The process is gone, without a word; what was committed stays. */
  crash(name: string): void {
    const machine = this.#machines.get(name)
    if (machine?.process === undefined) return
    machine.process.crashed = true
    machine.process = undefined
  }

  /** A machine is set up with a copy of another one's disk, which nobody uses meanwhile. */
  async copyDisk(from: string, to: string): Promise<void> {
    this.crash(from)
    await this.time.advance(0)
    const copy = newMachine(to)
    const original = this.#machines.get(from)?.db
    await Promise.all([original?.open(), copy.db.open()])
    for await (const [key, value] of original?.iterator() ?? []) await copy.db.put(key, value)
    this.#machines.set(to, copy)
  }

  /** The disk is gone as well. */
  async wipe(name: string): Promise<void> {
    this.crash(name)
    await this.time.advance(0)
    const db = this.#machines.get(name)?.db
    await db?.open()
    await db?.clear()
  }

  /** Its disk is gone, and another replica takes its place. */
  async replace(name: string): Promise<void> {
    const former = this.idOf(name)
    this.crash(name)
    await this.wipe(name)
    await this.time.advance(20_000)
    await this.start(name, { former: [former] })
    await this.until(() => this.node(name).status().ready, 60_000)
  }

  async until(holds: () => boolean, maxMs = 60_000): Promise<number> {
    return this.time.advanceUntil(holds, maxMs)
  }

  /** Lets time pass until a promise settles. */
  async finish<T>(promise: Promise<T>, maxMs = 60_000): Promise<T> {
    let settled = false
    const watched = promise.finally(() => {
      settled = true
    })
    watched.catch(() => {})
    await this.until(() => settled, maxMs)
    return watched
  }

  put(name: string, key: string, value: string | undefined, w: number | 'quorum' | 'all' = 1): Promise<WriteResult> {
    return this.finish(
      this.node(name).write({
        address: addressOf('things', key),
        value: value === undefined ? undefined : Buffer.from(value),
        contentType: 'text/plain',
        expiresAtMs: 0,
        w,
        timeoutMs: 2_000,
      }),
    )
  }

  /** The value, `null` for a tombstone, `undefined` for nothing. */
  get(name: string, key: string): string | null | undefined {
    return valueOf(this.node(name).read(addressOf('things', key)))
  }

  /** Everything that a replica holds, as envelopes by address. */
  async contents(name: string): Promise<Map<Address, string>> {
    const view = this.node(name).view()
    const rows = new Map<Address, string>()
    for await (const row of view.scan({ from: '\0', below: '\u00ff' }))
      if ('envelope' in row) rows.set(row.address, Buffer.from(row.envelope).toString('base64'))
    await view.close()
    return rows
  }

  root(name: string): string {
    return this.node(name).status().report.root
  }

  isConverged(...names: readonly string[]): boolean {
    return new Set(names.map((name) => this.root(name))).size === 1
  }

  #transportOf(from: string, asker: Process): Transport {
    const codec = new FrameCodec(sha256)
    return {
      ask: async <Name extends QuestionName>(peer: Peer, name: Name, question: Question<Name>, timeoutMs: number) => {
        const machine = [...this.#machines.values()].find(({ address }) => address === peer.address)
        const to = machine?.name ?? peer.address
        this.asked.push({ from, to, name })
        await this.#travel(asker)
        if (machine?.process === undefined) throw new UnreachableError('refused', `${to} is down`)
        if (this.#isCut(from, to)) {
          await new Promise<void>((resolve) => {
            this.time.after(timeoutMs, resolve)
          })
          throw new UnreachableError('timeout', `${from} cannot reach ${to}`)
        }
        const answerer = machine.process
        const identity = asker.replica.status().identity
        const header = { cluster: identity.cluster, from: identity.replica, to: peer.replica, request: 1 }
        const received = codec.decodeQuestion(codec.encodeQuestion(header, name, question))
        const full = { ...received.header, name }
        const refusal = answerer.replica.judge(full)
        if (refusal !== undefined) throw new RefusalError(refusal, `${to} refuses ${name}: ${refusal}`)
        const answer = await answerer.replica.answer(full, name, received.body())
        const encoded = codec.encodeAnswer(header, name, answer)
        const delayMs = this.delayOf(from, to, name)
        if (delayMs > 0) await sleep(this.time, delayMs)
        await this.#travel(asker, answerer)
        this.onAnswered(from, to, name)
        return codec.decodeAnswer(encoded, name, () => {})
      },
    }
  }

  #isCut(a: string, b: string): boolean {
    return [`${a}>${b}`, `${a}>*`, `*>${b}`, `${b}>${a}`, `${b}>*`, `*>${a}`].some((link) => this.cut.has(link))
  }

  /** Half a millisecond to a millisecond and a half; for ever, when either side crashes meanwhile. */
  #travel(...ends: readonly Process[]): Promise<void> {
    return new Promise((resolve) => {
      this.time.after(0.5 + this.#random.next(), () => ends.some(({ crashed }) => crashed) || resolve())
    })
  }
}

export function valueOf(held: Entry | 'corrupt' | undefined): string | null | undefined {
  if (held === undefined || held === 'corrupt') return held
  return held.value === undefined ? null : Buffer.from(held.value).toString()
}

function newMachine(name: string): Machine {
  const db = new MemoryLevel<Buffer, Buffer>({ keyEncoding: 'buffer', valueEncoding: 'buffer' })
  return { name, address: `${name}:7701`, db, process: undefined, fatal: [], freeBytes: 2 ** 40 }
}

/** Mulberry32: small, seeded, good enough for tests. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const hex = (bytes: number): string =>
    Array.from({ length: bytes }, () =>
      Math.floor(next() * 256)
        .toString(16)
        .padStart(2, '0'),
    ).join('')
  return { next, hex }
}
