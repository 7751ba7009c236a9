import {
  bytesOf,
  leafOf,
  partitionOf,
  purgeableAt,
  SEQ_MAX,
  StoreError,
  type Address,
  type CorruptRow,
  type Digest,
  type Dot,
  type DotIndexRow,
  type Entry,
  type FrontierGrounds,
  type Hash,
  type Held,
  type Hlc,
  type Leaf,
  type LeafContent,
  type Partition,
  type Purgeable,
  type PurgeRecord,
  type Range,
  type ReceiptGroup,
  type StoreView,
  type VersionVector,
  type WriterId,
} from '@grapevine/core'
import type { AbstractSnapshot } from 'abstract-level'
import {
  addressOfEntryRow,
  addressOfPurgeRow,
  dotOfRow,
  dotRow,
  entryRow,
  hashRow,
  hlcOfPurgeRow,
  keyHashOfRow,
  purgeRow,
  purgeRowsEnd,
  rowsOf,
} from './key-layout.ts'
import type { Database } from './level-store.ts'
import { findPurged, purgedAtMsOf } from './purge-log.ts'
import { openRow } from './sealed-row.ts'
import { heldIn, isCorruption, readEntries, readEntry, type Reading } from './read-rows.ts'
import { oldestGroups, receiptsEver } from './receipt-rows.ts'
import { orStoreError, storeErrorOf } from './store-trouble.ts'

/** Rows fetched at a time: large enough to make a page cheap, small enough not to hold the event loop. */
const PAGE_ROWS = 256
/** Where each is looked up by itself: values may be a megabyte each. */
const SCAN_ROWS_AT_A_TIME = 16
/** Each tells of up to a thousand keys. */
const PURGE_LOG_PAGE_ROWS = 16
/** And at most so many bytes of values at a time. */
const PAGE_BYTES = 1 << 20

/** One moment of a {@link LevelStore}, held by a LevelDB snapshot. */
export class LevelView implements StoreView {
  readonly #db: Database
  readonly #hash: Hash
  readonly #snapshot: AbstractSnapshot

  constructor(db: Database, hash: Hash) {
    this.#db = db
    this.#hash = hash
    this.#snapshot = db.snapshot()
  }

  read(address: Address): Held {
    return readEntry(this.#db, address, this.#reading(), this.#hash)
  }

  async readMany(addresses: readonly Address[]): Promise<readonly Held[]> {
    return readEntries(this.#db, addresses, this.#reading(), this.#hash)
  }

  async readByKeyHash(keyHashes: readonly Digest[]): Promise<readonly Held[]> {
    const names = await orStoreError(() => this.#db.getMany(keyHashes.map(hashRow), this.#reading()))
    const addresses = names.map((name) => name?.toString('latin1'))
    const held = await this.readMany(addresses.filter((address) => address !== undefined))
    let next = 0
    return keyHashes.map((keyHash, index) => {
      if (addresses[index] === undefined) return undefined
      const entry = held[next++]
      // An index row that leads elsewhere is as corrupt as what it should have led to.
      return typeof entry === 'object' && entry.keyHash === keyHash ? entry : 'corrupt'
    })
  }

  async leaf(leaf: Leaf): Promise<LeafContent> {
    const rows = await this.#hashRows(leaf)
    const held = await this.readMany(rows.map(({ address }) => address))
    const entries: Entry[] = []
    const unreadable: Address[] = []
    const strays: Digest[] = []
    for (const [index, { keyHash, address }] of rows.entries()) {
      const entry = held[index]
      if (typeof entry === 'object' && entry.keyHash === keyHash) entries.push(entry)
      else if (typeof entry === 'object' || this.#hash.sha256(bytesOf(address)) !== keyHash) strays.push(keyHash)
      else unreadable.push(address)
    }
    return { entries, corrupt: held.length - entries.length, unreadable, strays }
  }

  async occupiedLeaves(partition: Partition): Promise<ReadonlySet<Leaf>> {
    const range = { ...rowsOf('h', String.fromCharCode(partition)), ...this.#reading() }
    const names = await orStoreError(() => this.#db.keys(range))
    try {
      const leaves = new Set<Leaf>()
      for (;;) {
        const page = await orStoreError(() => names.nextv(PAGE_ROWS))
        if (page.length === 0) return leaves
        for (const name of page) leaves.add(leafOf(keyHashOfRow(name)))
      }
    } finally {
      await names.close()
    }
  }

  async unindexed(entries: readonly Entry[]): Promise<readonly Entry[]> {
    const names = entries.map((entry) => indexRowsOf(entry))
    const rows = await this.#getMany(names.flat())
    let next = 0
    return entries.filter(({ address }, index) => {
      const [dot, hash, ...purge] = rows.slice(next, (next += names[index]?.length ?? 0))
      const lead = [dot, hash].every((row) => row?.toString('latin1') === address)
      return !lead || purge.includes(undefined)
    })
  }

  /** A row in a block that cannot be read counts as missing. */
  async #getMany(names: readonly Buffer[]): Promise<readonly (Buffer | undefined)[]> {
    try {
      return await this.#db.getMany([...names], this.#reading())
    } catch {
      return names.map((name) => {
        try {
          return this.#db.getSync(name, this.#reading())
        } catch (error) {
          if (isCorruption(error)) return undefined
          throw storeErrorOf('the database cannot be read', error)
        }
      })
    }
  }

  /**
   * The hash index of a leaf. Where a block of it cannot be read, the dot index says what there is: whoever adds up the leaf
   * notices if that is not all.
   */
  async #hashRows(leaf: Leaf): Promise<readonly { readonly keyHash: Digest; readonly address: Address }[]> {
    const prefix = String.fromCharCode(leaf >>> 8, leaf & 0xff)
    try {
      const rows = await orStoreError(() => this.#db.iterator({ ...rowsOf('h', prefix), ...this.#reading() }).all())
      return rows.map(([name, address]) => ({ keyHash: keyHashOfRow(name), address: address.toString('latin1') }))
    } catch (error) {
      if (!isDamage(error)) throw error
      const addresses = new Set<Address>()
      for await (const { address } of this.dotIndex(leaf >>> 8)) addresses.add(address)
      return [...addresses]
        .map((address) => ({ keyHash: this.#hash.sha256(bytesOf(address)), address }))
        .filter(({ keyHash }) => leafOf(keyHash) === leaf)
    }
  }

  async *dotIndex(partition: Partition): AsyncGenerator<DotIndexRow> {
    const dots = await orStoreError(() =>
      this.#db.iterator({ ...rowsOf('d', String.fromCharCode(partition)), ...this.#reading() }),
    )
    try {
      for (;;) {
        const page = await orStoreError(() => dots.nextv(PAGE_ROWS))
        if (page.length === 0) return
        for (const [name, row] of page) yield { dot: dotOfRow(name), address: row.toString('latin1') }
      }
    } finally {
      await dots.close()
    }
  }

  async *missing(
    partition: Partition,
    vector: VersionVector,
    folded: ReadonlySet<WriterId>,
  ): AsyncGenerator<Entry | CorruptRow> {
    try {
      yield* this.#missingByDots(partition, vector, folded)
    } catch (error) {
      if (!isDamage(error)) throw error
      // A block of the dot index cannot be read. The hash index names the same entries; some are yielded twice.
      for await (const addresses of this.#namedAddresses(String.fromCharCode(partition)))
        for (const [index, entry] of (await this.readMany(addresses)).entries())
          if (typeof entry !== 'object') yield { corrupt: addresses[index] ?? '' }
          else if (!folded.has(entry.dot.writer) && !vector.covers(entry.dot)) yield entry
    }
  }

  /** Pages of the addresses that the hash index names. */
  async *#namedAddresses(prefix: string): AsyncGenerator<readonly Address[]> {
    const names = await orStoreError(() => this.#db.values({ ...rowsOf('h', prefix), ...this.#reading() }))
    try {
      for (;;) {
        const page = await orStoreError(() => names.nextv(PAGE_ROWS))
        if (page.length === 0) return
        yield page.map((name) => name.toString('latin1'))
      }
    } finally {
      await names.close()
    }
  }

  async *#missingByDots(
    partition: Partition,
    vector: VersionVector,
    folded: ReadonlySet<WriterId>,
  ): AsyncGenerator<Entry | CorruptRow> {
    const dots = await orStoreError(() =>
      this.#db.iterator({ ...rowsOf('d', String.fromCharCode(partition)), ...this.#reading() }),
    )
    try {
      for (;;) {
        const page = await orStoreError(() => dots.nextv(PAGE_ROWS))
        if (page.length === 0) return
        const lacked = page
          .map(([name, row]) => ({ dot: dotOfRow(name), address: row.toString('latin1') }))
          .filter(({ dot }) => !folded.has(dot.writer) && !vector.covers(dot))
        // Names are small and values may be large: whoever has enough must not have had them all read.
        for (let next = 0; next < lacked.length; next += SCAN_ROWS_AT_A_TIME) {
          const some = lacked.slice(next, next + SCAN_ROWS_AT_A_TIME)
          const held = await this.readMany(some.map(({ address }) => address))
          for (const [index, { dot, address }] of some.entries()) {
            const entry = held[index]
            if (entry === 'corrupt' || entry === undefined) yield { corrupt: address }
            else if (entry.dot.writer === dot.writer && entry.dot.seq === dot.seq) yield entry
          }
        }
        const last = page.at(-1)
        if (last !== undefined) skipCovered(dots, partition, dotOfRow(last[0]), vector, folded)
      }
    } finally {
      await dots.close()
    }
  }

  async *scan(range: Range): AsyncGenerator<Entry | CorruptRow> {
    let last: Address | undefined
    try {
      for await (const row of this.#scanRows(range)) {
        yield row
        last = 'corrupt' in row ? row.corrupt : row.address
      }
    } catch (error) {
      if (!isDamage(error)) throw error
      // A block of entries cannot be read: the hash index names them, and each is looked up by itself.
      const { from, below, reverse } = range
      const rest: Address[] = []
      for await (const addresses of this.#namedAddresses(''))
        for (const address of addresses)
          if (address >= from && address < below && isBehind(address, last, reverse)) rest.push(address)
      rest.sort()
      if (reverse === true) rest.reverse()
      for (let next = 0; next < rest.length; next += SCAN_ROWS_AT_A_TIME) {
        const addresses = rest.slice(next, next + SCAN_ROWS_AT_A_TIME)
        for (const [index, held] of (await this.readMany(addresses)).entries())
          yield typeof held === 'object' ? held : { corrupt: addresses[index] ?? '' }
      }
    }
  }

  async *#scanRows({ from, below, reverse }: Range): AsyncGenerator<Entry | CorruptRow> {
    const isReverse = reverse === true
    let rest: { gte?: Buffer; gt?: Buffer; lt: Buffer } = { gte: entryRow(from), lt: entryRow(below) }
    // The last two are classic-level's own; other databases do without them.
    const reading = { reverse: isReverse, ...this.#reading(), fillCache: false, highWaterMarkBytes: PAGE_BYTES }
    const rows = await orStoreError(() => this.#db.iterator({ ...rest, ...reading }))
    try {
      for (;;) {
        const page = await orStoreError(() => rows.nextv(PAGE_ROWS))
        const last = page.at(-1)?.[0]
        if (last === undefined) return
        const { lt, ...start } = rest
        await this.#refuseGaps(isReverse ? { gte: last, lt } : { ...start, lte: last })
        for (const [name, row] of page) {
          const address = addressOfEntryRow(name)
          const held = heldIn(row, address, this.#hash)
          yield typeof held === 'object' ? held : { corrupt: address }
        }
        rest = isReverse ? { ...rest, lt: last } : { gt: last, lt: rest.lt }
      }
    } finally {
      await rows.close()
    }
  }

  /**
   * LevelDB passes over a block that it cannot read, and says so only at the end of what it was asked for. So each page is
   * passed through once more, to its end, without copying anything out of it.
   */
  async #refuseGaps(range: { gte?: Buffer; gt?: Buffer; lt?: Buffer; lte?: Buffer }): Promise<void> {
    const options = { ...range, keys: false, values: false, ...this.#reading(), fillCache: false }
    await orStoreError(() => this.#db.iterator(options).all())
  }

  async purgeable(below: Hlc, limit: number, after?: Purgeable): Promise<readonly Purgeable[]> {
    const from = after === undefined ? { gte: rowsOf('t').gte } : { gt: purgeRow(after.at, after.address) }
    const range = { ...from, lt: purgeRowsEnd(below), limit, ...this.#reading() }
    const rows = await orStoreError(() => this.#db.keys(range).all())
    return rows.map((row) => ({ at: hlcOfPurgeRow(row), address: addressOfPurgeRow(row) }))
  }

  async frontierGrounds(): Promise<readonly FrontierGrounds[]> {
    const rows = await orStoreError(() => this.#db.values({ ...rowsOf('f'), reverse: true, ...this.#reading() }).all())
    // What is behind a right checksum was written by us, so its shape is not doubted again.
    return rows.map(
      (row) => JSON.parse(openRow(row, this.#hash, 'a raise of the frontier').toString()) as FrontierGrounds,
    )
  }

  async oldestReceipts(limit: number): Promise<{ total: number; groups: readonly ReceiptGroup[] }> {
    const reading = this.#reading()
    const total = await orStoreError(() => receiptsEver(this.#db, this.#hash, reading))
    return { total, groups: await oldestGroups(this.#db, limit, reading, this.#hash) }
  }

  async purgeRecord(keyHash: Digest): Promise<PurgeRecord | undefined> {
    const rows = await orStoreError(() => this.#db.iterator({ ...rowsOf('g'), reverse: true, ...this.#reading() }))
    try {
      for (;;) {
        const page = await orStoreError(() => rows.nextv(PURGE_LOG_PAGE_ROWS))
        if (page.length === 0) return undefined
        for (const [, row] of page) {
          const found = findPurged(openRow(row, this.#hash, 'a record of a purge'), keyHash)
          if (found !== undefined) return found
        }
      }
    } finally {
      await rows.close()
    }
  }

  async purgesSinceMs(): Promise<number | undefined> {
    const [row] = await orStoreError(() => this.#db.values({ ...rowsOf('g'), limit: 1, ...this.#reading() }).all())
    return row && purgedAtMsOf(openRow(row, this.#hash, 'a record of a purge'))
  }

  async close(): Promise<void> {
    await this.#snapshot.close()
  }

  #reading(): Required<Reading> {
    return { keyEncoding: 'buffer', valueEncoding: 'buffer', snapshot: this.#snapshot }
  }
}

function isBehind(address: Address, last: Address | undefined, reverse: boolean | undefined): boolean {
  if (last === undefined) return true
  return reverse === true ? address < last : address > last
}

/** A block cannot be read: LevelDB checks what it unpacks, and nothing else. */
function isDamage(error: unknown): boolean {
  return error instanceof StoreError && error.code === 'data_missing'
}

/** The rows of the indexes that lead to an entry: dot, hash, and what may be purged. */
function indexRowsOf(entry: Entry): Buffer[] {
  const purge = purgeableAt(entry)
  return [
    dotRow(partitionOf(entry.keyHash), entry.dot),
    hashRow(entry.keyHash),
    ...(purge === undefined ? [] : [purgeRow(purge, entry.address)]),
  ]
}

/** Jumps over what the vector covers without a gap, so that a pull costs what is missing and not what is there. */
function skipCovered(
  dots: { seek(target: Buffer): void },
  partition: Partition,
  last: Dot,
  vector: VersionVector,
  folded: ReadonlySet<WriterId>,
): void {
  const covered = folded.has(last.writer) ? SEQ_MAX - 1 : vector.contiguous(last.writer)
  if (covered > last.seq) dots.seek(dotRow(partition, { writer: last.writer, seq: covered + 1 }))
}
