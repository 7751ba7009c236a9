import {
  formatDuration,
  type Acks,
  type KeyFields,
  type VisibilityBody,
  type VisibilityRequest,
} from '@grapevine/contract'
import type { CallOptions, Connection } from './connection.ts'
import { GrapevineError, holdersOf, type Holder } from './grapevine-error.ts'
import { NODE_TIMEOUT_MS_MAX } from './node-timeout.ts'
import type { OperationResult } from './operation.ts'

export interface VisibleOptions extends Omit<CallOptions, 'timeoutMs'> {
  /** `all`: every live replica (default). A number counts members. */
  readonly on?: 'all' | number | undefined
  /** How long to wait, in milliseconds, at most a minute. Default: the client's `timeoutMs`. */
  readonly within?: number | undefined
}

export interface Visibility {
  /** Who holds the version or a newer one, each with its commit time. */
  readonly holders: readonly Holder[]
}

/** What a write that was applied has to show for itself. */
export interface Receipt {
  /** The version that was written. */
  readonly etag: string
  /** Members that hold it durably, of all members, dead or alive, when it was answered. */
  readonly acks: Acks
  /** Name of the node that wrote. */
  readonly servedBy: string | undefined
  /**
   * Resolves when the version, or a newer one of its key, is on `on` replicas, and not earlier.
   * @throws {GrapevineError} `timeout` after `within`, with the `holders` that there are.
   */
  visible(options?: VisibleOptions): Promise<Visibility>
}

/** Beyond `within`: for the way to the node and back, and for another node when this one dies. */
const MARGIN_MS = 1_000

export class WriteReceipt implements Receipt {
  readonly etag: string
  readonly acks: Acks
  readonly servedBy: string | undefined
  readonly #bucket: string
  readonly #key: KeyFields
  readonly #connection: Connection

  constructor({ etag, acks, servedBy }: OperationResult, bucket: string, key: KeyFields, connection: Connection) {
    this.etag = etag
    this.acks = acks ?? { count: 1, of: 1 }
    this.servedBy = servedBy
    this.#bucket = bucket
    this.#key = key
    this.#connection = connection
  }

  async visible({ on = 'all', within, signal }: VisibleOptions = {}): Promise<Visibility> {
    const withinMs = Math.min(within ?? this.#connection.timeoutMs, NODE_TIMEOUT_MS_MAX)
    if (!(withinMs > 0) || (typeof on === 'number' && !(Number.isInteger(on) && on > 0)))
      throw new GrapevineError({ code: 'bad_argument', message: '`on` and `within` must be greater than 0.' })
    const { key, keyEncoding } = this.#key
    const json: VisibilityRequest = {
      bucket: this.#bucket,
      key,
      ...(keyEncoding !== undefined && { keyEncoding }),
      etag: this.etag,
      on,
      within: formatDuration(Math.max(1, withinMs)),
    }
    const body: Partial<VisibilityBody> | null = await this.#connection.requestJson('/v1/visibility', {
      json,
      safe: true,
      asksOthers: true,
      waitMs: withinMs,
      timeoutMs: withinMs + MARGIN_MS,
      signal,
    })
    if (Array.isArray(body?.nodes)) return { holders: holdersOf(body.nodes) }
    throw new GrapevineError({ code: 'bad_answer', message: 'The answer does not say who holds the version.' })
  }
}
