import {
  COMMIT_BYTES_MAX,
  FRONTIER_GROUNDS_MAX,
  HLC_ZERO,
  EMPTY_ROSTER,
  hlcText,
  LEAVES,
  LEAVES_PER_PARTITION,
  parseHlc,
  partitionOf,
  PARTITIONS,
  purgeableAt,
  StoreError,
  VersionVector,
  type Address,
  type CommitBatch,
  type FrontierGrounds,
  type Entry,
  type Hash,
  type Held,
  type Hlc,
  type Identity,
  type KnownPeer,
  type Receipt,
  type Roster,
  type RowRepairs,
  type Store,
  type StoredState,
  type StoreView,
  type StrayRow,
  type WriteId,
  type WriterId,
} from '@grapevine/core'
import type { AbstractLevel } from 'abstract-level'
import {
  decodePartition,
  encodeJournal,
  encodePartition,
  replayJournal,
  SUM_BYTES,
  type ReplayTarget,
} from './journal.ts'
import { Inventory, type Checkpoint } from './inventory.ts'
import {
  dotRow,
  entryRow,
  groundsRow,
  hashRow,
  journalRow,
  metaRow,
  numberOfRow,
  partitionRow,
  purgeLogOfRow,
  purgeLogRow,
  purgeRow,
  rowsOf,
  type MetaWord,
} from './key-layout.ts'
import { LevelView } from './level-view.ts'
import { droppedBy, encodePurged, tooMany, type PurgeRow } from './purge-log.ts'
import { readEntries, readEntry } from './read-rows.ts'
import { logReceipts, readReceipt, readReceipts, receiptsEver } from './receipt-rows.ts'
import { openRow, sealRow } from './sealed-row.ts'
import { storeErrorOf } from './store-trouble.ts'

/** Any abstract-level database of bytes: classic-level in production, memory-level and faulty ones in tests. */
export type Database = AbstractLevel<string | Buffer | Uint8Array, Buffer, Buffer>

/** Told before and after an identity first becomes durable: see {@link IdentityFile}. */
export interface IdentityWitness {
  announce(identity: Identity): Promise<void>
  seal(identity: Identity): Promise<void>
}

export interface LevelStoreOptions {
  /** Opens the database, at the start and again after a failed write. */
  readonly openDatabase: () => Promise<Database>
  /** Has the database that was opened last give back space, where it can. */
  readonly compactDatabase?: () => Promise<void>
  readonly hash: Hash
  readonly identityWitness?: IdentityWitness
}

/** About 80,000 entries: opening replays that in well under a second, and a checkpoint writes 2 MiB. */
const JOURNAL_BYTES_MAX: number = COMMIT_BYTES_MAX
/** Each replayed row also costs a read, and clearing them costs a tombstone of LevelDB's each. */
const JOURNAL_BATCHES_MAX = 4_096

const READ = { keyEncoding: 'buffer', valueEncoding: 'buffer' } as const

/**
 * The {@link Store} port over LevelDB. All that a commit changes is one synced batch. After the first failure
 * the handle is poisoned: LevelDB goes on acknowledging writes that it will lose, so nothing but
 * closing and opening again makes it trustworthy for writing. For reading it still is: a batch that failed is not in its
 * memory, and nothing is written through it any more.
 */
export class LevelStore implements Store {
  readonly #options: LevelStoreOptions
  #db: Database
  #state: StoredState
  #poisoned = false
  #isCheckpointWanted = false
  #batchNumber: number
  #firstJournalRow: number
  #journalBytes: number
  #journalBatches: number
  #inventory: Inventory
  /** What is remembered of purges, oldest first. */
  #purgeLog: readonly PurgeRow[]
  /** Names of the rows that tell why the frontier was raised, oldest first. */
  #grounds: readonly Buffer[]
  /** How many receipts there have been. */
  #receipts: number

  private constructor(options: LevelStoreOptions, db: Database, loaded: Loaded) {
    this.#options = options
    this.#db = db
    this.#state = loaded.state
    this.#batchNumber = loaded.batchNumber
    this.#firstJournalRow = loaded.firstJournalRow
    this.#journalBytes = loaded.journalBytes
    this.#journalBatches = loaded.state.replayedBatches
    this.#inventory = loaded.inventory
    this.#purgeLog = loaded.purgeLog
    this.#grounds = loaded.grounds
    this.#receipts = loaded.receipts
  }

  static async open(options: LevelStoreOptions): Promise<LevelStore> {
    const { db, loaded } = await openAndLoad(options)
    return new LevelStore(options, db, loaded)
  }

  get state(): StoredState {
    return this.#state
  }

  get wantsCheckpoint(): boolean {
    return (
      this.#isCheckpointWanted || this.#journalBytes > JOURNAL_BYTES_MAX || this.#journalBatches >= JOURNAL_BATCHES_MAX
    )
  }

  wantCheckpoint(): void {
    this.#isCheckpointWanted = true
  }

  async compact(): Promise<void> {
    this.#refuseUnusable()
    try {
      await this.#options.compactDatabase?.()
    } catch (error) {
      throw storeErrorOf('the database did not give space back', error)
    }
  }

  read(address: Address): Held {
    this.#refuseUnusable()
    return readEntry(this.#db, address, READ, this.#options.hash)
  }

  async readMany(addresses: readonly Address[]): Promise<readonly Held[]> {
    this.#refuseUnusable()
    return readEntries(this.#db, addresses, READ, this.#options.hash)
  }

  get hasReceipts(): boolean {
    return this.#receipts > 0
  }

  receipt(id: WriteId): Receipt | undefined {
    this.#refuseUnusable()
    return readReceipt(this.#db, id, this.#options.hash)
  }

  async receipts(ids: readonly WriteId[]): Promise<readonly (Receipt | undefined)[]> {
    this.#refuseUnusable()
    return readReceipts(this.#db, ids, this.#options.hash)
  }

  view(): StoreView {
    this.#refuseUnusable()
    return new LevelView(this.#db, this.#options.hash)
  }

  async commit(batch: CommitBatch): Promise<void> {
    this.#refuseUnusable()
    if (this.#poisoned)
      throw new StoreError('io_error', 'the database is being opened again after a failed write; try again shortly')
    const isNewIdentity = batch.identity !== undefined && batch.identity.replica !== this.#state.identity?.replica
    if (isNewIdentity && batch.identity) await this.#options.identityWitness?.announce(batch.identity)
    const number = this.#batchNumber + 1
    const journal = sealRow(encodeJournal(batch), this.#options.hash)
    try {
      await this.#write(batch, number, journal)
    } catch (error) {
      this.#poisoned = true
      throw storeErrorOf('a write to the database failed', error)
    }
    this.#batchNumber = number
    this.#journalBytes += journal.length
    this.#journalBatches++
    if (batch.checkpoint !== undefined) {
      this.#isCheckpointWanted = false
      this.#firstJournalRow = number
      this.#journalBytes = journal.length
      this.#journalBatches = 1
    }
    this.#state = {
      ...this.#state,
      identity: batch.identity ?? this.#state.identity,
      roster: batch.roster ?? this.#state.roster,
      peers: batch.peers ?? this.#state.peers,
      writers: batch.writers ?? this.#state.writers,
      folded: batch.folded ?? this.#state.folded,
    }
    if (isNewIdentity && batch.identity) await this.#options.identityWitness?.seal(batch.identity)
  }

  async reopen(): Promise<void> {
    this.#poisoned = true
    // A handle whose disk failed may also fail to close; what matters is that no write goes through it again.
    await this.#db.close().catch(() => {})
    const { db, loaded } = await openAndLoad(this.#options)
    this.#db = db
    this.#state = loaded.state
    this.#batchNumber = loaded.batchNumber
    this.#firstJournalRow = loaded.firstJournalRow
    this.#journalBytes = loaded.journalBytes
    this.#journalBatches = loaded.state.replayedBatches
    this.#inventory = loaded.inventory
    this.#purgeLog = loaded.purgeLog
    this.#grounds = loaded.grounds
    this.#receipts = loaded.receipts
    this.#poisoned = false
  }

  async close(): Promise<void> {
    await this.#db.close()
  }

  async #write(batch: CommitBatch, number: number, journal: Buffer): Promise<void> {
    const { hash } = this.#options
    const rows = this.#db.batch()
    if (batch.repairs !== undefined) writeRepairs(rows, batch.repairs)
    for (const { after, before } of batch.changes) {
      if (after === undefined) {
        if (typeof before === 'object') dropEntry(rows, before)
        continue
      }
      const partition = partitionOf(after.keyHash)
      const address = Buffer.from(after.address, 'latin1')
      rows.put(entryRow(after.address), asBuffer(after.envelope), READ)
      rows.put(dotRow(partition, after.dot), address, READ)
      if (before === undefined || before === 'corrupt') rows.put(hashRow(after.keyHash), address, READ)
      else {
        rows.del(dotRow(partition, before.dot), READ)
        const oldPurge = purgeableAt(before)
        if (oldPurge !== undefined) rows.del(purgeRow(oldPurge, before.address), READ)
      }
      const purge = purgeableAt(after)
      if (purge !== undefined) rows.put(purgeRow(purge, after.address), Buffer.alloc(0), READ)
    }
    rows.put(journalRow(number), journal, READ)
    // Should the write fail, all of it is read again.
    const inventory = this.#inventory
    const putMeta = (word: MetaWord, content: string): void => {
      rows.put(metaRow(word), sealRow(Buffer.from(content), hash, metaRow(word)), READ)
      inventory.words.add(word)
    }
    if (batch.reserve !== undefined) putMeta('reserve', hlcText(batch.reserve))
    if (batch.identity !== undefined) putMeta('identity', JSON.stringify(batch.identity))
    if (batch.roster !== undefined) putMeta('roster', JSON.stringify(batch.roster))
    if (batch.peers !== undefined) putMeta('peers', JSON.stringify(batch.peers))
    if (batch.folded !== undefined) putMeta('folded', JSON.stringify(batch.folded))
    if (batch.writers !== undefined) putMeta('writers', JSON.stringify(batch.writers))
    if (batch.frontier !== undefined) putMeta('frontier', hlcText(batch.frontier.frontier))
    const purgeLog = this.#logPurge(batch, number, rows)
    const grounds = batch.frontier === undefined ? this.#grounds : this.#logGrounds(batch.frontier, rows)
    const receipts = logReceipts(batch, number, this.#receipts, rows, hash)
    if (batch.checkpoint !== undefined) {
      for (const state of batch.checkpoint) {
        const name = partitionRow(state.partition)
        rows.put(name, sealRow(encodePartition(state), hash, name), READ)
        inventory.partitions.add(state.partition)
      }
      putMeta('checkpoint', JSON.stringify({ number: number - 1, ...inventory.rows() } satisfies Checkpoint))
      // In this very batch: a clear of its own would be a second one in flight, and unsynced.
      for (let folded = this.#firstJournalRow; folded < number; folded++) rows.del(journalRow(folded), READ)
    }
    await rows.write({ sync: true })
    this.#purgeLog = purgeLog
    this.#grounds = grounds
    this.#receipts = receipts
  }

  #logPurge(batch: CommitBatch, number: number, rows: Rows): readonly PurgeRow[] {
    const dropped = droppedBy(batch.changes)
    if (dropped.length === 0) return this.#purgeLog
    const row = { number, count: dropped.length }
    rows.put(purgeLogRow(row), sealRow(encodePurged(dropped, batch.atMs), this.#options.hash), READ)
    const log = [...this.#purgeLog, row]
    const forgotten = tooMany(log)
    for (const old of forgotten) rows.del(purgeLogRow(old), READ)
    return log.slice(forgotten.length)
  }

  #logGrounds(grounds: FrontierGrounds, rows: Rows): readonly Buffer[] {
    const { hash } = this.#options
    rows.put(groundsRow(grounds.frontier), sealRow(Buffer.from(JSON.stringify(grounds)), hash), READ)
    const log = [...this.#grounds, groundsRow(grounds.frontier)]
    const forgotten = log.slice(0, Math.max(0, log.length - FRONTIER_GROUNDS_MAX))
    for (const name of forgotten) rows.del(name, READ)
    return log.slice(forgotten.length)
  }

  #refuseUnusable(): void {
    if (this.#db.status === 'open') return
    throw new StoreError(
      'io_error',
      this.#poisoned
        ? 'the database is being opened again after a failed write; try again shortly'
        : 'the database is closed: this node is stopping',
    )
  }
}

interface Loaded {
  readonly inventory: Inventory
  readonly state: StoredState
  readonly batchNumber: number
  /** Where the journal begins, or would. */
  readonly firstJournalRow: number
  readonly journalBytes: number
  readonly purgeLog: readonly PurgeRow[]
  readonly grounds: readonly Buffer[]
  readonly receipts: number
}

export type Rows = ReturnType<Database['batch']>

function dropEntry(rows: Rows, entry: Entry): void {
  rows.del(entryRow(entry.address), READ)
  rows.del(dotRow(partitionOf(entry.keyHash), entry.dot), READ)
  rows.del(hashRow(entry.keyHash), READ)
  const purge = purgeableAt(entry)
  if (purge !== undefined) rows.del(purgeRow(purge, entry.address), READ)
}

function writeRepairs(rows: Rows, { absent, reindexed, strays }: RowRepairs): void {
  for (const { address, keyHash } of absent) {
    rows.del(entryRow(address), READ)
    rows.del(hashRow(keyHash), READ)
  }
  for (const stray of strays) rows.del(strayRow(stray), READ)
  for (const entry of reindexed) {
    const address = Buffer.from(entry.address, 'latin1')
    rows.put(entryRow(entry.address), asBuffer(entry.envelope), READ)
    rows.put(dotRow(partitionOf(entry.keyHash), entry.dot), address, READ)
    rows.put(hashRow(entry.keyHash), address, READ)
    const purge = purgeableAt(entry)
    if (purge !== undefined) rows.put(purgeRow(purge, entry.address), Buffer.alloc(0), READ)
  }
}

function strayRow(stray: StrayRow): Buffer {
  switch (stray.index) {
    case 'dot':
      return dotRow(stray.partition, stray.dot)
    case 'hash':
      return hashRow(stray.keyHash)
    case 'purge':
      return purgeRow(stray.at, stray.address)
  }
}

async function openAndLoad({ openDatabase, hash }: LevelStoreOptions): Promise<{ db: Database; loaded: Loaded }> {
  const db = await openDatabase().catch((error: unknown) => {
    throw error instanceof StoreError ? error : storeErrorOf('the database cannot be opened', error)
  })
  try {
    return { db, loaded: await load(db, hash) }
  } catch (error) {
    // Left open, it would lock every further try out.
    await db.close()
    throw error instanceof StoreError ? error : storeErrorOf('the database cannot be read', error)
  }
}

async function load(db: Database, hash: Hash): Promise<Loaded> {
  const target: ReplayTarget = {
    sums: new Uint8Array(LEAVES * SUM_BYTES),
    vectors: Array.from({ length: PARTITIONS }, () => new VersionVector()),
    totals: { values: 0, tombstones: 0, bytes: 0, tombstoneBytes: 0 },
    rebuilds: 0,
  }
  const checkpoint = await metaOf<Checkpoint>(db, 'checkpoint', hash)
  const inventory = new Inventory()
  for (const name of await db.keys({ ...rowsOf('m'), ...READ }).all())
    inventory.words.add(name.toString('latin1', 1) as MetaWord)
  const partitionBytes = LEAVES_PER_PARTITION * SUM_BYTES
  for await (const [name, row] of db.iterator({ ...rowsOf('p'), ...READ })) {
    const partition = name[1] ?? 0
    const { sums, vector } = decodePartition(openRow(row, hash, `partition ${partition}`, name), partitionBytes)
    inventory.partitions.add(partition)
    target.sums.set(sums, partition * partitionBytes)
    target.vectors[partition]?.adopt(vector)
  }
  inventory.refuseLacking(checkpoint)
  const folded = checkpoint?.number ?? 0
  let batchNumber = folded
  let journalBytes = 0
  for await (const [name, row] of db.iterator({ gt: journalRow(folded), lt: rowsOf('j').lt, ...READ })) {
    const number = numberOfRow(name)
    // A hole in LevelDB's log is skipped without a word; here it is a missing number.
    if (number !== batchNumber + 1)
      throw new StoreError('data_missing', `the database lost batches ${batchNumber + 1} to ${number - 1}`)
    replayJournal(openRow(row, hash, `journal row ${number}`), target)
    batchNumber = number
    journalBytes += row.length
  }
  // A checkpoint travels with the batch after it, so its rows never stand alone.
  if (checkpoint !== undefined && batchNumber === folded)
    throw new StoreError('data_missing', `the database lost all batches after ${folded}`)
  const foldedWriters = (await metaOf<readonly WriterId[]>(db, 'folded', hash)) ?? []
  // They may stand in rows that are older than their folding.
  for (const vector of target.vectors) for (const writer of foldedWriters) vector.forget(writer)
  return {
    batchNumber,
    inventory,
    firstJournalRow: folded + 1,
    journalBytes,
    purgeLog: (await db.keys({ ...rowsOf('g'), ...READ }).all()).map(purgeLogOfRow),
    grounds: await db.keys({ ...rowsOf('f'), ...READ }).all(),
    receipts: await receiptsEver(db, hash),
    state: {
      identity: await metaOf<Identity>(db, 'identity', hash),
      roster: (await metaOf<Roster>(db, 'roster', hash)) ?? EMPTY_ROSTER,
      peers: (await metaOf<readonly KnownPeer[]>(db, 'peers', hash)) ?? [],
      reserve: await hlcOf(db, 'reserve', hash),
      frontier: await hlcOf(db, 'frontier', hash),
      folded: foldedWriters,
      writers: (await metaOf<readonly WriterId[]>(db, 'writers', hash)) ?? [],
      replayedBatches: batchNumber - folded,
      ...target,
    },
  }
}

async function hlcOf(db: Database, word: MetaWord, hash: Hash): Promise<Hlc> {
  const row = await db.get(metaRow(word), READ)
  return (row && parseHlc(openRow(row, hash, `the ${word}`, metaRow(word)).toString())) ?? HLC_ZERO
}

async function metaOf<T>(db: Database, word: MetaWord, hash: Hash): Promise<T | undefined> {
  const row = await db.get(metaRow(word), READ)
  // What is behind a right checksum was written by us, so its shape is not doubted again.
  return row && (JSON.parse(openRow(row, hash, word, metaRow(word)).toString()) as T)
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
