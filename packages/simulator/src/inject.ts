import type { Entry } from '@grapevine/core'
import type { Replica } from '@grapevine/replica'
import type { Machine, MachineImage } from './machine.ts'
import type { Fault, SimulationPlan, TimedFault } from './plan.ts'
import { USUAL_SPEED } from './simulated-disk.ts'
import type { World } from './world.ts'

const EVERYTHING = { from: '', below: '\u00ff' }
/** As few as a frame of a snapshot may hold, so that a crash comes in the middle. */
const ENTRIES_PER_FRAME = 16
/** How long a node is down whose fault says nothing of it: until the chaos ends. */
const FOR_GOOD = Number.POSITIVE_INFINITY

/** Does to the world what a plan says, and takes it back. */
export class Injector {
  readonly #world: World
  readonly #chaosMs: number
  /** What is still to be mended, in the order in which it was broken. */
  readonly #mends = new Set<() => void>()
  readonly #images = new Map<string, MachineImage>()
  readonly #snapshots = new Map<string, readonly Entry[]>()

  constructor(world: World, chaosMs: number) {
    this.#world = world
    this.#chaosMs = chaosMs
  }

  schedule({ faults, network, networkFromMs = 0 }: SimulationPlan): void {
    const { queue } = this.#world
    queue.at(networkFromMs, () => {
      if (queue.nowMs < this.#chaosMs) this.#world.network.quality = network
    })
    for (const fault of faults) {
      if (fault.kind === 'rollback') this.#rememberDisk(fault.node, fault.toMs)
      if (fault.kind === 'restore') this.#takeSnapshot(fault.of, fault.takenMs)
      queue.at(fault.atMs, () => {
        // What is scheduled for later than the chaos lasts is no fault of this run.
        if (queue.nowMs <= this.#chaosMs) this.#inject(fault)
      })
    }
  }

  /** Whatever is still broken is mended. Nodes that stay away are left as they are. */
  mendAll(away: ReadonlySet<string>): void {
    const { network, machines } = this.#world
    for (const mend of this.#mends) mend()
    this.#mends.clear()
    network.heal()
    for (const machine of machines) {
      machine.disk.recover()
      machine.disk.onOperation = () => {}
      machine.disk.speed = USUAL_SPEED
      machine.clock.correct()
      if (away.has(machine.name)) this.#world.kill(machine)
      machine.downUntilMs = away.has(machine.name) ? FOR_GOOD : 0
      this.#world.start(machine)
    }
  }

  #inject(fault: TimedFault): void {
    const { recorder, nowMs } = this.#world
    const { atMs: _, kind, ...detail } = fault
    recorder.fault(nowMs, kind, JSON.stringify(detail), true)
    const mend = this.#begin(fault)
    if (mend === undefined) return
    this.#mends.add(mend)
    const forMs = 'forMs' in fault ? fault.forMs : undefined
    if (forMs === undefined) return
    this.#world.queue.after(forMs, () => {
      if (this.#mends.delete(mend)) mend()
    })
  }

  /** Returns what ends it, for what has an end. */
  #begin(fault: Fault): (() => void) | undefined {
    const { network, nowMs } = this.#world
    switch (fault.kind) {
      case 'crash':
        return this.#down(fault, (machine) => this.#world.kill(machine))
      case 'power-loss':
        return this.#down(fault, (machine) => {
          this.#world.kill(machine)
          machine.disk.losePower()
        })
      case 'stop':
        return this.#stop(fault)
      case 'wipe':
        return this.#down(fault, (machine) => {
          if (fault.node === '*') this.#world.wipe(machine, 'all')
          else if (this.#world.isNeeded(machine)) this.#world.kill(machine)
          else this.#world.wipe(machine, 'one')
        })
      case 'move':
        return this.#down(fault, (machine) => {
          this.#world.kill(machine)
          this.#world.move(machine)
        })
      case 'take-address':
        return this.#takeAddress(fault)
      case 'rollback':
        return this.#down(fault, (machine) => {
          this.#world.kill(machine)
          const image = this.#images.get(imageName(fault.node, fault.toMs))
          if (image !== undefined && !this.#world.isNeeded(machine)) this.#world.rollBack(machine, image)
        })
      case 'leave':
        return this.#each(fault.node, (machine) => this.#world.leave(machine))
      case 'restore':
        return this.#restore(fault)
      case 'evict':
        return this.#evict(fault)
      case 'tear-log':
        return this.#down(fault, (machine) => {
          this.#world.kill(machine)
          machine.disk.tearHole()
          this.#world.recorder.diskFault(this.#world.nowMs, 'tear-log', machine.name, 'damaged')
        })
      case 'crash-in-write':
        return this.#crashInWrite(fault)
      case 'clone':
        return this.#clone(fault)
      case 'freeze':
        if (fault.node === '*') {
          this.#world.sleep()
          return () => this.#world.wake()
        }
        return this.#each(
          fault.node,
          (machine) => this.#world.freeze(machine),
          (machine) => this.#world.thaw(machine),
        )
      case 'flip-bit':
        return this.#each(fault.node, (machine) => {
          machine.disk.flipBit(fault.row)
          this.#world.recorder.diskFault(nowMs, 'flip-bit', machine.name, 'damaged')
        })
      case 'disk-full':
        return this.#each(
          fault.node,
          ({ disk }) => disk.fail({ kind: 'full' }),
          ({ disk }) => disk.recover(),
        )
      case 'sync-error':
        return this.#each(fault.node, ({ disk }) => disk.fail({ kind: 'sync-error' }))
      case 'slow-disk':
        return this.#each(
          fault.node,
          ({ disk }) => void (disk.speed = { ...disk.speed, ...fault.speed }),
          ({ disk }) => void (disk.speed = USUAL_SPEED),
        )
      case 'cut':
        return together([
          network.cut(fault.from, fault.to),
          ...(fault.oneWay === true ? [] : [network.cut(fault.to, fault.from)]),
        ])
      case 'degrade':
        return network.degrade(fault.from, fault.to, fault.quality)
      case 'damage-frame':
        network.damageNext(fault)
        return undefined
      case 'replay':
        network.replayArchived(fault.frames, fault.sentBeforeMs ?? nowMs)
        return undefined
      case 'clock-step':
        return this.#each(fault.node, ({ clock }) => clock.step(fault.byMs))
      case 'clock-drift':
        return this.#each(
          fault.node,
          ({ clock }) => clock.drift(fault.ppm),
          ({ clock }) => clock.drift(0),
        )
      case 'clock-freeze':
        return this.#each(
          fault.node,
          ({ clock }) => clock.freeze(),
          ({ clock }) => clock.drift(0),
        )
      case 'pause':
        return this.#each(
          fault.node,
          ({ running }) => running?.replica?.pause(fault.what),
          ({ running }) => running?.replica?.resume(fault.what),
        )
    }
  }

  /** Every node that is meant, now; and each of them again at the end. */
  #each(node: string, begin: (machine: Machine) => void, end?: (machine: Machine) => void): (() => void) | undefined {
    const machines = this.#world.named(node)
    for (const machine of machines) begin(machine)
    if (end === undefined) return undefined
    return () => {
      for (const machine of machines) end(machine)
    }
  }

  #down(fault: { node: string; forMs?: number }, strike: (machine: Machine) => void): () => void {
    for (const machine of this.#world.named(fault.node)) {
      machine.downUntilMs = this.#upAgainMs(fault.forMs)
      strike(machine)
    }
    return () => {
      for (const machine of this.#world.named(fault.node)) this.#world.start(machine)
    }
  }

  /** Both go down, and come back: one at a new address, the other at the one that this leaves. */
  #takeAddress(fault: { node: string; of: string; forMs?: number }): () => void {
    const mends = [fault.of, fault.node].map((node) =>
      this.#down({ ...fault, node }, (machine) => this.#world.kill(machine)),
    )
    const [taker] = this.#world.named(fault.node)
    const [giver] = this.#world.named(fault.of)
    if (taker !== undefined && giver !== undefined) {
      const { address } = giver
      this.#world.move(giver)
      taker.address = address
    }
    return together(mends)
  }

  #stop(fault: { node: string; forMs?: number }): () => void {
    return this.#down(fault, (machine) => void this.#world.stop(machine))
  }

  #evict({ node, by }: { node: string; by: string }): undefined {
    const [asked] = this.#world.named(by)
    for (const machine of this.#world.named(node)) if (asked !== undefined) this.#world.evict(machine, asked)
  }

  #crashInWrite(fault: { node: string; operations: number; forMs?: number }): undefined {
    for (const machine of this.#world.named(fault.node)) {
      let left = fault.operations
      machine.disk.onOperation = () => {
        if (--left > 0) return
        machine.disk.onOperation = () => {}
        // Not within this operation: whoever is in the middle of a turn ends it first.
        this.#world.queue.after(0, () => {
          machine.downUntilMs = this.#upAgainMs(fault.forMs)
          this.#world.kill(machine)
          if (fault.forMs !== undefined) this.#world.keepDown(machine, fault.forMs)
        })
      }
    }
    return undefined
  }

  #clone(fault: { node: string; to: string }): undefined {
    const [source] = this.#world.named(fault.node)
    const [target] = this.#world.named(fault.to)
    if (source === undefined || target === undefined) return
    this.#world.kill(target)
    target.disk.become(source.disk.image())
    this.#world.recorder.diskFault(this.#world.nowMs, 'clone', target.name, 'rolled-back')
    target.founds = false
    this.#world.start(target)
  }

  #rememberDisk(node: string, toMs: number): void {
    this.#world.queue.at(toMs, () => {
      const [machine] = this.#world.named(node)
      if (machine?.wasMember === true && machine.disk.exists)
        this.#images.set(imageName(node, toMs), {
          disk: machine.disk.image(),
          replica: machine.replica,
          roster: machine.roster,
        })
    })
  }

  #takeSnapshot(node: string, takenMs: number): void {
    this.#world.queue.at(takenMs, () => {
      const [machine] = this.#world.named(node)
      const replica = machine?.running?.replica
      if (replica === undefined) return
      entriesOf(replica).then(
        (entries) => this.#snapshots.set(imageName(node, takenMs), entries),
        // It ended meanwhile, or its disk failed: then there is no snapshot.
        () => {},
      )
    })
  }

  #restore({ node, of, takenMs }: { node: string; of: string; takenMs: number }): undefined {
    const entries = this.#snapshots.get(imageName(of, takenMs)) ?? []
    for (const { running } of this.#world.named(node)) {
      const replica = running?.replica
      // What a node that takes no writes, or ends meanwhile, does not take in is an operator's to try again.
      if (replica !== undefined) importAll(replica, entries).catch(() => {})
    }
  }

  #upAgainMs(forMs: number | undefined): number {
    return forMs === undefined ? this.#chaosMs : this.#world.nowMs + forMs
  }
}

async function entriesOf(replica: Replica): Promise<readonly Entry[]> {
  const { view } = await replica.moment()
  try {
    const entries: Entry[] = []
    for await (const row of view.scan(EVERYTHING)) if (!('corrupt' in row)) entries.push(row)
    return entries
  } finally {
    await view.close()
  }
}

async function importAll(replica: Replica, entries: readonly Entry[]): Promise<void> {
  for (let from = 0; from < entries.length; from += ENTRIES_PER_FRAME)
    await replica.importEntries(entries.slice(from, from + ENTRIES_PER_FRAME))
}

function imageName(node: string, toMs: number): string {
  return `${node} ${toMs}`
}

function together(mends: readonly (() => void)[]): () => void {
  return () => {
    for (const mend of mends) mend()
  }
}
