import type { Bucket, Grapevine, Key, Session } from '@grapevine/client'
import { Hookified } from 'hookified'
import {
  keyvStorageCapability,
  type KeyvStorageAdapter,
  type KeyvStorageCapability,
  type KeyvStorageEntry,
  type KeyvStorageGetResult,
} from 'keyv'
import { decodeValue, encodeValue } from './value.ts'

export interface KeyvGrapevineOptions {
  /** The bucket that holds the entries. Default `keyv`. */
  readonly bucket?: string | undefined
  /** Set by Keyv itself when it is given one: the part of the bucket that is meant. */
  readonly namespace?: string | undefined
  /** Between namespace and key. Default `::`. */
  readonly namespaceSeparator?: string | undefined
}

/**
 * A store of Keyv in a Grapevine cluster. Operations of one tick share a request. A failure is a `GrapevineError`, which
 * Keyv emits as `error`.
 */
export class KeyvGrapevine extends Hookified implements KeyvStorageAdapter {
  /** The namespace, which Keyv sets. */
  namespace: string | undefined
  readonly namespaceSeparator: string
  readonly #grapevine: Session | Grapevine
  readonly #bucket: Bucket<Uint8Array>

  /** A client (`disconnect` closes it), or a session of one (whose client stays open). */
  constructor(grapevine: Session | Grapevine, options: KeyvGrapevineOptions = {}) {
    // Whoever listens to nothing is still told by each result.
    super({ throwOnHookError: false, throwOnEmptyListeners: false })
    this.#grapevine = grapevine
    this.#bucket = grapevine.bucket(options.bucket ?? 'keyv', { codec: 'bytes' })
    this.namespace = options.namespace
    this.namespaceSeparator = options.namespaceSeparator ?? '::'
  }

  /** Expiry is absolute, and enforced by the nodes. */
  get capabilities(): KeyvStorageCapability {
    return keyvStorageCapability(this)
  }

  async get<Value>(key: string): Promise<KeyvStorageGetResult<Value>> {
    const entry = await this.#bucket.entry(this.#fullKey(key))
    if (entry === undefined) return undefined
    return decodeValue(entry.value, entry.contentType) as KeyvStorageGetResult<Value>
  }

  /** `expires`: Unix milliseconds. What has expired already is deleted. */
  async set(key: string, value: unknown, expires?: number): Promise<boolean> {
    const ttl = expires === undefined ? undefined : expires - Date.now()
    if (ttl !== undefined && ttl <= 0) {
      await this.#bucket.delete(this.#fullKey(key))
      return true
    }
    const { bytes, contentType } = encodeValue(value)
    // Whole milliseconds, and at least one.
    await this.#bucket.put(this.#fullKey(key), bytes, {
      contentType,
      ...(ttl !== undefined && { ttl: Math.ceil(ttl) }),
    })
    return true
  }

  async setMany<Value>(entries: KeyvStorageEntry<Value>[]): Promise<boolean[]> {
    return this.#each(entries, ({ key, value, expires }) => this.set(key, value, expires))
  }

  /** Whether there was something, as far as the node that answers knew. It is deleted in any case. */
  async delete(key: string): Promise<boolean> {
    const fullKey = this.#fullKey(key)
    // One after the other: a read that is asked again must not find what is deleted meanwhile.
    const held = await this.#bucket.entry(fullKey)
    await this.#bucket.delete(fullKey)
    return held !== undefined
  }

  async deleteMany(keys: string[]): Promise<boolean[]> {
    return this.#each(keys, (key) => this.delete(key))
  }

  async has(key: string): Promise<boolean> {
    return (await this.#bucket.entry(this.#fullKey(key))) !== undefined
  }

  async hasMany(keys: string[]): Promise<boolean[]> {
    return Promise.all(keys.map((key) => this.has(key)))
  }

  async getMany<Value>(keys: string[]): Promise<KeyvStorageGetResult<Value | undefined>[]> {
    return Promise.all(keys.map((key) => this.get<Value>(key)))
  }

  /** What the answering nodes know of while it runs: what is written meanwhile, here or elsewhere, may stay. */
  async clear(): Promise<void> {
    let keys: Key[] = []
    const clearThese = async (): Promise<void> => {
      await Promise.all(keys.map((key) => this.#bucket.delete(key)))
      keys = []
    }
    // None is deleted while the next page is awaited: what fails then would be heard by nobody.
    for await (const { key } of this.#bucket.keys({ prefix: this.#fullKey('') }))
      if (keys.push(key) >= CLEAR_TOGETHER) await clearThese()
    await clearThese()
  }

  /** Keys and values of the namespace, in bytewise order. */
  async *iterator<Value>(): AsyncGenerator<[string, Awaited<Value> | undefined], void> {
    const prefix = this.#fullKey('')
    for await (const { key, value, contentType } of this.#bucket.list({ prefix })) {
      // Keyv's keys are text: what else is in the bucket is not Keyv's.
      if (typeof key === 'string') yield [key.slice(prefix.length), decodeValue(value, contentType) as Awaited<Value>]
    }
  }

  async disconnect(): Promise<void> {
    if ('close' in this.#grapevine) await this.#grapevine.close()
  }

  #fullKey(key: string): string {
    return this.namespace ? this.namespace + this.namespaceSeparator + key : key
  }

  /** All at once, so that they share requests. One that fails is `false`, and told by an `error` event. */
  async #each<Item>(items: readonly Item[], run: (item: Item) => Promise<boolean>): Promise<boolean[]> {
    const results = await Promise.allSettled(items.map(run))
    return results.map((result) => {
      if (result.status === 'fulfilled') return result.value
      this.emit('error', result.reason)
      return false
    })
  }
}

/** As many as fit one batch. */
const CLEAR_TOGETHER = 1_000
