import {
  AbstractIterator,
  AbstractLevel,
  AbstractSnapshot,
  type AbstractBatchOperation,
  type AbstractIteratorOptions,
} from 'abstract-level'
import type { Rows } from './rows.ts'
import type { SimulatedDisk } from './simulated-disk.ts'

/** Who waits for the disk: a process, in which nothing moves any more once it is dead. */
export interface DiskUser {
  pass(delayMs: number): Promise<void>
}

type Key = string | Buffer | Uint8Array
type Operation = AbstractBatchOperation<SimulatedDatabase, Buffer, Buffer>
type Iterated = AbstractIteratorOptions<Buffer, Buffer> & { readonly snapshot?: SimulatedSnapshot }

/** What classic-level says of itself, as far as it is used. */
const MANIFEST = {
  seek: true,
  explicitSnapshots: true,
  implicitSnapshots: true,
  permanence: true,
  createIfMissing: true,
  errorIfExists: true,
  has: true,
  getSync: true,
  encodings: { buffer: true },
  signals: { iterators: false },
}

/** One handle on a {@link SimulatedDisk}: what classic-level is in production. Each operation takes virtual time. */
export class SimulatedDatabase extends AbstractLevel<Key, Buffer, Buffer> {
  readonly #disk: SimulatedDisk
  readonly #user: DiskUser

  constructor(disk: SimulatedDisk, user: DiskUser) {
    super(MANIFEST, { keyEncoding: 'buffer', valueEncoding: 'buffer' })
    this.#disk = disk
    this.#user = user
  }

  rowsOf(snapshot?: AbstractSnapshot): Rows {
    return snapshot instanceof SimulatedSnapshot ? snapshot.rows : this.#disk.rows
  }

  read(): Promise<void> {
    return this.#user.pass(this.#disk.readLatencyMs())
  }

  async _open({ createIfMissing, errorIfExists }: { createIfMissing: boolean; errorIfExists: boolean }): Promise<void> {
    await this.#user.pass(this.#disk.writeLatencyMs())
    if (!this.#disk.exists && !createIfMissing) throw new Error('does not exist (create_if_missing is false)')
    if (this.#disk.exists && errorIfExists) throw new Error('exists (error_if_exists is true)')
    this.#disk.open(this)
  }

  async _close(): Promise<void> {
    await this.read()
    this.#disk.close(this)
  }

  _getSync(key: Buffer, options: { snapshot?: AbstractSnapshot }): Buffer | undefined {
    return this.rowsOf(options.snapshot).get(nameOf(key))
  }

  async _get(key: Buffer, options: { snapshot?: AbstractSnapshot }): Promise<Buffer | undefined> {
    const rows = this.#momentOf(options.snapshot)
    await this.read()
    return rows.get(nameOf(key))
  }

  async _getMany(
    keys: readonly Buffer[],
    options: { snapshot?: AbstractSnapshot },
  ): Promise<readonly (Buffer | undefined)[]> {
    const rows = this.#momentOf(options.snapshot)
    await this.read()
    return keys.map((key) => rows.get(nameOf(key)))
  }

  async _has(key: Buffer, options: { snapshot?: AbstractSnapshot }): Promise<boolean> {
    return (await this._get(key, options)) !== undefined
  }

  async _hasMany(keys: readonly Buffer[], options: { snapshot?: AbstractSnapshot }): Promise<readonly boolean[]> {
    return (await this._getMany(keys, options)).map((value) => value !== undefined)
  }

  _put(key: Buffer, value: Buffer, options: object): Promise<void> {
    return this._batch([{ type: 'put', key, value }], options)
  }

  _del(key: Buffer, options: object): Promise<void> {
    return this._batch([{ type: 'del', key }], options)
  }

  /** Somewhere in the middle the write is on the disk; a crash before that undoes it, one after it does not. */
  async _batch(operations: readonly Operation[], { sync = false }: { sync?: boolean }): Promise<void> {
    const changes = operations.map((operation) =>
      operation.type === 'put'
        ? ([nameOf(operation.key), Buffer.from(operation.value)] as const)
        : ([nameOf(operation.key), undefined] as const),
    )
    const latencyMs = this.#disk.writeLatencyMs()
    const landsAfterMs = latencyMs * this.#disk.draw()
    this.#disk.onOperation()
    await this.#user.pass(landsAfterMs)
    this.#disk.write(changes, sync)
    this.#disk.onOperation()
    await this.#user.pass(latencyMs - landsAfterMs)
  }

  async _clear(options: Iterated): Promise<void> {
    const names = [...namesIn(this.rowsOf(options.snapshot), options)]
    await this._batch(
      names.map((name) => ({ type: 'del', key: Buffer.from(name, 'latin1') })),
      {},
    )
  }

  _iterator(options: Iterated): SimulatedIterator {
    return new SimulatedIterator(this, options)
  }

  _snapshot(options: object): SimulatedSnapshot {
    return new SimulatedSnapshot(this.#disk.rows, options)
  }

  /** Reads see the moment in which they were asked for. */
  #momentOf(snapshot: AbstractSnapshot | undefined): Rows {
    return snapshot === undefined ? this.#disk.rows.clone() : this.rowsOf(snapshot)
  }
}

/** Its types leave out that it must be told whose it is. */
const OwnedSnapshot = AbstractSnapshot as unknown as new (options: object) => AbstractSnapshot

class SimulatedSnapshot extends OwnedSnapshot {
  readonly rows: Rows

  constructor(rows: Rows, options: object) {
    super(options)
    this.rows = rows.clone()
  }
}

class SimulatedIterator extends AbstractIterator<SimulatedDatabase, Buffer, Buffer> {
  readonly #rows: Rows
  readonly #options: Iterated
  #names: Iterator<string>

  constructor(db: SimulatedDatabase, options: Iterated) {
    super(db, options)
    this.#rows = options.snapshot === undefined ? db.rowsOf().clone() : db.rowsOf(options.snapshot)
    this.#options = options
    this.#names = namesIn(this.#rows, options)
  }

  async _next(): Promise<[Buffer, Buffer] | undefined> {
    return (await this._nextv(1))[0]
  }

  async _nextv(size: number): Promise<[Buffer, Buffer][]> {
    await this.db.read()
    const page: [Buffer, Buffer][] = []
    while (page.length < size) {
      const { value: name, done } = this.#names.next()
      if (done === true) break
      page.push([Buffer.from(name, 'latin1'), this.#rows.get(name) ?? Buffer.alloc(0)])
    }
    return page
  }

  _seek(target: Buffer): void {
    const bound = this.#options.reverse === true ? { lte: target } : { gte: target }
    const { gt, gte, lt, lte } = this.#options
    this.#names = namesIn(this.#rows, {
      ...this.#options,
      ...(this.#options.reverse === true ? tighter({ lt, lte }, bound) : tighter({ gt, gte }, bound)),
    })
  }
}

/** The nearer of two ends: where the range began, and where somebody sought. */
function tighter(
  range: { gt?: Buffer | undefined; gte?: Buffer | undefined; lt?: Buffer | undefined; lte?: Buffer | undefined },
  sought: { gte?: Buffer; lte?: Buffer },
): object {
  if (sought.gte !== undefined) {
    const from = range.gt ?? range.gte
    return from !== undefined && Buffer.compare(from, sought.gte) >= 0 ? {} : { gt: undefined, gte: sought.gte }
  }
  const to = range.lt ?? range.lte
  return to !== undefined && sought.lte !== undefined && Buffer.compare(to, sought.lte) <= 0
    ? {}
    : { lt: undefined, lte: sought.lte }
}

function* namesIn(rows: Rows, { gt, gte, lt, lte, reverse, limit = -1 }: Iterated): Generator<string, undefined> {
  const low = nameOrNone(gt ?? gte)
  const high = nameOrNone(lt ?? lte)
  let left = limit < 0 ? Number.POSITIVE_INFINITY : limit
  const isAbove = (name: string): boolean => low === undefined || (gt === undefined ? name >= low : name > low)
  const isBelow = (name: string): boolean => high === undefined || (lt === undefined ? name <= high : name < high)
  let name = reverse === true ? firstBelow(rows, high) : firstAbove(rows, low)
  while (name !== undefined && left > 0) {
    if (reverse === true ? !isAbove(name) : !isBelow(name)) return undefined
    if (isAbove(name) && isBelow(name)) {
      left--
      yield name
    }
    name = reverse === true ? rows.nextLowerKey(name) : rows.nextHigherKey(name)
  }
  return undefined
}

function firstAbove(rows: Rows, low: string | undefined): string | undefined {
  return low === undefined ? rows.minKey() : rows.getPairOrNextHigher(low)?.[0]
}

function firstBelow(rows: Rows, high: string | undefined): string | undefined {
  return high === undefined ? rows.maxKey() : rows.getPairOrNextLower(high)?.[0]
}

function nameOrNone(key: Buffer | undefined): string | undefined {
  return key === undefined ? undefined : nameOf(key)
}

function nameOf(key: Buffer): string {
  return key.toString('latin1')
}
