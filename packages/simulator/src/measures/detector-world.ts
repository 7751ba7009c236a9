import {
  NO_MEASURES,
  UnreachableError,
  type Answer,
  type Clock,
  type MemberEvent,
  type MemberUpdate,
  type Question,
  type QuestionName,
  type ReplicaId,
  type Timer,
  type Timers,
} from '@grapevine/core'
import { FailureDetector, PROBE_DEFAULTS } from '@grapevine/replica'
import { diceOf, type Dice } from './dice.ts'
import { VirtualTimers } from './virtual-timers.ts'

export interface DetectorWorldOptions {
  readonly nodes: number
  readonly seed: number
  /** False for SWIM as it was before. */
  readonly lifeguard: boolean
  readonly onChange: (by: DetectorProcess, event: MemberEvent) => void
}

/** One way, in a data centre: the least, and what chance adds. */
const LATENCY_MS = 0.5
const LATENCY_SPREAD_MS = 1

/** The product's failure detectors, one a process, and a network between them that loses nothing. */
export class DetectorWorld {
  readonly timers: VirtualTimers = new VirtualTimers()
  readonly processes: readonly DetectorProcess[]
  readonly latency: Dice
  readonly #byReplica: ReadonlyMap<ReplicaId, DetectorProcess>

  constructor({ nodes, seed, lifeguard, onChange }: DetectorWorldOptions) {
    this.latency = diceOf(seed, 'latency')
    const members = Array.from({ length: nodes }, (_, index) => memberOf(index))
    this.processes = members.map(
      (self) =>
        new DetectorProcess({ world: this, self, lifeguard, dice: diceOf(seed, self.name), onChange, all: members }),
    )
    this.#byReplica = new Map(this.processes.map((process) => [process.replica, process]))
    for (const { detector } of this.processes) detector.start()
  }

  process(replica: ReplicaId): DetectorProcess | undefined {
    return this.#byReplica.get(replica)
  }
}

interface ProcessOptions extends Pick<DetectorWorldOptions, 'lifeguard' | 'onChange'> {
  readonly world: DetectorWorld
  readonly self: MemberUpdate
  readonly dice: Dice
  readonly all: readonly MemberUpdate[]
}

/** One process: its failure detector, and what waits for it while it does not get the processor. */
export class DetectorProcess implements Clock, Timers {
  readonly replica: ReplicaId
  readonly detector: FailureDetector
  readonly #world: DetectorWorld
  #hasCrashed = false
  #waiting: { readonly timers: (() => void)[]; readonly messages: (() => void)[] } | undefined

  constructor({ world, self, lifeguard, dice, onChange, all }: ProcessOptions) {
    this.#world = world
    this.replica = self.replica
    this.detector = new FailureDetector({
      self: { ...self, incarnation: 1 },
      clock: this,
      timers: this,
      random: dice,
      ask: (replica, name, question, timeoutMs) => this.#ask(replica, name, question, timeoutMs),
      isMember: () => true,
      measures: NO_MEASURES,
      log: { info: () => {}, warn: () => {}, error: fail },
      probe: PROBE_DEFAULTS,
      onChange: (event) => onChange(this, event),
      lifeguard,
    })
    this.detector.learn(all.filter(({ replica }) => replica !== self.replica))
  }

  get hasCrashed(): boolean {
    return this.#hasCrashed
  }

  /** Without a word: whoever asks it waits for the time-out. */
  crash(): void {
    this.detector.stop()
    this.#hasCrashed = true
  }

  /** It does not get the processor: timers come due and messages arrive, and nothing happens. */
  block(): void {
    this.#waiting ??= { timers: [], messages: [] }
  }

  /** Overdue timers run before what came in is read, as in Node's event loop: the worse order for a detector. */
  unblock(): void {
    const { timers = [], messages = [] } = this.#waiting ?? {}
    this.#waiting = undefined
    for (const run of [...timers, ...messages]) this.#world.timers.after(0, run)
  }

  wallMs(): number {
    return this.#world.timers.nowMs
  }

  monotonicMs(): number {
    return this.#world.timers.nowMs
  }

  after(delayMs: number, run: () => void): Timer {
    let isCancelled = false
    const runNow = (): void => {
      if (isCancelled || this.#hasCrashed) return
      if (this.#waiting === undefined) run()
      else this.#waiting.timers.push(runNow)
    }
    this.#world.timers.after(delayMs, runNow)
    return { cancel: () => void (isCancelled = true) }
  }

  #receive(run: () => void): void {
    const runNow = (): void => {
      if (this.#hasCrashed) return
      if (this.#waiting === undefined) run()
      else this.#waiting.messages.push(runNow)
    }
    this.#world.timers.after(LATENCY_MS + this.#world.latency.next() * LATENCY_SPREAD_MS, runNow)
  }

  #ask<Name extends QuestionName>(
    replica: ReplicaId,
    name: Name,
    question: Question<Name>,
    timeoutMs: number,
  ): Promise<Answer<Name>> {
    return new Promise((resolve, reject) => {
      const timeout = this.after(timeoutMs, () => reject(new UnreachableError('timeout', `${replica} is silent`)))
      const target = this.#world.process(replica)
      if (target === undefined) return
      target.#receive(() => {
        void target.#answer(this.replica, name, question).then((answer) => {
          this.#receive(() => {
            timeout.cancel()
            resolve(answer)
          })
          return undefined
        })
      })
    })
  }

  async #answer<Name extends QuestionName>(
    from: ReplicaId,
    name: Name,
    question: Question<Name>,
  ): Promise<Answer<Name>> {
    const answer: Answers[Name] = answersOf(this.detector)[name]
    if (answer === undefined) throw new Error(`a failure detector does not ask ${name}`)
    return answer(from, question)
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
    address: `node-${index}:7701`,
    clientUrl: '',
    zone: '',
    version: '0',
    state: 'alive',
    incarnation: 1,
  }
}

function fail(event: string, fields: unknown): never {
  throw new Error(event, { cause: fields })
}
