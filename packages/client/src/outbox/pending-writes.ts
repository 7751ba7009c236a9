import type { KeyFields } from '@grapevine/contract'
import { randomText } from '../write-id.ts'

/** As much of an abstract-level database as is used: `level`, `classic-level`, `browser-level`, `memory-level`. */
export interface OutboxDatabase {
  open(): Promise<void>
  close(): Promise<void>
  get(key: string): Promise<string | undefined>
  /** `sync` is for LevelDB; others keep what they keep. */
  batch(changes: RowChange[], options: { readonly sync: boolean }): Promise<void>
  iterator(range: { readonly gte: string; readonly lt: string }): AsyncIterable<[string, string]>
}

export type RowChange =
  | { readonly type: 'put'; readonly key: string; readonly value: string }
  | { readonly type: 'del'; readonly key: string }

/** One write as it is kept. */
export interface KeptWrite extends KeyFields {
  readonly op: 'put' | 'delete'
  readonly bucket: string
  /** Idempotency key: the same at every attempt, over restarts. */
  readonly id: string
  /** Base64. */
  readonly value?: string
  readonly contentType?: string
  readonly ttl?: string
  readonly ifMatch?: string
  readonly ifAbsent?: true
  /** When it was made. */
  readonly atMs: number
}

/** A write that no node will ever take, with why. */
export interface KeptRefusal extends KeptWrite {
  readonly code: string
  readonly message: string
}

const WRITES = 'w!'
const REFUSED = 'r!'
/** Digits of a row's number: as many as a safe integer has. */
const DIGITS = 16

/** What is held in memory of a write: everything but its value. */
export interface PendingWrite {
  readonly row: string
  readonly address: string
  readonly atMs: number
  /** Of the row, about as many as it has in a request. */
  readonly bytes: number
}

interface Addition {
  readonly pending: PendingWrite
  readonly change: RowChange
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** The writes in the database, in the order in which they were made, and those that were refused. */
export class PendingWrites {
  readonly #database: OutboxDatabase
  /** Two that share a database, as two pages of one site do, never take each other's rows. */
  readonly #run = randomText(6)
  readonly #pending = new Map<string, PendingWrite>()
  readonly #refused = new Set<string>()
  #next = 1
  /** Those behind the one that is being kept, to be kept together: the order must not depend on who is done first. */
  #additions: Addition[] = []
  #isAdding = false

  constructor(database: OutboxDatabase) {
    this.#database = database
  }

  async open(): Promise<void> {
    await this.#database.open()
    for await (const [row, text] of this.#rows(WRITES)) {
      const write = parse<KeptWrite>(text)
      this.#pending.set(row, pendingOf(row, write, text))
      this.#next = Math.max(this.#next, Number(row.slice(WRITES.length, WRITES.length + DIGITS)) + 1)
    }
    for await (const [row] of this.#rows(REFUSED)) this.#refused.add(row)
  }

  close(): Promise<void> {
    return this.#database.close()
  }

  get size(): number {
    return this.#pending.size
  }

  get refusedSize(): number {
    return this.#refused.size
  }

  /** Oldest first. */
  get all(): IterableIterator<PendingWrite> {
    return this.#pending.values()
  }

  /** Resolves when it is kept, behind those that were added before. */
  add(write: Omit<KeptWrite, 'id'> & { readonly id?: string }): Promise<void> {
    const number = String(this.#next++).padStart(DIGITS, '0')
    const row = `${WRITES}${number}-${this.#run}`
    const kept: KeptWrite = { ...write, id: write.id ?? `${this.#run}-${number}` }
    const value = JSON.stringify(kept)
    return new Promise((resolve, reject) => {
      const pending = pendingOf(row, kept, value)
      this.#additions.push({ pending, change: { type: 'put', key: row, value }, resolve, reject })
      if (!this.#isAdding) void this.#keepAdditions()
    })
  }

  async #keepAdditions(): Promise<void> {
    this.#isAdding = true
    while (this.#additions.length > 0) {
      const group = this.#additions
      this.#additions = []
      try {
        await this.#commit(group.map(({ change }) => change))
        for (const { pending, resolve } of group) {
          this.#pending.set(pending.row, pending)
          resolve()
        }
      } catch (error) {
        for (const { reject } of group) reject(error)
      }
    }
    this.#isAdding = false
  }

  /** The write, or `undefined` when it was sent meanwhile. */
  async read(row: string): Promise<KeptWrite | undefined> {
    const text = await this.#database.get(row)
    return text === undefined ? undefined : parse(text)
  }

  /** The newest write of a key that has not been sent yet. */
  newestOf(address: string): PendingWrite | undefined {
    let newest: PendingWrite | undefined
    for (const write of this.#pending.values()) if (write.address === address) newest = write
    return newest
  }

  async remove(rows: readonly string[]): Promise<void> {
    await this.#commit(rows.map((key) => ({ type: 'del', key })))
    for (const row of rows) this.#pending.delete(row)
  }

  async refuse(row: string, refusal: KeptRefusal): Promise<void> {
    const key = REFUSED + row.slice(WRITES.length)
    await this.#commit([
      { type: 'put', key, value: JSON.stringify(refusal) },
      { type: 'del', key: row },
    ])
    this.#pending.delete(row)
    this.#refused.add(key)
  }

  async *refusals(): AsyncGenerator<{ readonly row: string; readonly refusal: KeptRefusal }, void, void> {
    for await (const [row, text] of this.#rows(REFUSED)) yield { row, refusal: parse(text) }
  }

  async forget(row: string): Promise<void> {
    await this.#commit([{ type: 'del', key: row }])
    this.#refused.delete(row)
  }

  #rows(kind: string): AsyncIterable<[string, string]> {
    return this.#database.iterator({ gte: kind, lt: `${kind}~` })
  }

  #commit(changes: RowChange[]): Promise<void> {
    return this.#database.batch(changes, { sync: true })
  }
}

function pendingOf(row: string, write: KeptWrite, text: string): PendingWrite {
  return { row, address: addressOf(write.bucket, write), atMs: write.atMs, bytes: text.length }
}

export function addressOf(bucket: string, { key, keyEncoding }: KeyFields): string {
  return `${bucket}/${keyEncoding ?? ''}/${key}`
}

/** What is in the database was written here. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- It names what is expected.
function parse<Row>(text: string): Row {
  return JSON.parse(text)
}
