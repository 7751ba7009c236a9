import { RefusalError, StoreError, type Roster, standingOf } from '@grapevine/core'
import { DEFAULT_SETTINGS, FatalError, LeaveError, RunningReplica, type ReplicaSettings } from '@grapevine/replica'
import { openDirectory } from '@grapevine/storage'
import { EventQueue } from './event-queue.ts'
import { directoryOf, type Machine, type MachineImage, type Running } from './machine.ts'
import { NodeClock } from './node-clock.ts'
import { ObservedStore } from './observed-store.ts'
import { Observer } from './observer.ts'
import type { NodePlan, SimulationPlan } from './plan.ts'
import type { Recorder } from './recorder.ts'
import type { SeededRandom } from './seeded-random.ts'
import { sha256 } from './sha256.ts'
import { SimulatedDisk, USUAL_SPEED } from './simulated-disk.ts'
import { SimulatedNetwork, type Host } from './simulated-network.ts'
import { SimulatedProcess } from './simulated-process.ts'
import type { Trace } from './trace.ts'

/** All keys of a run are in one bucket: it plays no part in the protocol. */
export const BUCKET = 'sim'
/** How long an operator takes to see that a program has ended, and to start it again. */
const OPERATOR_MS = 2_000
/** A run of a minute has some 50,000. Nobody waits for one in which two nodes answer each other without end. */
const EVENTS_MAX = 20_000_000
/** Between two looks at what each node thinks of the others and how much waits in it. */
const LOOK_MS = 500
/** How long a leaving node waits for somebody to hold all that it holds. */
const LEAVING_MS = 10_000
/** How long a program takes to set its directory aside, and to open an empty one. */
const REOPENING_MS = 20
/** After what it does that by itself (begin-anew.ts of the server). */
const BEGINS_ANEW_AFTER: ReadonlySet<string> = new Set(['evicted', 'rolled_back', 'sponsor_lost', 'not_introduced'])
/** What ends a program and is cured by an empty directory and `--rebuild`, as its own message says. */
const REBUILT_AFTER: ReadonlySet<string> = new Set([
  'data_missing',
  'wrong_directory',
  'left',
  'name_taken',
  'wrong_name',
])

export interface WorldOptions {
  readonly plan: SimulationPlan
  readonly random: SeededRandom
  readonly trace: Trace
  readonly recorder: Recorder
  readonly signal?: AbortSignal | undefined
}

/** Machines, the network between them, and whoever starts again what has ended. */
export class World {
  readonly queue: EventQueue
  readonly network: SimulatedNetwork
  readonly machines: readonly Machine[]
  readonly recorder: Recorder
  readonly settings: ReplicaSettings
  readonly #random: SeededRandom
  readonly #observer: Observer
  readonly #signal: AbortSignal | undefined
  /** Replicas that an operator has evicted, or whose disk is no more. */
  readonly #givenUp = new Set<string>()
  /** Of these, those that no directory knows of any more, so that no program can give them up. */
  readonly #forgotten = new Set<string>()
  #isAsleep = false
  #sleepers: (() => void)[] = []
  #processes = 0
  #moves = 0
  #lookedAtMs = 0
  #lastStartMs = 0

  constructor({ plan, random, trace, recorder, signal }: WorldOptions) {
    this.#signal = signal
    this.#random = random
    this.recorder = recorder
    this.#observer = new Observer({
      recorder,
      trace,
      nowMs: () => this.nowMs,
      machines: () => this.machines,
      isGivenUp: (replica) => this.#givenUp.has(replica),
    })
    this.settings = { ...DEFAULT_SETTINGS, ...plan.settings }
    this.queue = new EventQueue(random.stream('order'))
    this.network = new SimulatedNetwork({
      queue: this.queue,
      random: random.stream('network'),
      hash: sha256,
      trace,
      hostAt: (address) => this.#hostAt(address),
      nameAt: (address) => this.#machineAt(address)?.name,
      onFault: (fault, detail) => recorder.fault(this.queue.nowMs, fault, detail, fault === 'frame-corruption'),
      onAccepted: (to, { from, name, bytes }, header) => {
        const { cluster } = to.answering.identity()
        recorder.write({
          type: 'accepted',
          atMs: this.queue.nowMs,
          from,
          to: to.name,
          name,
          fromCluster: header.cluster,
          toCluster: cluster,
          fromReplica: header.from,
          toReplica: header.to,
          bytes: bytes.length,
        })
      },
    })
    const founders = new Set<string>()
    this.machines = plan.nodes.map((node) => this.#machineOf(node, plan, founders))
    for (const machine of this.machines) this.queue.at(machine.plan.startsAtMs ?? 0, () => this.start(machine))
  }

  /** When a node was started last. */
  get lastStartMs(): number {
    return this.#lastStartMs
  }

  get nowMs(): number {
    return this.queue.nowMs
  }

  /** The machines that a plan means by a name, or by `*`. */
  named(name: string): readonly Machine[] {
    return name === '*' ? this.machines : this.machines.filter((machine) => machine.name === name)
  }

  /** Lets time pass, and looks at the nodes now and then: whenever something has happened, not while nothing does. */
  async run(untilMs: number, isOver: () => boolean = () => false): Promise<void> {
    await this.queue.run(untilMs, () => {
      if (this.queue.handled > EVENTS_MAX)
        throw new Error(`somebody never stops: ${EVENTS_MAX} events in ${this.nowMs} ms`)
      if (this.nowMs - this.#lookedAtMs < LOOK_MS) return false
      this.#lookedAtMs = this.nowMs
      this.#signal?.throwIfAborted()
      for (const machine of this.machines) this.#observer.look(machine)
      return isOver()
    })
  }

  // What is done to machines.

  start(machine: Machine): void {
    if (machine.running !== undefined || this.nowMs < machine.downUntilMs) return
    const process = new SimulatedProcess(this.queue, ++this.#processes)
    const running: Running = {
      process,
      replica: undefined,
      store: undefined,
      wasReady: false,
      opinions: new Map(),
    }
    machine.running = running
    machine.starts++
    this.#lastStartMs = this.nowMs
    this.#observer.tell(machine, 'started')
    if (this.#isAsleep) this.freeze(machine)
    this.#boot(machine, running).catch((error: unknown) => this.#endedItself(machine, running, error))
  }

  kill(machine: Machine, what: 'crashed' | 'stopped' = 'crashed'): void {
    const { running } = machine
    if (running === undefined) return
    running.process.kill()
    machine.running = undefined
    machine.pending = undefined
    machine.disk.crash()
    this.#observer.tell(machine, what)
  }

  /** Keeps its operator away from it for so long, and then has it started. */
  keepDown(machine: Machine, forMs: number): void {
    machine.downUntilMs = this.nowMs + forMs
    this.queue.after(forMs, () => this.start(machine))
  }

  /** SIGTERM: it says goodbye, if it can. */
  async stop(machine: Machine): Promise<void> {
    const { running } = machine
    if (running?.replica === undefined || running.process.isFrozen) {
      this.kill(machine)
      return
    }
    await running.replica.stop()
    if (machine.running !== running) return
    this.kill(machine, 'stopped')
    // Where saying goodbye took longer than the node was to be away.
    this.start(machine)
  }

  /** Of one the others have a copy; when all lose theirs, everything begins anew. */
  wipe(machine: Machine, who: 'one' | 'all'): void {
    this.kill(machine)
    // Whoever never held anything is not rebuilt, and a founder still has to found.
    if (who === 'all') {
      machine.rebuild = false
      machine.founds = machine.foundsFirst
    } else if (machine.disk.exists) {
      machine.rebuild = true
      machine.founds = false
    }
    this.#empty(machine)
    machine.former = []
    this.#observer.tell(machine, 'wiped')
  }

  /** Its disk is as it was once. */
  rollBack(machine: Machine, { disk, replica, roster }: MachineImage): void {
    // What it was, and what it had asked to be let in as.
    for (const lost of [machine.replica, machine.joinAs]) {
      if (lost === '' || lost === replica) continue
      this.#givenUp.add(lost)
      this.#forgotten.add(lost)
    }
    machine.disk.become(disk)
    machine.replica = replica
    machine.roster = roster
    machine.isOld = true
    this.recorder.diskFault(this.nowMs, 'rollback', machine.name, 'rolled-back')
  }

  /** An operator who asks one of the others, as the program's route does: by the name that he sees there. */
  evict(machine: Machine, by: Machine): void {
    if (this.isNeeded(machine)) return
    const asked = [by, ...this.machines].find(
      (other) =>
        other !== machine &&
        other.cluster === machine.cluster &&
        other.running?.process.isFrozen === false &&
        other.running.replica?.status().ready === true,
    )
    const target = asked?.running?.replica?.members().find(({ name, isSelf }) => name === machine.name && !isSelf)
    if (asked === undefined || target === undefined) return
    this.#givenUp.add(target.replica)
    machine.condemnedBy = asked.running?.process
    void this.#evict(target.replica, asked).finally(() => (machine.condemnedBy = undefined))
  }

  /**
   * An operator who sees a dead member that bears the name of a live one, and knows that no machine is left to be it: its disk was
   * rolled back to before it was let in. Or an id alone, of which nobody has heard since all were started: a joiner that died before
   * it said anything, whose sponsor lost its directory.
   */
  evictForgotten(): void {
    const ready = this.machines.filter(({ running }) => running?.replica?.status().ready === true)
    for (const forgotten of [...this.#forgotten, ...this.#unheardOf()]) {
      const asked = ready.find(
        ({ running, roster }) =>
          roster.known.includes(forgotten) &&
          running?.replica?.members().every(({ replica, state }) => replica !== forgotten || state === 'dead') === true,
      )
      if (asked !== undefined) void this.#evict(forgotten, asked)
    }
  }

  #unheardOf(): readonly string[] {
    const heardOf = new Set(
      this.machines.flatMap(({ replica, joinAs, running }) => [
        replica,
        joinAs,
        ...(running?.replica?.members() ?? []).map((member) => member.replica),
      ]),
    )
    const members = this.machines.flatMap(({ roster }) => roster.known.filter((id) => !roster.evicted.includes(id)))
    return [...new Set(members)].filter((id) => !heardOf.has(id))
  }

  async #evict(target: string, asked: Machine): Promise<void> {
    try {
      await asked.running?.replica?.evict(target)
    } catch (error) {
      // Refused, or its disk failed: whether the mark was stored is seen when it is.
      if (!(error instanceof RefusalError || error instanceof StoreError)) this.#noteBug(asked, 'evicting', error)
    }
  }

  /** An operator who wants it to leave; its program ends when it has. */
  leave(machine: Machine): void {
    const { running } = machine
    const replica = running?.replica
    if (running === undefined || replica?.status().ready !== true || running.process.isFrozen) return
    if (this.isNeeded(machine)) return
    this.#givenUp.add(machine.replica)
    machine.condemnedBy = running.process
    replica
      .leave(LEAVING_MS)
      .then(
        () => this.#endedItself(machine, running, new FatalError('left', `${machine.name} has left`)),
        (error: unknown) => {
          if (!(error instanceof LeaveError || error instanceof StoreError)) this.#noteBug(machine, 'leaving', error)
        },
      )
      .finally(() => (machine.condemnedBy = undefined))
  }

  /** Whether the disk of somebody who is not away says that it was evicted, or is about to. */
  isFenced({ replica, condemnedBy }: Machine, away: ReadonlySet<string> = new Set()): boolean {
    if (condemnedBy?.isAlive === true) return true
    return this.machines.some(({ name, roster }) => roster.evicted.includes(replica) && !away.has(name))
  }

  /** Whether it was let in for all that is known, and has all that it ever held. */
  #isSound(machine: Machine): boolean {
    return machine.replica !== '' && machine.disk.exists && !machine.isOld && !this.isFenced(machine)
  }

  /**
   * Whether nobody else of its cluster is a member with all its data, so that nobody could give any back; or whether those who
   * are, and those who were let in already, would be strangers to each other without it. No program may believe strangers
   * (frontier.md R14), so that is for operators to decide.
   */
  isNeeded(machine: Machine): boolean {
    const known = this.machines.filter((other) => other.cluster === machine.cluster && this.#isSound(other))
    const others = known.filter((other) => other !== machine)
    return !others.some(({ wasMember }) => wasMember) || islandsOf(others) > islandsOf(known)
  }

  freeze(machine: Machine): void {
    if (machine.running === undefined || machine.running.process.isFrozen) return
    machine.running.process.freeze()
    this.#observer.tell(machine, 'frozen')
  }

  thaw(machine: Machine): void {
    if (machine.running?.process.isFrozen !== true) return
    machine.running.process.thaw()
    this.#observer.tell(machine, 'thawed')
  }

  /** All machines stand still, for as long as nobody wakes them. */
  sleep(): void {
    this.#isAsleep = true
    for (const machine of this.machines) this.freeze(machine)
  }

  wake(): void {
    this.#isAsleep = false
    for (const machine of this.machines) this.thaw(machine)
    for (const run of this.#sleepers.splice(0)) run()
  }

  /** Now, or when the machines wake. */
  whenAwake(run: () => void): void {
    if (this.#isAsleep) this.#sleepers.push(run)
    else run()
  }

  move(machine: Machine): void {
    machine.address = `${machine.name}-moved-${++this.#moves}:7701`
  }

  // How it goes on within.

  async #boot(machine: Machine, running: Running): Promise<void> {
    const { process } = running
    const store = await openDirectory(directoryOf(machine, process), sha256)
    const observed = new ObservedStore(store, (batch) => {
      machine.pending = batch
    })
    running.store = observed
    // As the server does: a joiner that crashes asks again by the same id, which its sponsor may have stored already.
    const joins = store.state.identity === undefined && !machine.founds
    if (joins && machine.joinAs === '')
      machine.joinAs = this.#random.stream('joiner', machine.name, machine.starts).hex(8)
    const identity = (): { cluster: string; replica: string } => replica.identity
    const replica: RunningReplica = new RunningReplica({
      store: observed,
      transport: this.network.transportOf(machine.name, process, identity),
      clock: machine.clock,
      timers: process,
      random: this.#random.stream('process', machine.name, machine.starts),
      hash: sha256,
      log: this.#observer.logOf(machine),
      measures: this.#observer.measuresOf(machine, running),
      settings: this.settings,
      self: {
        name: machine.name,
        address: machine.address,
        clientUrl: `http://${machine.name}`,
        zone: '',
        version: '0',
      },
      seeds: this.#seedsOf(machine),
      found: machine.founds,
      rebuild: machine.rebuild,
      former: machine.former,
      ...(joins && { joinAs: machine.joinAs }),
      onFatal: (error) => this.#endedItself(machine, running, error),
    })
    running.replica = replica
    replica.start()
  }

  #hostAt(address: string): Host | undefined {
    const machine = this.#machineAt(address)
    if (machine?.running?.replica === undefined) return undefined
    const { replica, process } = machine.running
    return {
      name: machine.name,
      process,
      answering: {
        identity: () => replica.identity,
        log: this.#observer.logOf(machine),
        judge: (header) => replica.judge(header),
        answer: (header, name, question) => replica.answer(header, name, question),
      },
    }
  }

  /** Seeds are names, which lead to wherever the machine is now; what nodes tell of each other are places. */
  #machineAt(address: string): Machine | undefined {
    return this.machines.find((machine) => machine.address === address || seedOf(machine) === address)
  }

  /** A program gave up. What its message says is done, by somebody who is not in a hurry. */
  #endedItself(machine: Machine, running: Running, error: unknown): void {
    if (machine.running !== running || !running.process.isAlive) return
    const reason = error instanceof StoreError || error instanceof FatalError ? error.code : 'bug'
    running.process.kill()
    machine.running = undefined
    machine.pending = undefined
    machine.disk.crash()
    this.#observer.tell(machine, 'ended-itself', reason)
    if (reason === 'bug') this.#noteBug(machine, 'its life', error)
    const { replica, starts } = machine
    this.queue.after(BEGINS_ANEW_AFTER.has(reason) ? REOPENING_MS : OPERATOR_MS, () => {
      // Another fault was faster: it was started meanwhile, or its disk is another one.
      if (machine.running !== undefined || machine.starts !== starts || machine.replica !== replica) return
      if (BEGINS_ANEW_AFTER.has(reason)) {
        machine.former = [...(machine.isJoining ? machine.former : []), machine.replica]
        this.#empty(machine)
        this.#observer.tell(machine, 'wiped', 'set aside')
      }
      if (reason === 'cluster_exists') machine.founds = false
      if (REBUILT_AFTER.has(reason)) {
        this.#empty(machine)
        machine.rebuild = true
        machine.founds = false
        this.#observer.tell(machine, 'wiped', 'set aside')
      }
      this.start(machine)
    })
  }

  #noteBug(machine: Machine, during: string, error: unknown): void {
    const what = error instanceof Error ? (error.stack ?? error.message) : String(error)
    this.#observer.surprise(machine, `${machine.name}, ${during}: ${what}`)
  }

  #empty(machine: Machine): void {
    this.#givenUp.add(machine.replica)
    machine.disk.wipe()
    machine.wasMember = false
    machine.replica = ''
    machine.joinAs = ''
    machine.isOld = false
    machine.roster = NOBODY
  }

  #seedsOf(machine: Machine): readonly string[] {
    const { seeds } = machine.plan
    return this.machines
      .filter((other) => (seeds === undefined ? other.cluster === machine.cluster : seeds.includes(other.name)))
      .filter((other) => other !== machine)
      .map(seedOf)
  }

  #machineOf(node: NodePlan, plan: SimulationPlan, founders: Set<string>): Machine {
    const { name, cluster = 'a' } = node
    const disk = new SimulatedDisk(this.#random.stream('disk', name))
    disk.speed = { ...USUAL_SPEED, ...plan.disk }
    const founds = node.founds ?? !founders.has(cluster)
    founders.add(cluster)
    const machine: Machine = {
      name,
      plan: node,
      cluster,
      disk,
      clock: new NodeClock(() => this.queue.nowMs, {
        offsetMs: node.clockOffsetMs ?? 0,
        driftPpm: node.clockDriftPpm ?? 0,
      }),
      address: `${name}:7701`,
      running: undefined,
      starts: 0,
      wasMember: false,
      replica: '',
      isJoining: false,
      former: [],
      joinAs: '',
      condemnedBy: undefined,
      isOld: false,
      roster: NOBODY,
      founds,
      foundsFirst: founds,
      rebuild: false,
      downUntilMs: 0,
      pending: undefined,
    }
    disk.onKept = () => this.#observer.noteKept(machine)
    return machine
  }
}

/** Before it has joined anybody. */
const NOBODY: Roster = { known: [], evicted: [] }

/** How many groups there are of members who know each other, directly or through others. */
function islandsOf(members: readonly Machine[]): number {
  const left = new Set(members)
  let islands = 0
  for (const first of left) {
    islands++
    const reached = [first]
    left.delete(first)
    for (const one of reached)
      for (const other of left)
        if (areAcquainted(one, other)) {
          left.delete(other)
          reached.push(other)
        }
  }
  return islands
}

function areAcquainted(one: Machine, other: Machine): boolean {
  return standingOf(one.roster, other.replica) === 'member' && standingOf(other.roster, one.replica) === 'member'
}

function seedOf({ name }: Machine): string {
  return `${name}.seeds:7701`
}
