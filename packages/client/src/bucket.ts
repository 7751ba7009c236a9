import type { BucketPolicyBody, Consistency, KeyFields, WriteConcern } from '@grapevine/contract'
import { checkCondition, checkContentType, checkTtl } from './arguments.ts'
import type { Codec } from './codec.ts'
import type { CallOptions, Connection } from './connection.ts'
import type { Dispatcher } from './dispatcher.ts'
import { GrapevineError } from './grapevine-error.ts'
import { fieldsOfKey, type Key } from './key.ts'
import { listEntries, listKeys, type ListedEntry, type ListedKey, type ListOptions } from './list.ts'
import { nodeTimeout } from './node-timeout.ts'
import type { Operation, OperationResult } from './operation.ts'
import { WriteReceipt, type Receipt } from './receipt.ts'
import { sleep } from './send.ts'
import type { SessionTokens } from './session-tokens.ts'
import { watchBucket, type Change, type WatchOptions } from './watch.ts'

export interface WriteConcernOptions extends CallOptions {
  /** How many members must hold it durably before it counts as done. Default 1: the node that is asked. */
  readonly w?: WriteConcern | undefined
}

export interface WriteOptions extends WriteConcernOptions {
  /** Only if this is the version held by the node that is asked; `*`: only if there is a value. */
  readonly ifMatch?: string | undefined
  /** Only if there is no value there. */
  readonly ifAbsent?: boolean | undefined
  /**
   * Idempotency key, 1 to 255 visible ASCII characters, instead of one of the client's making: for a write that is to
   * be repeated by a later run of the program.
   */
  readonly id?: string | undefined
}

export interface PutOptions extends WriteOptions {
  /**
   * A duration as `30s`, `15m`, `12h`, `7d`, or milliseconds; `none` to live for ever. Without it the bucket's policy holds,
   * see {@link Bucket.policy}.
   */
  readonly ttl?: string | number | undefined
  /** Instead of the codec's. */
  readonly contentType?: string | undefined
}

export interface ReadOptions extends CallOptions {
  /** How many replicas are asked. Default: the answering node, which waits until it has what the session has seen. */
  readonly consistency?: Consistency | undefined
}

export interface UpdateOptions extends Pick<PutOptions, 'ttl' | 'w' | 'signal' | 'timeoutMs' | 'contentType'> {
  /** How often it may be tried when others change the key at the same time. Default 10. */
  readonly attempts?: number | undefined
}

export interface Entry<Value> {
  readonly value: Value
  /** The version. */
  readonly etag: string
  readonly contentType: string
  /** When it expires, of a value with a `ttl`. */
  readonly expiresAt: Date | undefined
  /** When the version was made. */
  readonly lastModified: Date | undefined
  /** Name of the node whose data this is. */
  readonly servedBy: string | undefined
}

/** What a bucket needs of the session it belongs to. */
export interface BucketContext {
  readonly connection: Connection
  readonly dispatcher: Dispatcher
  readonly session: SessionTokens | undefined
}

const UPDATE_ATTEMPTS = 10
/** Times the number of the attempt, and jittered: those who collide are not to collide again. */
const UPDATE_WAIT_MS = 10
const NO_OPTIONS = {}

/**
 * A group of keys whose values have one codec. What is asked in the same turn of the event loop shares a request.
 * Two writes of one key of which the first is not awaited may be done in either order.
 */
export class Bucket<Value, Input = Value> {
  readonly name: string
  readonly #codec: Codec<Value, Input>
  readonly #context: BucketContext

  /** @internal */
  constructor(name: string, codec: Codec<Value, Input>, context: BucketContext) {
    this.name = name
    this.#codec = codec
    this.#context = context
  }

  /** @throws {GrapevineError} whose `outcome` tells whether it may have been written after all. */
  async put(key: Key, value: Input, options: PutOptions = NO_OPTIONS): Promise<Receipt> {
    const fields = fieldsOfKey(key)
    const encoded = this.#codec.encode(value)
    // Only a codec that really has to wait makes this operation miss the others of its tick.
    const bytes = encoded instanceof Uint8Array ? encoded : await encoded
    const { ttl, contentType } = options
    return this.#write(
      {
        op: 'put',
        bucket: this.name,
        ...fields,
        value: bytes,
        contentType: contentType === undefined ? this.#codec.contentType : checkContentType(contentType),
        ...(ttl !== undefined && { ttl: checkTtl(ttl) }),
        ...checkCondition(options, this.#context.connection.nextWriteId),
      },
      fields,
      options,
    )
  }

  /** Also when nothing is there: then nothing is there in future either, whoever still has an older value. */
  async delete(key: Key, options: WriteOptions = NO_OPTIONS): Promise<Receipt> {
    const fields = fieldsOfKey(key)
    return this.#write(
      { op: 'delete', bucket: this.name, ...fields, ...checkCondition(options, this.#context.connection.nextWriteId) },
      fields,
      options,
    )
  }

  /** The value. A missing key is `undefined` and never an error. */
  async get(key: Key, options: ReadOptions = NO_OPTIONS): Promise<Value | undefined> {
    const result = await this.#read(key, options)
    return result === undefined ? undefined : this.#codec.decode(result.value ?? NO_BYTES, result.contentType ?? '')
  }

  /** The value with its version and what else is known of it. A missing key is `undefined`. */
  async entry(key: Key, options: ReadOptions = NO_OPTIONS): Promise<Entry<Value> | undefined> {
    const result = await this.#read(key, options)
    if (result === undefined) return undefined
    const { etag, value = NO_BYTES, contentType = '', expiresAt, lastModified, servedBy } = result
    return {
      value: await this.#codec.decode(value, contentType),
      etag,
      contentType,
      expiresAt,
      lastModified,
      servedBy,
    }
  }

  /**
   * Reads, changes, and writes if nothing has come between; else again with what is there now. `change` gets
   * `undefined` for a missing key. What it throws ends the update, and nothing is written. The condition is checked by
   * the node where the write lands: of two updates on two nodes at the same moment one may still win over the other.
   * @throws {GrapevineError} `precondition_failed` when others were faster `attempts` times.
   */
  async update(
    key: Key,
    change: (old: Value | undefined) => Input | Promise<Input>,
    { attempts = UPDATE_ATTEMPTS, ...options }: UpdateOptions = NO_OPTIONS,
  ): Promise<Receipt> {
    const { timeoutMs, signal } = options
    for (let attempt = 1; ; attempt++) {
      const held = await this.entry(key, { timeoutMs, signal })
      const value = await change(held?.value)
      const condition = held === undefined ? { ifAbsent: true } : { ifMatch: held.etag }
      try {
        return await this.put(key, value, { ...options, ...condition })
      } catch (error) {
        const overtaken = error instanceof GrapevineError && error.code === 'precondition_failed'
        // In doubt the write may be what is there now: changing it once more would be one change too many.
        if (!overtaken || error.outcome === 'unknown' || attempt >= attempts) throw error
      }
      await sleep(UPDATE_WAIT_MS * attempt * Math.random(), this.#context.connection.signalWith(signal))
    }
  }

  /**
   * The entries in bytewise order of their keys, page by page; when a node fails the next one goes on. Each page is of a
   * later moment than the one before it.
   */
  list(options: ListOptions = NO_OPTIONS): AsyncIterableIterator<ListedEntry<Value>> & AsyncDisposable {
    return listEntries(this.name, this.#codec, this.#context, options)
  }

  /** As `list`, without the values. */
  keys(options: ListOptions = NO_OPTIONS): AsyncIterableIterator<ListedKey> & AsyncDisposable {
    return listKeys(this.name, this.#context, options)
  }

  /**
   * Changes as they become visible on the node that is asked. When it goes away another one is asked, and goes on where
   * that one stopped: every final state comes, some perhaps twice. After a `resync` something may have been missed:
   * list what you watch, and go on. Ends by `break`, by the signal (`aborted`), or with the client.
   */
  watch(options: WatchOptions = NO_OPTIONS): AsyncIterableIterator<Change> & AsyncDisposable {
    return watchBucket(this.name, this.#context.connection, options)
  }

  /** What holds for writes to this bucket that do not say otherwise, as the answering node knows it. */
  policy(options: CallOptions = NO_OPTIONS): Promise<BucketPolicyBody> {
    return this.#context.connection.requestJson(`/v1/buckets/${this.name}`, options)
  }

  /**
   * Sets the policy as a whole: what is not in it ends. It spreads as a write does, and holds at each node for the writes that
   * this one takes from then on; values that are there keep the time they have.
   */
  async setPolicy(
    { ttl }: { readonly ttl?: string | number | null | undefined },
    options: WriteConcernOptions = NO_OPTIONS,
  ): Promise<void> {
    const { connection } = this.#context
    const json: BucketPolicyBody = { ttl: ttl === undefined || ttl === null ? null : checkTtl(ttl) }
    const timeout = nodeTimeout(options.timeoutMs ?? connection.timeoutMs)
    const w = options.w === undefined ? '' : `&w=${options.w}`
    const path = `/v1/buckets/${this.name}?timeout=${timeout}${w}`
    await connection.send(path, { ...options, method: 'PUT', json })
  }

  async #read(key: Key, options: ReadOptions): Promise<OperationResult | undefined> {
    return this.#context.dispatcher.submit({ op: 'get', bucket: this.name, ...fieldsOfKey(key) }, options)
  }

  async #write(operation: Operation, key: KeyFields, options: WriteOptions): Promise<Receipt> {
    const { connection, dispatcher } = this.#context
    const result = await dispatcher.submit(operation, options)
    if (result !== undefined) return new WriteReceipt(result, this.name, key, connection)
    throw new GrapevineError({ code: 'bad_answer', message: 'A write has no answer.', outcome: 'unknown' })
  }
}

const NO_BYTES = new Uint8Array()
