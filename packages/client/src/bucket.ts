import {
  encodeKeySegment,
  formatDuration,
  HEADERS,
  MEDIA_TYPES,
  parseAcks,
  parseDuration,
  TTL_NONE,
  type Acks,
  type BucketPolicyBody,
  type Consistency,
  type WriteConcern,
} from '@grapevine/contract'
import type { Codec } from './codec.ts'
import type { CallOptions, Connection } from './connection.ts'
import type { Answer } from './contact.ts'
import { GrapevineError } from './grapevine-error.ts'
import { bytesOfKey, type Key } from './key.ts'
import { nodeTimeout } from './node-timeout.ts'
import { listEntries, type ListedEntry, type ListOptions } from './list.ts'

export interface WriteConcernOptions extends CallOptions {
  /** How many members must hold it durably before it counts as done. Default 1: the node that is asked. */
  readonly w?: WriteConcern | undefined
}

export interface WriteOptions extends WriteConcernOptions {
  /** Only if this is the version held by the node that is asked. */
  readonly ifMatch?: string | undefined
  /** Only if there is no value there. */
  readonly ifAbsent?: boolean | undefined
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
  readonly consistency?: Consistency | undefined
}

export interface Receipt {
  /** The version that was written. */
  readonly etag: string
  readonly acks: Acks
  /** The node that wrote. */
  readonly servedBy: string | undefined
}

export interface Entry<Value> {
  readonly value: Value
  readonly etag: string
  readonly contentType: string
  readonly expiresAt: Date | undefined
  readonly lastModified: Date | undefined
  /** The node whose data this is. */
  readonly servedBy: string | undefined
}

/** A group of keys whose values have one codec. */
export class Bucket<Value> {
  readonly name: string
  readonly #codec: Codec<Value>
  readonly #connection: Connection

  constructor(name: string, codec: Codec<Value>, connection: Connection) {
    this.name = name
    this.#codec = codec
    this.#connection = connection
  }

  /** @throws {GrapevineError} whose `outcome` tells whether it may have been written after all. */
  async put(key: Key, value: Value, options: PutOptions = {}): Promise<Receipt> {
    const body = this.#codec.encode(value)
    const contentType = options.contentType ?? this.#codec.contentType
    return this.#write('PUT', key, options, { 'content-type': contentType }, body, options.ttl)
  }

  /** Also when nothing is there: then nothing is there in future either, whoever still has an older value. */
  async delete(key: Key, options: WriteOptions = {}): Promise<Receipt> {
    return this.#write('DELETE', key, options, {}, undefined, undefined)
  }

  /** A missing key is `undefined` and never an error. */
  async get(key: Key, options: ReadOptions = {}): Promise<Value | undefined> {
    const entry = await this.entry(key, options)
    return entry?.value
  }

  /** The value with its version and what else is known of it. */
  async entry(key: Key, options: ReadOptions = {}): Promise<Entry<Value> | undefined> {
    const query = new URLSearchParams()
    if (options.consistency !== undefined) query.set('consistency', options.consistency)
    const answer = await this.#connection
      .request(pathOf(this.name, key, query), { ...options, method: 'GET' })
      .catch(undefinedIfMissing)
    if (answer === undefined) return undefined
    const { headers } = answer
    const contentType = headers.get('content-type') ?? ''
    return {
      value: await this.#codec.decode(answer.body, contentType),
      etag: etagOf(answer),
      contentType,
      expiresAt: dateOf(headers.get(HEADERS.expiresAt)),
      lastModified: dateOf(headers.get('last-modified')),
      servedBy: headers.get(HEADERS.servedBy) ?? undefined,
    }
  }

  /**
   * The bucket's entries in bytewise order of their keys, page by page. Each page is of a later moment than the one
   * before it.
   */
  list(options: ListOptions = {}): AsyncGenerator<ListedEntry<Value>, void, void> {
    return listEntries(this.name, this.#codec, this.#connection, options)
  }

  /** What holds for writes to this bucket that do not say otherwise, as the answering node knows it. */
  policy(options: CallOptions = {}): Promise<BucketPolicyBody> {
    return this.#connection.requestJson(this.#policyPath(), options)
  }

  /**
   * Sets the policy as a whole: what is not in it ends. It spreads as a write does, and holds at each node for the writes that
   * this one takes from then on; values that are there keep the time they have.
   */
  async setPolicy(
    policy: { readonly ttl?: string | number | null | undefined },
    options: WriteConcernOptions = {},
  ): Promise<void> {
    const { ttl } = policy
    const body: BucketPolicyBody = { ttl: ttl === undefined || ttl === null ? null : checkTtl(ttl) }
    const query = new URLSearchParams({ timeout: nodeTimeout(options.timeoutMs ?? this.#connection.timeoutMs) })
    if (options.w !== undefined) query.set('w', String(options.w))
    await this.#connection.request(`${this.#policyPath()}?${query.toString()}`, {
      ...options,
      method: 'PUT',
      headers: { 'content-type': MEDIA_TYPES.json },
      body: new TextEncoder().encode(JSON.stringify(body)),
    })
  }

  #policyPath(): string {
    return `/v1/buckets/${this.name}`
  }

  async #write(
    method: 'PUT' | 'DELETE',
    key: Key,
    options: WriteOptions,
    headers: Record<string, string>,
    body: Uint8Array | undefined,
    ttl: string | number | undefined,
  ): Promise<Receipt> {
    const timeoutMs = options.timeoutMs ?? this.#connection.timeoutMs
    const query = new URLSearchParams({ timeout: nodeTimeout(timeoutMs) })
    if (options.w !== undefined) query.set('w', String(options.w))
    if (ttl !== undefined) query.set('ttl', checkTtl(ttl))
    if (options.ifMatch !== undefined) headers['if-match'] = quoteEtag(options.ifMatch)
    if (options.ifAbsent === true) headers['if-none-match'] = '*'
    const answer = await this.#connection.request(pathOf(this.name, key, query), { ...options, method, headers, body })
    return {
      etag: etagOf(answer),
      acks: parseAcks(answer.headers.get(HEADERS.acks) ?? '') ?? { count: 1, of: 1 },
      servedBy: answer.headers.get(HEADERS.servedBy) ?? undefined,
    }
  }
}

/** The path of a key, in whichever form arrives unharmed. */
export function pathOf(
  bucket: string,
  key: Key,
  query: URLSearchParams = new URLSearchParams(),
  root = '/v1/kv',
): string {
  const { segment, base64url } = encodeKeySegment(bytesOfKey(key))
  if (base64url) query.set('key_encoding', 'base64url')
  return `${root}/${bucket}/${segment}${query.size > 0 ? `?${query.toString()}` : ''}`
}

export function checkTtl(ttl: string | number): string {
  const text = typeof ttl === 'number' ? formatDuration(ttl) : ttl
  if (text === TTL_NONE || parseDuration(text) !== undefined) return text
  const message = `${JSON.stringify(ttl)} is no duration: write it as 30s, 15m, 12h or 7d, or none.`
  throw new GrapevineError({ code: 'bad_argument', message, outcome: 'not-applied' })
}

/** `*` means any version. */
export function quoteEtag(etag: string): string {
  return etag === '*' || etag.startsWith('"') ? etag : `"${etag}"`
}

function undefinedIfMissing(error: unknown): undefined {
  if (error instanceof GrapevineError && error.code === 'not_found') return undefined
  throw error
}

function etagOf({ headers }: Answer): string {
  return (headers.get('etag') ?? '').replace(/^"(.*)"$/, '$1')
}

function dateOf(text: string | null): Date | undefined {
  const date = new Date(text ?? Number.NaN)
  return Number.isNaN(date.getTime()) ? undefined : date
}
