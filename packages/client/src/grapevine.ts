import { sendBatch, type BatchOperation, type BatchOptions, type BatchOutcome } from './batch.ts'
import { Bucket, type BucketContext } from './bucket.ts'
import { bytesCodec, jsonCodec, textCodec, type Codec, type CodecName } from './codec.ts'
import { Connection, type ConnectOptions, type Platform, type RequestOptions } from './connection.ts'
import type { Answer } from './contact.ts'
import { Dispatcher } from './dispatcher.ts'
import { GrapevineError } from './grapevine-error.ts'
import { checkBucket } from './key.ts'
import { listKeys, type ListedKey, type ListOptions } from './list.ts'
import { SessionTokens } from './session-tokens.ts'

/**
 * Data, as one session sees it: reads see what the session has written and read before, on whichever node. A node that
 * is behind waits, and then answers `behind`.
 */
export interface Session {
  /** Values are JSON unless said otherwise. */
  bucket(name: string, options: { readonly codec: 'text' }): Bucket<string>
  bucket(name: string, options: { readonly codec: 'bytes' }): Bucket<Uint8Array>
  bucket<Value, Input>(name: string, options: { readonly codec: Codec<Value, Input> }): Bucket<Value, Input>
  bucket(name: string, options?: { readonly codec?: 'json' }): Bucket<unknown>
  /** Keys of a bucket with their versions and sizes, without their values. */
  keys(bucket: string, options?: ListOptions): AsyncIterableIterator<ListedKey> & AsyncDisposable
  /** Many operations in few requests. Not a transaction: see each outcome. */
  batch(operations: readonly BatchOperation[], options?: BatchOptions): Promise<BatchOutcome[]>
  /**
   * What the session has seen so far, as visible ASCII, to go on with elsewhere; `undefined` before the first answer, and
   * where sessions are off. It grows with what is under way at once, and each answer makes it small again.
   */
  readonly sessionToken: string | undefined
}

/** A client of one cluster, and its default session. Close it, or declare it with `await using`. */
export interface Grapevine extends Session, AsyncDisposable {
  /**
   * Another session over the same connections, going on where `saved` was exported, or from nothing.
   * @throws {GrapevineError} `bad_argument` for a text that is no exported token.
   */
  session(saved?: string): Session
  /** Any request of the HTTP interface, with the same failover. Answers of 400 and above are thrown. */
  request(path: string, init?: RequestOptions): Promise<Answer>
  /** Calls that are under way fail with `aborted`, later ones with `closed`. */
  close(): Promise<void>
}

/**
 * A client on the given platform.
 * @throws {GrapevineError} `bad_argument`.
 */
export function openGrapevine(
  endpoints: string | readonly string[],
  options: ConnectOptions,
  platform: Platform,
): Grapevine {
  const urls = (typeof endpoints === 'string' ? [endpoints] : endpoints).map(checkUrl)
  if (urls.length === 0) throw new GrapevineError({ code: 'bad_argument', message: 'Name at least one endpoint.' })
  const { session = true } = options
  const tokens = session === false ? undefined : new SessionTokens(session === true ? undefined : session)
  return new ConnectedGrapevine(new Connection(urls, options, platform), tokens)
}

class ConnectedSession implements Session {
  readonly #context: BucketContext

  constructor(connection: Connection, session: SessionTokens | undefined) {
    this.#context = { connection, session, dispatcher: new Dispatcher(connection, session) }
  }

  bucket(name: string, options: { readonly codec: 'text' }): Bucket<string>
  bucket(name: string, options: { readonly codec: 'bytes' }): Bucket<Uint8Array>
  bucket<Value, Input>(name: string, options: { readonly codec: Codec<Value, Input> }): Bucket<Value, Input>
  bucket(name: string, options?: { readonly codec?: 'json' }): Bucket<unknown>
  bucket<Value, Input>(
    name: string,
    { codec = 'json' }: { readonly codec?: CodecName | Codec<Value, Input> } = {},
  ): AnyBucket<Value, Input> {
    checkBucket(name)
    if (codec === 'json') return new Bucket(name, jsonCodec, this.#context)
    if (codec === 'text') return new Bucket(name, textCodec, this.#context)
    if (codec === 'bytes') return new Bucket(name, bytesCodec, this.#context)
    return new Bucket(name, codec, this.#context)
  }

  keys(bucket: string, options: ListOptions = {}): AsyncIterableIterator<ListedKey> & AsyncDisposable {
    return listKeys(checkBucket(bucket), this.#context, options)
  }

  batch(operations: readonly BatchOperation[], options: BatchOptions = {}): Promise<BatchOutcome[]> {
    return sendBatch(operations, options, this.#context)
  }

  get sessionToken(): string | undefined {
    return this.#context.session?.text
  }
}

class ConnectedGrapevine extends ConnectedSession implements Grapevine {
  readonly #connection: Connection

  constructor(connection: Connection, session: SessionTokens | undefined) {
    super(connection, session)
    this.#connection = connection
  }

  session(saved?: string): Session {
    return new ConnectedSession(this.#connection, new SessionTokens(saved))
  }

  async request(path: string, init: RequestOptions = {}): Promise<Answer> {
    // A copy: the caller may use its buffer again while we still try. What opens a stream has none to give.
    return this.#connection.request(path, { ...init, body: init.body?.slice() })
  }

  close(): Promise<void> {
    return this.#connection.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

type AnyBucket<Value, Input> = Bucket<unknown> | Bucket<string> | Bucket<Uint8Array> | Bucket<Value, Input>

/** Without a slash at its end. */
function checkUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url.href.replace(/\/+$/, '')
  const message = `${JSON.stringify(text)} is no endpoint: write it as http://127.0.0.1:7700.`
  throw new GrapevineError({ code: 'bad_argument', message })
}
