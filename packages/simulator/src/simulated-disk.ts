import type { SeededRandom } from './seeded-random.ts'
import { noRows, type Rows } from './rows.ts'

/** One write: `undefined` deletes the row. */
export type RowChanges = readonly (readonly [name: string, content: Buffer | undefined])[]

/** What a disk is like while nothing is wrong with it. Milliseconds. */
export interface DiskSpeed {
  readonly readMs: number
  readonly writeMs: number
}

export const USUAL_SPEED: DiskSpeed = { readMs: 0.1, writeMs: 0.6 }

export type DiskFault =
  /** The next write fails; those after it are acknowledged and are gone at the next opening. */
  | { readonly kind: 'full' }
  /** The next write fails, and so do all that follow through the same handle; whether it is there is left to chance. */
  | { readonly kind: 'sync-error' }

/** Batches that are still in LevelDB's log, and so can be torn out of it. */
const LOG_BATCHES_MAX = 64

/** A disk as it was at some moment. */
export interface DiskImage {
  readonly rows: Rows
  readonly identity: string | undefined
}

/**
 * What is on the disk of one machine, as LevelDB through classic-level really treats it. A handle sees what
 * it wrote; what the disk keeps when the handle is gone may be less.
 */
export class SimulatedDisk {
  readonly #random: SeededRandom
  /** What the next opening finds. */
  #kept: Rows = noRows()
  /** What was folded out of the log, and what is still in it. */
  #folded: Rows = noRows()
  #log: RowChanges[] = []
  /** How many of the log's last batches nobody asked to sync: a power cut may take them. */
  #unsynced = 0
  #exists = false
  #identity: string | undefined
  #full = false
  #failing = false
  /** The handle that has the lock. */
  #owner: object | undefined
  /** The handle's first failed write has happened, so it lies from now on. */
  #lying = false
  #stuck = false
  #seen: Rows = noRows()
  speed: DiskSpeed = USUAL_SPEED
  /** Told of each batch, once the disk will keep it. */
  onKept: () => void = () => {}
  /** Told of each write that begins and ends: a crash may be planned between any two. */
  onOperation: () => void = () => {}

  constructor(random: SeededRandom) {
    this.#random = random
  }

  /** Whether there is a database, even an empty one. */
  get exists(): boolean {
    return this.#exists
  }

  get identity(): string | undefined {
    return this.#identity
  }

  set identity(text: string | undefined) {
    this.#identity = text
  }

  get isFull(): boolean {
    return this.#full
  }

  /** What the open handle sees, or the next one would. */
  get rows(): Rows {
    return this.#owner === undefined ? this.#kept : this.#seen
  }

  readLatencyMs(): number {
    return this.#random.longTail(this.speed.readMs)
  }

  writeLatencyMs(): number {
    return this.#random.longTail(this.speed.writeMs)
  }

  /** A moment within a write at which a crash no longer undoes it. */
  draw(): number {
    return this.#random.next()
  }

  // What a handle does.

  /** @throws {Error} as classic-level does. */
  open(handle: object): void {
    if (this.#owner !== undefined) throw coded('LEVEL_LOCKED', 'IO error: lock is held by current process')
    // An opening writes a new MANIFEST and log (with less than one write buffer of space it fails).
    if (this.#full) throw coded('LEVEL_DATABASE_NOT_OPEN', 'IO error: No space left on device')
    this.#owner = handle
    this.#exists = true
    this.#lying = false
    this.#stuck = false
    this.#seen = this.#kept.clone()
  }

  close(handle: object): void {
    if (this.#owner === handle) this.#owner = undefined
  }

  /** @throws {Error} when the write failed; it may be kept all the same. */
  write(changes: RowChanges, isSynced: boolean): void {
    if (this.#stuck) throw coded('LEVEL_IO_ERROR', 'IO error: fsync: Input/output error')
    if (this.#failing) {
      this.#failing = false
      this.#stuck = true
      // The handle shows nothing of it, but it may have reached the log.
      if (this.#random.chance(0.5)) this.#keep(changes, isSynced)
      throw coded('LEVEL_IO_ERROR', 'IO error: fsync: Input/output error')
    }
    if (this.#full && !this.#lying) {
      this.#lying = true
      throw coded('LEVEL_IO_ERROR', 'IO error: No space left on device')
    }
    apply(this.#seen, changes)
    // The log is broken off where the first write failed: what follows is never read again.
    if (!this.#lying) this.#keep(changes, isSynced)
  }

  // What becomes of it.

  /** The process is gone. What it wrote is in the kernel's hands, and safe. */
  crash(): void {
    this.#owner = undefined
  }

  /** The machine is gone: what was not synced is lost, from some moment on. */
  losePower(): void {
    this.#owner = undefined
    const lost = this.#random.index(this.#unsynced + 1)
    if (lost > 0) this.#replay(this.#log.slice(0, this.#log.length - lost))
    this.#unsynced = 0
  }

  fail(fault: DiskFault): void {
    if (fault.kind === 'full') this.#full = true
    else this.#failing = true
  }

  /** There is room again, and nothing fails. */
  recover(): void {
    this.#full = false
    this.#failing = false
  }

  /** A batch in the middle of the log is skipped at the next opening, without a word. Returns whether there was one. */
  tearHole(): boolean {
    if (this.#log.length < 2) return false
    const torn = this.#random.index(this.#log.length - 1)
    this.#replay(this.#log.filter((_, index) => index !== torn))
    return true
  }

  /** Flips one bit in a row whose name begins so, at rest. Returns the row's name. */
  flipBit(prefix: string): string | undefined {
    const names = this.#kept.keysArray().filter((name) => name.startsWith(prefix))
    if (names.length === 0) return undefined
    const name = this.#random.pick(names)
    const flipped = Buffer.from(this.#kept.get(name) ?? Buffer.alloc(1))
    if (flipped.length === 0) return undefined
    const bit = this.#random.index(flipped.length * 8)
    flipped[bit >>> 3] = (flipped[bit >>> 3] ?? 0) ^ (1 << (bit & 7))
    for (const rows of [this.#kept, this.#folded, this.#seen]) if (rows.has(name)) rows.set(name, flipped)
    this.#log = this.#log.map((batch) =>
      batch.map((change) => (change[0] === name && change[1] !== undefined ? ([name, flipped] as const) : change)),
    )
    return name
  }

  image(): DiskImage {
    return { rows: this.#kept.clone(), identity: this.#identity }
  }

  /** The disk is as that one was: rolled back, restored or cloned. No process may be running on it. */
  become({ rows, identity }: DiskImage): void {
    this.#owner = undefined
    this.#identity = identity
    this.#exists = true
    this.#kept = rows.clone()
    this.#folded = rows.clone()
    this.#log = []
    this.#unsynced = 0
  }

  /** An empty disk, and nothing wrong with it. */
  wipe(): void {
    this.become({ rows: noRows(), identity: undefined })
    this.#exists = false
    this.recover()
  }

  #keep(changes: RowChanges, isSynced: boolean): void {
    apply(this.#kept, changes)
    this.#log.push(changes)
    // What is synced takes all that came before it along.
    this.#unsynced = isSynced ? 0 : this.#unsynced + 1
    if (this.#log.length > LOG_BATCHES_MAX) apply(this.#folded, this.#log.shift() ?? [])
    this.onKept()
  }

  #replay(log: readonly RowChanges[]): void {
    this.#kept = this.#folded.clone()
    this.#log = [...log]
    for (const changes of log) apply(this.#kept, changes)
  }
}

function apply(rows: Rows, changes: RowChanges): void {
  for (const [name, content] of changes) {
    if (content === undefined) rows.delete(name)
    else rows.set(name, content)
  }
}

function coded(code: string, message: string): Error {
  return Object.assign(new Error(message), { code })
}
