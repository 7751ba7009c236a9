import { bytesOfKeyFields, decodeBase64, type KeyFields, type WriteConcern } from '@grapevine/contract'
import { Level } from 'level'
import { checkCondition, checkContentType, checkTtl } from '../arguments.ts'
import { NOTHING, type BatchOperation, type BatchOutcome } from '../batch.ts'
import type { Bucket, PutOptions, ReadOptions, WriteOptions } from '../bucket.ts'
import { toBase64 } from '../bytes.ts'
import { bytesCodec, jsonCodec, textCodec, type Codec, type CodecName } from '../codec.ts'
import type { Session } from '../grapevine.ts'
import { GrapevineError, type ErrorCode } from '../grapevine-error.ts'
import { checkBucket, fieldsOfKey, keyOfBytes, type Key } from '../key.ts'
import { sleep } from '../send.ts'
import { addressOf, PendingWrites, type KeptWrite, type OutboxDatabase, type PendingWrite } from './pending-writes.ts'

/** Writes in one request: few enough that a lost answer repeats little. */
const WRITES_PER_BATCH = 100
/** And their bytes: a slow uplink gets them through in the time there is. Fewer after a time-out, slowly more after each success. */
const BATCH_BYTES_MAX = 256 * 1024
const BATCH_BYTES_MIN = 4 * 1024
const SHRINK = 0.5
const GROW = 1.05
/** At about 200 bytes each beside their values, which stay in the database. */
const PENDING_MAX = 100_000
const WAIT_MS_MIN = 500
/** A network that comes back is used within this time, at once where the platform tells of it, and by `flush`. */
const WAIT_MS_MAX = 30_000

export interface OutboxOptions {
  /** A directory in Node; the name of an IndexedDB database in a browser. Not for two outboxes at the same time. */
  readonly location?: string | undefined
  /** An abstract-level database with text as keys and values, instead of one at `location`. */
  readonly database?: OutboxDatabase | undefined
  /** How many members must hold a write before it leaves the outbox. Default 1. */
  readonly w?: WriteConcern | undefined
  /** Called after each change, and never during a call of yours. */
  readonly onStatus?: ((status: OutboxStatus) => void) | undefined
}

export interface OutboxStatus {
  /** Writes that are kept here and not known to be in the cluster. */
  readonly pending: number
  /** Writes that no node will ever take: see `refused()`. */
  readonly refused: number
  /** When the oldest pending write was made. */
  readonly oldestAt: Date | undefined
  /** `waiting`: the last attempt failed, the next comes by itself. */
  readonly state: 'idle' | 'sending' | 'waiting' | 'closed'
  /** Why the last attempt failed; gone with the next one that did not. */
  readonly lastError: Error | undefined
}

export type OutboxPutOptions = Pick<PutOptions, 'ttl' | 'contentType' | 'ifMatch' | 'ifAbsent' | 'id'>
export type OutboxDeleteOptions = Pick<WriteOptions, 'ifMatch' | 'ifAbsent' | 'id'>

/** A bucket whose writes are done when they are kept here. */
export interface OutboxBucket<Value, Input = Value> {
  readonly name: string
  /**
   * Resolves when the write is kept, over restarts. A `ttl` counts from when it is sent.
   * @throws {GrapevineError} for what cannot be right, and `overloaded` when 100,000 writes are waiting already.
   */
  put(key: Key, value: Input, options?: OutboxPutOptions): Promise<void>
  delete(key: Key, options?: OutboxDeleteOptions): Promise<void>
  /** What was written last here, as long as it is not sent; then what the cluster says. */
  get(key: Key, options?: ReadOptions): Promise<Value | undefined>
}

/** A write that was refused for good. */
export interface RefusedWrite {
  readonly op: 'put' | 'delete'
  readonly bucket: string
  readonly key: Key
  readonly value: Uint8Array | undefined
  /** When it was made. */
  readonly at: Date
  readonly code: string
  readonly message: string
  /** Drops it. */
  forget(): Promise<void>
}

export interface Outbox extends AsyncDisposable {
  bucket(name: string, options: { readonly codec: 'text' }): OutboxBucket<string>
  bucket(name: string, options: { readonly codec: 'bytes' }): OutboxBucket<Uint8Array>
  bucket<Value, Input>(name: string, options: { readonly codec: Codec<Value, Input> }): OutboxBucket<Value, Input>
  bucket(name: string, options?: { readonly codec?: 'json' }): OutboxBucket<unknown>
  status(): OutboxStatus
  /** Tries at once, and resolves when nothing is pending. @throws {GrapevineError} `aborted`, `closed`. */
  flush(options?: { readonly signal?: AbortSignal | undefined }): Promise<void>
  /** Oldest first. A condition that did not hold, a value too large, a missing permission. */
  refused(): AsyncGenerator<RefusedWrite, void, void>
  /** Stops sending. What is pending stays in the database for the next time. The client stays open. */
  close(): Promise<void>
}

/**
 * Keeps writes in a database of this device and sends them when there is a node to take them: those of one key in
 * their order, each under one name, so that the node that took it applies it once, however often it is told.
 */
export async function openOutbox(grapevine: Session, options: OutboxOptions): Promise<Outbox> {
  const { location, database = location === undefined ? undefined : levelAt(location) } = options
  if (database === undefined)
    throw new GrapevineError({ code: 'bad_argument', message: 'Say where the outbox is to keep what it holds.' })
  const writes = new PendingWrites(database)
  await writes.open()
  return new LevelOutbox(grapevine, writes, options)
}

function levelAt(location: string): OutboxDatabase {
  return new Level<string>(location)
}

class LevelOutbox implements Outbox {
  readonly #grapevine: Session
  readonly #writes: PendingWrites
  readonly #options: OutboxOptions
  readonly #closing = new AbortController()
  readonly #waiters = new Set<() => void>()
  readonly #sending: Promise<void>
  readonly #onOnline = (): void => this.#wake()
  #state: OutboxStatus['state'] = 'idle'
  #lastError: Error | undefined
  #batchBytesMax = BATCH_BYTES_MAX
  /** Ends the wait of the loop. */
  #wake: () => void = () => undefined

  constructor(grapevine: Session, writes: PendingWrites, options: OutboxOptions) {
    this.#grapevine = grapevine
    this.#writes = writes
    this.#options = options
    eventTarget()?.addEventListener('online', this.#onOnline)
    this.#sending = this.#sendForever()
  }

  bucket(name: string, options: { readonly codec: 'text' }): OutboxBucket<string>
  bucket(name: string, options: { readonly codec: 'bytes' }): OutboxBucket<Uint8Array>
  bucket<Value, Input>(name: string, options: { readonly codec: Codec<Value, Input> }): OutboxBucket<Value, Input>
  bucket(name: string, options?: { readonly codec?: 'json' }): OutboxBucket<unknown>
  bucket<Value, Input>(
    name: string,
    { codec = 'json' }: { readonly codec?: CodecName | Codec<Value, Input> } = {},
  ): OutboxBucket<unknown> | OutboxBucket<string> | OutboxBucket<Uint8Array> | OutboxBucket<Value, Input> {
    checkBucket(name)
    if (codec === 'json') return this.#bucketOf(this.#grapevine.bucket(name), jsonCodec)
    if (codec === 'text') return this.#bucketOf(this.#grapevine.bucket(name, { codec: 'text' }), textCodec)
    if (codec === 'bytes') return this.#bucketOf(this.#grapevine.bucket(name, { codec: 'bytes' }), bytesCodec)
    return this.#bucketOf(this.#grapevine.bucket(name, { codec }), codec)
  }

  status(): OutboxStatus {
    const [oldest] = this.#writes.all
    return {
      pending: this.#writes.size,
      refused: this.#writes.refusedSize,
      oldestAt: oldest && new Date(oldest.atMs),
      state: this.#state,
      lastError: this.#lastError,
    }
  }

  async flush({ signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    // Once: from then on it waits between attempts as it always does.
    this.#wake()
    while (this.#writes.size > 0) {
      this.#checkOpen()
      if (signal?.aborted === true) {
        const cause: unknown = signal.reason
        throw new GrapevineError({ code: 'aborted', message: 'The caller gave up waiting for the outbox.', cause })
      }
      await new Promise<void>((resolve) => {
        const done = (): void => {
          signal?.removeEventListener('abort', done)
          this.#waiters.delete(done)
          resolve()
        }
        this.#waiters.add(done)
        signal?.addEventListener('abort', done)
      })
    }
  }

  async *refused(): AsyncGenerator<RefusedWrite, void, void> {
    for await (const { row, refusal } of this.#writes.refusals()) {
      const { op, bucket, value, atMs, code, message } = refusal
      yield {
        op,
        bucket,
        key: keyOf(refusal),
        value: value === undefined ? undefined : decodeBase64(value),
        at: new Date(atMs),
        code,
        message,
        forget: async () => {
          await this.#writes.forget(row)
          this.#changed(this.#state)
        },
      }
    }
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return
    this.#closing.abort()
    this.#wake()
    eventTarget()?.removeEventListener('online', this.#onOnline)
    await this.#sending
    this.#changed('closed')
    await this.#writes.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #bucketOf<Value, Input>(bucket: Bucket<Value, Input>, codec: Codec<Value, Input>): OutboxBucket<Value, Input> {
    const { name } = bucket
    return {
      name,
      put: async (key, value, options = {}) => {
        const fields = fieldsOfKey(key)
        const bytes = await codec.encode(value)
        const { ttl, contentType = codec.contentType } = options
        await this.#keep({
          op: 'put',
          bucket: name,
          ...fields,
          value: toBase64(bytes),
          contentType: checkContentType(contentType),
          ...(ttl !== undefined && { ttl: checkTtl(ttl) }),
          ...checkCondition(options),
          atMs: Date.now(),
        })
      },
      delete: async (key, options = {}) =>
        this.#keep({ op: 'delete', bucket: name, ...fieldsOfKey(key), ...checkCondition(options), atMs: Date.now() }),
      get: async (key, options) => {
        const newest = this.#writes.newestOf(addressOf(name, fieldsOfKey(key)))
        const kept = newest && (await this.#writes.read(newest.row))
        if (kept === undefined) return bucket.get(key, options)
        if (kept.op === 'delete') return undefined
        return codec.decode(valueOf(kept), kept.contentType ?? '')
      },
    }
  }

  async #keep(write: Omit<KeptWrite, 'id'> & { readonly id?: string }): Promise<void> {
    this.#checkOpen()
    if (this.#writes.size >= PENDING_MAX) {
      const message = `The outbox holds ${PENDING_MAX} writes already.`
      throw new GrapevineError({ code: 'overloaded', message, outcome: 'not-applied', retryable: true })
    }
    await this.#writes.add(write)
    this.#changed(this.#state)
    // Whoever waits after a failure goes on waiting: each new write is no reason to knock.
    if (this.#state === 'idle') this.#wake()
  }

  async #sendForever(): Promise<void> {
    const { signal } = this.#closing
    for (let failures = 0; !signal.aborted;) {
      const awake = new AbortController()
      this.#wake = () => awake.abort()
      if (this.#writes.size === 0) {
        this.#changed('idle')
        await new Promise<void>((resolve) => awake.signal.addEventListener('abort', () => resolve()))
        continue
      }
      this.#changed('sending')
      const failed = await this.#sendAll(signal)
      failures = failed ? failures + 1 : 0
      if (!failed || signal.aborted || awake.signal.aborted) continue
      this.#changed('waiting')
      await sleep(Math.min(WAIT_MS_MAX, WAIT_MS_MIN * 2 ** failures) * (0.5 + Math.random() / 2), awake.signal)
    }
  }

  /** Goes through what is pending once. Says whether anything has to be tried again. */
  async #sendAll(signal: AbortSignal): Promise<boolean> {
    const stuck = new Set<string>()
    for (;;) {
      const batch = this.#nextBatch(stuck)
      if (batch.length === 0) {
        if (stuck.size === 0) this.#lastError = undefined
        return stuck.size > 0
      }
      try {
        const rows = await Promise.all(
          batch.map(async (write) => ({ write, kept: await this.#writes.read(write.row) })),
        )
        // Another page of the same site has sent what is gone.
        await this.#writes.remove(rows.filter(({ kept }) => kept === undefined).map(({ write }) => write.row))
        const here = rows.flatMap(({ write, kept }) => (kept === undefined ? [] : [{ write, kept }]))
        const operations = here.map(({ kept }) => operationOf(kept))
        const outcomes = await this.#outcomesOf(operations, signal)
        const failed = await this.#settle(here, outcomes)
        // Nothing got through: there is no use in trying the others.
        if (signal.aborted || failed.length === batch.length) return true
        for (const { address } of failed) stuck.add(address)
      } catch (error) {
        // The database failed, or the client is closed: what is kept stays.
        this.#lastError = error instanceof Error ? error : new Error(String(error))
        return true
      }
      this.#changed('sending')
    }
  }

  /** The oldest of each key, so that those of one key go one after the other. */
  #nextBatch(stuck: ReadonlySet<string>): PendingWrite[] {
    const batch = new Map<string, PendingWrite>()
    let bytes = 0
    for (const write of this.#writes.all) {
      if (stuck.has(write.address) || batch.has(write.address)) continue
      bytes += write.bytes
      if (batch.size >= WRITES_PER_BATCH || (batch.size > 0 && bytes > this.#batchBytesMax)) break
      batch.set(write.address, write)
    }
    return [...batch.values()]
  }

  async #outcomesOf(operations: readonly BatchOperation[], signal: AbortSignal): Promise<readonly BatchOutcome[]> {
    try {
      const outcomes = await this.#grapevine.batch(operations, { w: this.#options.w, signal })
      const wasSlow = outcomes.some(({ error }) => error?.code === 'timeout')
      const bytes = this.#batchBytesMax * (wasSlow ? SHRINK : GROW)
      this.#batchBytesMax = Math.min(BATCH_BYTES_MAX, Math.max(BATCH_BYTES_MIN, bytes))
      return outcomes
    } catch (error) {
      // One that is wrong in itself was kept by an older version, and must not hold up the others.
      if (!(error instanceof GrapevineError) || error.code !== 'bad_argument') throw error
      if (operations.length === 1) return [{ ...NOTHING, error }]
      const each = await Promise.all(operations.map((operation) => this.#outcomesOf([operation], signal)))
      return each.flat()
    }
  }

  /** Those that have to be tried again. */
  async #settle(
    sent: readonly { readonly write: PendingWrite; readonly kept: KeptWrite }[],
    outcomes: readonly BatchOutcome[],
  ): Promise<PendingWrite[]> {
    const done: string[] = []
    const failed: PendingWrite[] = []
    for (const [index, { write, kept }] of sent.entries()) {
      const error = outcomes[index]?.error
      if (error === undefined) {
        done.push(write.row)
      } else if (isFinal(error)) {
        await this.#writes.refuse(write.row, { ...kept, code: error.code, message: error.message })
      } else {
        failed.push(write)
        this.#lastError = error
      }
    }
    await this.#writes.remove(done)
    return failed
  }

  #changed(state: OutboxStatus['state']): void {
    this.#state = state
    for (const waiter of this.#waiters) waiter()
    const { onStatus } = this.#options
    if (onStatus !== undefined) queueMicrotask(() => onStatus(this.status()))
  }

  #checkOpen(): void {
    if (this.#closing.signal.aborted)
      throw new GrapevineError({ code: 'closed', message: 'The outbox is closed.', outcome: 'not-applied' })
  }
}

/** What is wrong with the write itself. All else passes: a session of another cluster, a missing token, a slow way. */
const FINAL: ReadonlySet<ErrorCode> = new Set([
  'bad_argument',
  'bad_body',
  'bad_bucket',
  'bad_key',
  'idempotency_mismatch',
  'precondition_failed',
  'too_large',
])

/** Whether it would be refused again. What is not known is asked again. */
function isFinal({ code, outcome }: GrapevineError): boolean {
  return outcome === 'not-applied' && FINAL.has(code)
}

function operationOf(kept: KeptWrite): BatchOperation {
  const { op, bucket, id, contentType, ttl, ifMatch, ifAbsent } = kept
  const where = { bucket, key: keyOf(kept), id, ifMatch, ifAbsent }
  return op === 'delete' ? { op, ...where } : { op, ...where, value: valueOf(kept), contentType, ttl }
}

function keyOf(fields: KeyFields): Key {
  return keyOfBytes(bytesOfKeyFields(fields) ?? new Uint8Array())
}

function valueOf({ value = '' }: KeptWrite): Uint8Array {
  return decodeBase64(value) ?? new Uint8Array()
}

/** A browser's window or worker, which tells when the network is back. */
function eventTarget(): EventTarget | undefined {
  return 'addEventListener' in globalThis ? globalThis : undefined
}
