import {
  NO_MEASURES,
  RefusalError,
  UnreachableError,
  type Answer,
  type Clock,
  type MemberEvent,
  type MemberState,
  type MemberUpdate,
  type Question,
  type QuestionName,
  type Random,
  type ReplicaId,
  type Timer,
  type Timers,
} from '@grapevine/core'
import { FailureDetector, PROBE_DEFAULTS } from '../../src/membership/failure-detector.ts'
import { VirtualTime } from '../virtual-time.ts'

export interface WorldOptions {
  readonly size: number
  readonly seed: number
}

/** How a node that crashed looks from outside: its machine says so, or nobody does. */
export type CrashKind = 'refused' | 'silent'

/** Some failure detectors, virtual time, and a network between them that misbehaves on demand. */
export class World {
  readonly time: VirtualTime = new VirtualTime()
  readonly random: Random
  readonly nodes: Node[] = []
  /** Questions asked so far, by name. */
  readonly asked = new Map<QuestionName, number>()
  /** The share of messages that get lost, each way. */
  loss = 0
  /** One-way cuts, as `from>to`. */
  readonly cuts = new Set<string>()
  readonly evicted = new Set<ReplicaId>()

  constructor({ size, seed }: WorldOptions) {
    this.random = seededRandom(seed)
    for (let index = 0; index < size; index += 1) this.nodes.push(new Node(this, memberOf(index)))
    for (const node of this.nodes) this.boot(node)
  }

  /** Starts a node that knows the others from its disk. */
  boot(node: Node, changes: Partial<MemberUpdate> = {}): void {
    const known = this.nodes.filter((other) => other !== node).map(({ self }) => ({ ...self, incarnation: 0 }))
    node.boot(changes, known)
  }

  node(index: number): Node {
    const node = this.nodes[index]
    if (node === undefined) throw new Error(`no node ${index}`)
    return node
  }

  cut(from: Node, to: Node): void {
    this.cuts.add(`${from.replica}>${to.replica}`)
  }

  /** No message passes between the two sides, in either direction. */
  partition(left: readonly Node[], right: readonly Node[]): void {
    for (const a of left)
      for (const b of right) {
        this.cut(a, b)
        this.cut(b, a)
      }
  }

  /** What each running node thinks of one. */
  statesOf(subject: Node): (MemberState | undefined)[] {
    return this.nodes
      .filter((node) => node !== subject && node.isUp)
      .map(({ detector }) => detector.member(subject.replica)?.state)
  }

  allSee(subject: Node, state: MemberState): boolean {
    return this.statesOf(subject).every((seen) => seen === state)
  }

  allAlive(): boolean {
    return this.nodes.every((node) => this.allSee(node, 'alive'))
  }

  /** Every time that somebody came to think this of a node: who did, and of whom. */
  verdicts(state: MemberState): { readonly by: Node; readonly of: ReplicaId }[] {
    return this.nodes.flatMap((by) =>
      by.events.filter(({ member }) => member.state === state).map(({ member }) => ({ by, of: member.replica })),
    )
  }

  passes(from: Node, to: Node): boolean {
    return !this.cuts.has(`${from.replica}>${to.replica}`) && this.random.next() >= this.loss
  }
}

/** One process: a failure detector, its timers, and what waits in its socket while it is stopped. */
export class Node implements Timers, Clock {
  readonly replica: ReplicaId
  readonly events: MemberEvent[] = []
  detector!: FailureDetector
  crashed: CrashKind | undefined
  readonly #world: World
  #self: MemberUpdate
  #paused: { readonly timers: (() => void)[]; readonly messages: (() => void)[] } | undefined
  /** Timers and answers of an earlier run come to nothing. */
  #run = 0

  constructor(world: World, self: MemberUpdate) {
    this.#world = world
    this.#self = self
    this.replica = self.replica
  }

  get self(): MemberUpdate {
    return this.#self
  }

  get isUp(): boolean {
    return this.crashed === undefined
  }

  boot(changes: Partial<MemberUpdate>, known: readonly MemberUpdate[]): void {
    this.#run += 1
    this.crashed = undefined
    this.#paused = undefined
    this.#self = { ...this.#self, incarnation: this.#self.incarnation + 1, ...changes }
    this.detector = new FailureDetector({
      self: this.#self,
      clock: this,
      timers: this,
      random: this.#world.random,
      ask: (replica, name, question, timeoutMs) => this.#ask(replica, name, question, timeoutMs),
      isMember: (replica) => !this.#world.evicted.has(replica),
      measures: NO_MEASURES,
      log: { info: () => {}, warn: () => {}, error: (event, fields) => fail(event, fields) },
      probe: PROBE_DEFAULTS,
      onChange: (event) => {
        this.events.push(event)
        if (event.kind === 'refute') this.#self = event.member
      },
    })
    this.detector.learn(known)
    this.detector.start()
  }

  crash(kind: CrashKind): void {
    this.detector.stop()
    this.crashed = kind
    this.#run += 1
  }

  /** SIGSTOP: timers become due and messages arrive, and nothing happens. */
  pause(): void {
    this.#paused = { timers: [], messages: [] }
  }

  /** SIGCONT. Overdue timers run before sockets are read, as in Node's event loop: the worse order for us. */
  resume(): void {
    const waiting = this.#paused
    this.#paused = undefined
    for (const run of [...(waiting?.timers ?? []), ...(waiting?.messages ?? [])]) this.#world.time.after(0, run)
  }

  wallMs(): number {
    return this.#world.time.wallMs()
  }

  monotonicMs(): number {
    return this.#world.time.monotonicMs()
  }

  after(delayMs: number, run: () => void): Timer {
    const during = this.#run
    let cancelled = false
    const runNow = (): void => {
      if (!cancelled && during === this.#run) run()
    }
    this.#world.time.after(delayMs, () => {
      if (this.#paused === undefined) runNow()
      else this.#paused.timers.push(runNow)
    })
    return { cancel: () => (cancelled = true) }
  }

  /** A message reaches this process after the delay of the network. */
  #arrive(run: () => void): void {
    const during = this.#run
    const runNow = (): void => {
      if (during === this.#run) run()
    }
    this.#world.time.after(1 + this.#world.random.next() * 4, () => {
      if (this.#paused === undefined) runNow()
      else this.#paused.messages.push(runNow)
    })
  }

  async #answer<Name extends QuestionName>(from: Node, name: Name, question: Question<Name>): Promise<Answer<Name>> {
    const answer: Answers[Name] = answersOf(this.detector)[name]
    if (answer === undefined) throw new Error(`a failure detector does not ask ${name}`)
    return answer(from.replica, question)
  }

  #ask<Name extends QuestionName>(
    replica: ReplicaId,
    name: Name,
    question: Question<Name>,
    timeoutMs: number,
  ): Promise<Answer<Name>> {
    const world = this.#world
    world.asked.set(name, (world.asked.get(name) ?? 0) + 1)
    const address = this.detector.member(replica)?.address
    const target = world.nodes.find((node) => node.self.address === address)
    return new Promise((resolve, reject) => {
      this.after(timeoutMs, () => reject(new UnreachableError('timeout', `${replica} is silent`)))
      if (target !== undefined && !world.passes(this, target)) return
      if (target === undefined || target.crashed === 'refused') {
        this.#arrive(() => reject(new UnreachableError('refused', `nobody listens at ${address}`)))
      } else if (target.replica !== replica) {
        this.#arrive(() => reject(new RefusalError('wrong-replica', `${address} is somebody else`)))
      } else if (target.crashed === undefined) {
        target.#arrive(() => {
          void target.#answer(this, name, question).then((answer) => {
            if (world.passes(target, this)) this.#arrive(() => resolve(answer))
            return undefined
          })
        })
      }
    })
  }
}

type Answers = {
  readonly [Name in QuestionName]?: (from: ReplicaId, question: Question<Name>) => Answer<Name> | Promise<Answer<Name>>
}

function answersOf(detector: FailureDetector): Answers {
  return {
    probe: (from, question) => detector.answerProbe(from, question),
    gossip: (from, question) => detector.answerGossip(from, question),
    'indirect-probe': (from, question) => detector.answerIndirectProbe(from, question),
    'push-pull': (from, question) => detector.answerPushPull(from, question),
  }
}

function memberOf(index: number): MemberUpdate {
  return {
    replica: index.toString(16).padStart(16, '0'),
    name: `node-${index}`,
    address: `host-${index}:7000`,
    clientUrl: `http://host-${index}:8000`,
    zone: '',
    version: '0.1.0',
    state: 'alive',
    incarnation: 0,
  }
}

function fail(event: string, fields: unknown): never {
  throw new Error(event, { cause: fields })
}

/** SplitMix32. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x9e_37_79_b9) >>> 0
    let mixed = state ^ (state >>> 16)
    mixed = Math.imul(mixed, 0x21_f0_aa_ad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x73_5a_2d_97)
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32
  }
  const hex = (bytes: number): string =>
    Array.from({ length: bytes * 2 }, () => Math.floor(next() * 16).toString(16)).join('')
  return { next, hex }
}

export function seeds(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1)
}
