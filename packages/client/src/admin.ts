import {
  encodeKeySegment,
  MEDIA_TYPES,
  type AntiEntropyRequest,
  type ClusterBody,
  type ConfigBody,
  type DiffBody,
  type DivergenceBody,
  type ExchangeBody,
  type ExchangesBody,
  type InspectBody,
  type MembersBody,
  type PauseBody,
  type PauseRequest,
  type RoutingBody,
} from '@grapevine/contract'
import type { CallOptions, Connection } from './connection.ts'
import { GrapevineError } from './grapevine-error.ts'
import { bytesOfKey, type Key } from './key.ts'

export interface DiffOptions extends CallOptions {
  readonly cursor?: string | undefined
  readonly limit?: number | undefined
}

/**
 * Questions to the node that answers: what it thinks of the cluster, and what it is to do. With more than one
 * endpoint that is any of them; to speak to a certain node connect to it alone, with `discover: false`.
 */
export class Admin {
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
  }

  cluster(options: CallOptions = {}): Promise<ClusterBody> {
    return this.#connection.requestJson('/v1/cluster', { ...options, asksOthers: true })
  }

  members(options: CallOptions = {}): Promise<MembersBody> {
    return this.#connection.requestJson('/v1/cluster/members', options)
  }

  routing(options: CallOptions = {}): Promise<RoutingBody> {
    return this.#connection.requestJson('/v1/cluster/routing', options)
  }

  divergence(options: CallOptions & { readonly depth?: number | undefined } = {}): Promise<DivergenceBody> {
    const query = queryText({ depth: options.depth })
    return this.#connection.requestJson(`/v1/admin/divergence${query}`, { ...options, asksOthers: true })
  }

  /** One page of the keys in which the answering node (`a`) and another one (`b`) differ. */
  diff(withNode: string, options: DiffOptions = {}): Promise<DiffBody> {
    const query = queryText({ with: withNode, cursor: options.cursor, limit: options.limit })
    return this.#connection.requestJson(`/v1/admin/diff${query}`, { ...options, asksOthers: true })
  }

  /** One key on every replica, side by side. */
  inspect(bucket: string, key: Key, options: CallOptions = {}): Promise<InspectBody> {
    const { segment, base64url } = encodeKeySegment(bytesOfKey(key))
    const query = queryText({ key_encoding: base64url ? 'base64url' : undefined })
    const path = `/v1/admin/keys/${bucket}/${segment}${query}`
    return this.#connection.requestJson(path, { ...options, asksOthers: true })
  }

  /** One exchange of the answering node, now. Doing it twice does no harm. */
  antiEntropy(withNode?: string, options: CallOptions = {}): Promise<ExchangeBody> {
    const json: AntiEntropyRequest = withNode === undefined ? {} : { with: withNode }
    return this.#connection.requestJson('/v1/admin/anti-entropy', { ...options, json, safe: true })
  }

  exchanges(options: CallOptions = {}): Promise<ExchangesBody> {
    return this.#connection.requestJson('/v1/admin/anti-entropy', options)
  }

  config(options: CallOptions = {}): Promise<ConfigBody> {
    return this.#connection.requestJson('/v1/admin/config', options)
  }

  pause(what: PauseRequest['what'], options: CallOptions = {}): Promise<PauseBody> {
    return this.#connection.requestJson('/v1/admin/pause', { ...options, json: { what } satisfies PauseRequest })
  }

  resume(what: PauseRequest['what'], options: CallOptions = {}): Promise<PauseBody> {
    return this.#connection.requestJson('/v1/admin/resume', { ...options, json: { what } satisfies PauseRequest })
  }

  /** All entries of one moment, as a stream that takes as long as it takes: the time-out is for its beginning. */
  async snapshot(options: CallOptions = {}): Promise<ReadableStream<Uint8Array>> {
    const { stream, status } = await this.#connection.request('/v1/admin/snapshot', {
      ...options,
      headers: { accept: MEDIA_TYPES.snapshot },
      stream: true,
    })
    if (stream !== undefined) return stream
    throw new GrapevineError({ code: 'bad_answer', status, message: 'The snapshot has no body.' })
  }
}

function queryText(fields: Readonly<Record<string, string | number | undefined>>): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) query.set(name, String(value))
  return query.size > 0 ? `?${query.toString()}` : ''
}
