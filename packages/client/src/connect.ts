import { Admin } from './admin.ts'
import { sendBatch, type BatchOperation, type BatchOptions, type BatchOutcome } from './batch.ts'
import { Bucket } from './bucket.ts'
import { bytesCodec, jsonCodec, textCodec, type Codec, type CodecName } from './codec.ts'
import { Connection, type ConnectOptions, type RequestOptions } from './connection.ts'
import type { Answer } from './contact.ts'
import { GrapevineError } from './grapevine-error.ts'
import { checkBucket } from './key.ts'
import { listKeys, type ListedKey, type ListOptions } from './list.ts'

/** A client of one cluster. Close it, or declare it with `await using`. */
export interface Grapevine extends AsyncDisposable {
  /** Values are JSON unless said otherwise. */
  bucket(name: string, options: { readonly codec: 'text' }): Bucket<string>
  bucket(name: string, options: { readonly codec: 'bytes' }): Bucket<Uint8Array>
  bucket<Value>(name: string, options: { readonly codec: Codec<Value> }): Bucket<Value>
  bucket(name: string, options?: { readonly codec?: 'json' }): Bucket<unknown>
  /** Keys with their versions and sizes, without their values. */
  keys(bucket: string, options?: ListOptions): AsyncGenerator<ListedKey, void, void>
  /** Many operations in few requests. Not a transaction: see each outcome. */
  batch(operations: readonly BatchOperation[], options?: BatchOptions): Promise<BatchOutcome[]>
  readonly admin: Admin
  /** Any request of the HTTP interface, with the same failover. Answers of 400 and above are thrown. */
  request(path: string, init?: RequestOptions): Promise<Answer>
  /** Calls that are under way fail with `aborted`, later ones with `closed`. */
  close(): Promise<void>
}

/**
 * Makes a client of the cluster that these nodes belong to. One is enough, more are better: the others are learnt
 * from whoever answers first. Nothing is sent yet, so this succeeds also while no node is up.
 */
export async function connect(endpoints: string | readonly string[], options: ConnectOptions = {}): Promise<Grapevine> {
  const urls = (typeof endpoints === 'string' ? [endpoints] : endpoints).map(checkUrl)
  if (urls.length === 0) throw new GrapevineError({ code: 'bad_argument', message: 'Name at least one endpoint.' })
  return new ConnectedGrapevine(new Connection(urls, options))
}

class ConnectedGrapevine implements Grapevine {
  readonly admin: Admin
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
    this.admin = new Admin(connection)
  }

  bucket(name: string, options: { readonly codec: 'text' }): Bucket<string>
  bucket(name: string, options: { readonly codec: 'bytes' }): Bucket<Uint8Array>
  bucket<Value>(name: string, options: { readonly codec: Codec<Value> }): Bucket<Value>
  bucket(name: string, options?: { readonly codec?: 'json' }): Bucket<unknown>
  bucket<Value>(
    name: string,
    { codec = 'json' }: { readonly codec?: CodecName | Codec<Value> } = {},
  ): AnyBucket<Value> {
    checkBucket(name)
    if (codec === 'json') return new Bucket(name, jsonCodec, this.#connection)
    if (codec === 'text') return new Bucket(name, textCodec, this.#connection)
    if (codec === 'bytes') return new Bucket(name, bytesCodec, this.#connection)
    return new Bucket(name, codec, this.#connection)
  }

  keys(bucket: string, options: ListOptions = {}): AsyncGenerator<ListedKey, void, void> {
    return listKeys(checkBucket(bucket), this.#connection, options)
  }

  batch(operations: readonly BatchOperation[], options: BatchOptions = {}): Promise<BatchOutcome[]> {
    return sendBatch(operations, options, this.#connection)
  }

  request(path: string, init?: RequestOptions): Promise<Answer> {
    return this.#connection.request(path, init)
  }

  close(): Promise<void> {
    return this.#connection.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

type AnyBucket<Value> = Bucket<unknown> | Bucket<string> | Bucket<Uint8Array> | Bucket<Value>

/** Without a slash at its end. */
function checkUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url.href.replace(/\/+$/, '')
  const message = `${JSON.stringify(text)} is no endpoint: write it as http://127.0.0.1:7700.`
  throw new GrapevineError({ code: 'bad_argument', message })
}
