import {
  DISK_BYTES_PER_WRITTEN_BYTE,
  isOutOfSpace,
  type DiskSpace,
  type Log,
  type Timer,
  type Timers,
} from '@grapevine/core'

export interface DiskWatchContext {
  /** Not there in tests and where nobody can tell: then only a failed write says that the disk is full. */
  readonly disk: DiskSpace | undefined
  readonly timers: Timers
  readonly log: Log
  /** See `isOutOfSpace`. */
  readonly reserveBytes: number
}

/** Often enough that a node writes again soon after somebody made room; one look takes microseconds. */
const LOOK_MS = 1_000

/**
 * Watches the space that is left where the data is, so that a node only reads before the disk is full (P13). Others fill
 * it too, so it looks each second; and as it may fill it faster than that itself, it counts what it writes and looks
 * again as soon as that could have used up the reserve.
 */
export class DiskWatch {
  readonly #context: DiskWatchContext
  #freeBytes: number | undefined
  #writtenBytes = 0
  #isReadOnly = false
  #hasFailed = false
  #looking: Promise<void> | undefined
  #timer: Timer | undefined
  #stopped = false

  constructor(context: DiskWatchContext) {
    this.#context = context
  }

  /** Whether nothing may be written now but what keeps the membership safe. */
  get isReadOnly(): boolean {
    return this.#isReadOnly
  }

  /** As of the last look; `undefined` where nobody can tell. */
  get freeBytes(): number | undefined {
    return this.#freeBytes
  }

  get reserveBytes(): number {
    return this.#context.reserveBytes
  }

  /** Whether space can be looked at, so that waiting for it makes sense. */
  get canTell(): boolean {
    return this.#context.disk !== undefined && this.#freeBytes !== undefined
  }

  async start(): Promise<void> {
    if (this.#context.disk === undefined) return
    await this.look()
    this.#schedule()
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  /** So many bytes were handed to the store. */
  wrote(bytes: number): void {
    this.#writtenBytes += bytes * DISK_BYTES_PER_WRITTEN_BYTE
    if (this.#freeBytes === undefined || this.#isReadOnly) return
    if (this.#freeBytes - this.#writtenBytes < this.#context.reserveBytes) void this.look()
  }

  /** A write found no space, whatever was thought: only a look that finds enough ends this. */
  ranOut(): void {
    this.#hasFailed = true
    this.#turn(true)
  }

  /** The store was opened again, and has what it needs for now. */
  opened(): void {
    this.#hasFailed = false
    if (!this.canTell) this.#turn(false)
  }

  look(): Promise<void> {
    return (this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
    }))
  }

  /** Whether there is room to open the store again after it ran out. */
  get hasRoom(): boolean {
    return this.#freeBytes !== undefined && !this.#isOut()
  }

  async #look(): Promise<void> {
    const { disk, log } = this.#context
    if (disk === undefined) return
    const unseenBytes = this.#writtenBytes
    try {
      this.#freeBytes = await disk.freeBytes()
    } catch (error) {
      // Not knowing is no reason to stop: a write that fails will tell.
      log.warn('free-space-unknown', { error: String(error) })
      return
    }
    this.#writtenBytes -= unseenBytes
    this.#turn(this.#hasFailed || this.#isOut())
  }

  #isOut(): boolean {
    const { reserveBytes } = this.#context
    return isOutOfSpace({ freeBytes: this.#freeBytes ?? 0, reserveBytes }, this.#isReadOnly)
  }

  #turn(isReadOnly: boolean): void {
    if (isReadOnly === this.#isReadOnly) return
    this.#isReadOnly = isReadOnly
    const { log, reserveBytes } = this.#context
    const fields = { freeBytes: this.#freeBytes, reserveBytes }
    if (isReadOnly) log.error('disk-full', { ...fields, consequence: 'this node only reads until there is more space' })
    else log.info('disk-has-space', fields)
  }

  #schedule(): void {
    if (this.#stopped) return
    this.#timer = this.#context.timers.after(LOOK_MS, () => {
      void this.look().then(() => this.#schedule())
    })
  }
}
