import {
  COMMIT_BYTES_MAX,
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
  type Hash,
  type Held,
  type Identity,
  type KnownPeer,
  type Roster,
  type Store,
  type StoredState,
  type StoreView,
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
import {
  dotRow,
  entryRow,
  hashRow,
  journalRow,
  metaRow,
  numberOfJournalRow,
  partitionRow,
  purgeRow,
  rowsOf,
} from './key-layout.ts'
import { LevelView } from './level-view.ts'
import { messageOf, readEntries, readEntry } from './read-rows.ts'
import { openRow, sealRow } from './sealed-row.ts'

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
 * the handle is poisoned: LevelDB goes on acknowledging writes that it will lose (facts.md), so nothing but
 * closing and opening again makes it trustworthy.
 */
export class LevelStore implements Store {
  readonly #options: LevelStoreOptions
  #db: Database
  #state: StoredState
  #poisoned = false
  #batchNumber: number
  #firstJournalRow: number
  #journalBytes: number
  #journalBatches: number

  private constructor(options: LevelStoreOptions, db: Database, loaded: Loaded) {
    this.#options = options
    this.#db = db
    this.#state = loaded.state
    this.#batchNumber = loaded.batchNumber
    this.#firstJournalRow = loaded.firstJournalRow
    this.#journalBytes = loaded.journalBytes
    this.#journalBatches = loaded.state.replayedBatches
  }

  static async open(options: LevelStoreOptions): Promise<LevelStore> {
    const { db, loaded } = await openAndLoad(options)
    return new LevelStore(options, db, loaded)
  }

  get state(): StoredState {
    return this.#state
  }

  get wantsCheckpoint(): boolean {
    return this.#journalBytes > JOURNAL_BYTES_MAX || this.#journalBatches >= JOURNAL_BATCHES_MAX
  }

  read(address: Address): Held {
    this.#refuseUnusable()
    return readEntry(this.#db, address, READ, this.#options.hash)
  }

  async readMany(addresses: readonly Address[]): Promise<readonly Held[]> {
    this.#refuseUnusable()
    return readEntries(this.#db, addresses, READ, this.#options.hash)
  }

  view(): StoreView {
    this.#refuseUnusable()
    return new LevelView(this.#db, this.#options.hash)
  }

  async commit(batch: CommitBatch): Promise<void> {
    this.#refuseUnusable()
    const isNewIdentity = batch.identity !== undefined && batch.identity.replica !== this.#state.identity?.replica
    if (isNewIdentity && batch.identity) await this.#options.identityWitness?.announce(batch.identity)
    const number = this.#batchNumber + 1
    const journal = sealRow(encodeJournal(batch), this.#options.hash)
    try {
      await this.#write(batch, number, journal)
    } catch (error) {
      this.#poisoned = true
      throw new StoreError('io_error', `a write to the database failed: ${messageOf(error)}`, { cause: error })
    }
    this.#batchNumber = number
    this.#journalBytes += journal.length
    this.#journalBatches++
    if (batch.checkpoint !== undefined) {
      this.#firstJournalRow = number
      this.#journalBytes = journal.length
      this.#journalBatches = 1
    }
    this.#state = {
      ...this.#state,
      identity: batch.identity ?? this.#state.identity,
      roster: batch.roster ?? this.#state.roster,
      peers: batch.peers ?? this.#state.peers,
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
    this.#poisoned = false
  }

  async close(): Promise<void> {
    await this.#db.close()
  }

  async #write(batch: CommitBatch, number: number, journal: Buffer): Promise<void> {
    const { hash } = this.#options
    const rows = this.#db.batch()
    for (const { after, before } of batch.changes) {
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
    if (batch.reserve !== undefined)
      rows.put(metaRow('reserve'), sealRow(Buffer.from(hlcText(batch.reserve)), hash), READ)
    if (batch.identity !== undefined) rows.put(metaRow('identity'), sealJson(batch.identity, hash), READ)
    if (batch.roster !== undefined) rows.put(metaRow('roster'), sealJson(batch.roster, hash), READ)
    if (batch.peers !== undefined) rows.put(metaRow('peers'), sealJson(batch.peers, hash), READ)
    if (batch.checkpoint !== undefined) {
      for (const state of batch.checkpoint)
        rows.put(partitionRow(state.partition), sealRow(encodePartition(state), hash), READ)
      rows.put(metaRow('checkpoint'), sealJson({ number: number - 1 }, hash), READ)
      // In this very batch: a clear of its own would be a second one in flight, and unsynced.
      for (let folded = this.#firstJournalRow; folded < number; folded++) rows.del(journalRow(folded), READ)
    }
    await rows.write({ sync: true })
  }

  #refuseUnusable(): void {
    if (this.#poisoned)
      throw new StoreError('io_error', 'the database is being opened again after a failed write; try again shortly')
    if (this.#db.status !== 'open') throw new StoreError('io_error', 'the database is closed: this node is stopping')
  }
}

interface Loaded {
  readonly state: StoredState
  readonly batchNumber: number
  /** Where the journal begins, or would. */
  readonly firstJournalRow: number
  readonly journalBytes: number
}

async function openAndLoad({ openDatabase, hash }: LevelStoreOptions): Promise<{ db: Database; loaded: Loaded }> {
  const db = await openDatabase()
  try {
    return { db, loaded: await load(db, hash) }
  } catch (error) {
    // Left open, it would lock every further try out.
    await db.close()
    throw error
  }
}

async function load(db: Database, hash: Hash): Promise<Loaded> {
  const target: ReplayTarget = {
    sums: new Uint8Array(LEAVES * SUM_BYTES),
    vectors: Array.from({ length: PARTITIONS }, () => new VersionVector()),
    totals: { values: 0, tombstones: 0, bytes: 0 },
    rebuilds: 0,
  }
  const checkpoint = await metaOf<{ number: number }>(db, 'checkpoint', hash)
  const partitionBytes = LEAVES_PER_PARTITION * SUM_BYTES
  for await (const [name, row] of db.iterator({ ...rowsOf('p'), ...READ })) {
    const partition = name[1] ?? 0
    const { sums, vector } = decodePartition(openRow(row, hash, `partition ${partition}`), partitionBytes)
    target.sums.set(sums, partition * partitionBytes)
    target.vectors[partition]?.adopt(vector)
  }
  const folded = checkpoint?.number ?? 0
  let batchNumber = folded
  let journalBytes = 0
  for await (const [name, row] of db.iterator({ gt: journalRow(folded), lt: rowsOf('j').lt, ...READ })) {
    const number = numberOfJournalRow(name)
    // A hole in LevelDB's log is skipped without a word (facts.md); here it is a missing number.
    if (number !== batchNumber + 1)
      throw new StoreError('data_missing', `the database lost batches ${batchNumber + 1} to ${number - 1}`)
    replayJournal(openRow(row, hash, `journal row ${number}`), target)
    batchNumber = number
    journalBytes += row.length
  }
  // A checkpoint travels with the batch after it, so its rows never stand alone.
  if (checkpoint !== undefined && batchNumber === folded)
    throw new StoreError('data_missing', `the database lost all batches after ${folded}`)
  const reserve = await db.get(metaRow('reserve'), READ)
  const reserved = reserve && parseHlc(openRow(reserve, hash, 'the clock reserve').toString())
  return {
    batchNumber,
    firstJournalRow: folded + 1,
    journalBytes,
    state: {
      identity: await metaOf<Identity>(db, 'identity', hash),
      roster: (await metaOf<Roster>(db, 'roster', hash)) ?? EMPTY_ROSTER,
      peers: (await metaOf<readonly KnownPeer[]>(db, 'peers', hash)) ?? [],
      reserve: reserved ?? HLC_ZERO,
      replayedBatches: batchNumber - folded,
      ...target,
    },
  }
}

async function metaOf<T>(
  db: Database,
  word: 'identity' | 'roster' | 'peers' | 'checkpoint',
  hash: Hash,
): Promise<T | undefined> {
  const row = await db.get(metaRow(word), READ)
  // What is behind a right checksum was written by us, so its shape is not doubted again.
  return row && (JSON.parse(openRow(row, hash, word).toString()) as T)
}

function sealJson(value: unknown, hash: Hash): Buffer {
  return sealRow(Buffer.from(JSON.stringify(value)), hash)
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
