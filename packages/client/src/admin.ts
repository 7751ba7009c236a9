import {
  decodeUtf8,
  encodeKeySegment,
  encodeUtf8,
  MEDIA_TYPES,
  OTHER_MEDIA_TYPES,
  type AntiEntropyRequest,
  type ClusterBody,
  type ConfigBody,
  type DiffBody,
  type DivergenceBody,
  type ExchangeBody,
  type ExchangesBody,
  type InspectBody,
  type LeaveBody,
  type MembersBody,
  type PauseBody,
  type PauseRequest,
  type RestoreBody,
  type RoutingBody,
  type EvictBody,
  type ScrubBody,
  type TombstoneExplainBody,
  type TombstonesBody,
} from '@grapevine/contract'
import type { CallOptions, RequestOptions } from './connection.ts'
import type { BodyOpener } from './contact.ts'
import { connect as connectClient, type FetchOptions } from './connect.ts'
import type { Grapevine as DataGrapevine } from './grapevine.ts'
import { GrapevineError } from './grapevine-error.ts'
import { bytesOfKey, type Key } from './key.ts'

/** A client with the questions of an operator. */
export interface Grapevine extends DataGrapevine {
  readonly admin: Admin
}

/** As `connect` of the entry for every platform, with `admin` beside the data. */
export async function connect(endpoints: string | readonly string[], options: FetchOptions = {}): Promise<Grapevine> {
  const grapevine = await connectClient(endpoints, { ...options, fetch: streaming(options.fetch ?? globalThis.fetch) })
  return Object.assign(grapevine, { admin: new Admin(grapevine) })
}

/** A `fetch` that also sends streams, opened anew each time: no other entry has any, and every page would carry it. */
function streaming(platformFetch: typeof fetch): typeof fetch {
  return (input, init) => {
    const body: unknown = init?.body
    if (typeof body !== 'function') return platformFetch(input, init)
    const streamed: RequestInit & { readonly duplex: 'half' } = {
      ...init,
      body: (body as () => BodyInit)(),
      duplex: 'half',
    }
    return platformFetch(input, streamed)
  }
}

export interface DiffOptions extends CallOptions {
  readonly cursor?: string | undefined
  readonly limit?: number | undefined
}

export interface RestoreOptions extends CallOptions {
  /** Writes entries anew, as fresh versions, also those that were deleted since. */
  readonly asNew?: boolean | undefined
  /** Of what is written anew: only what the cluster can take in no other way, after all else was taken in. */
  readonly quarantined?: boolean | undefined
  /** Of what is written anew: in this bucket, */
  readonly bucket?: string | undefined
  /** with keys that begin so, */
  readonly prefix?: string | undefined
  /** that have no value now. */
  readonly absent?: boolean | undefined
  /** The id of a cluster that this one was begun from: its snapshots are taken in like our own. */
  readonly cluster?: string | undefined
}

/** Taking in a snapshot takes as long as it takes. */
const RESTORE_TIMEOUT_MS = 24 * 60 * 60 * 1000

/**
 * Questions to the node that answers: what it thinks of the cluster, and what it is to do. With more than one
 * endpoint that is any of them; to speak to a certain node connect to it alone, with `discover: false`.
 */
export class Admin {
  readonly #grapevine: DataGrapevine

  constructor(grapevine: DataGrapevine) {
    this.#grapevine = grapevine
  }

  cluster(options: CallOptions = {}): Promise<ClusterBody> {
    return requestJson(this.#grapevine, '/v1/cluster', { ...options, asksOthers: true })
  }

  members(options: CallOptions = {}): Promise<MembersBody> {
    return requestJson(this.#grapevine, '/v1/cluster/members', options)
  }

  routing(options: CallOptions = {}): Promise<RoutingBody> {
    return requestJson(this.#grapevine, '/v1/cluster/routing', options)
  }

  divergence(options: CallOptions & { readonly depth?: number | undefined } = {}): Promise<DivergenceBody> {
    const query = queryText({ depth: options.depth })
    return requestJson(this.#grapevine, `/v1/admin/divergence${query}`, { ...options, asksOthers: true })
  }

  /** One page of the keys in which the answering node (`a`) and another one (`b`) differ. */
  diff(withNode: string, options: DiffOptions = {}): Promise<DiffBody> {
    const query = queryText({ with: withNode, cursor: options.cursor, limit: options.limit })
    return requestJson(this.#grapevine, `/v1/admin/diff${query}`, { ...options, asksOthers: true })
  }

  /** One key on every replica, side by side. */
  inspect(bucket: string, key: Key, options: CallOptions = {}): Promise<InspectBody> {
    const { segment, base64url } = encodeKeySegment(bytesOfKey(key))
    const query = queryText({ key_encoding: base64url ? 'base64url' : undefined })
    const path = `/v1/admin/keys/${bucket}/${segment}${query}`
    return requestJson(this.#grapevine, path, { ...options, asksOthers: true })
  }

  /** What waits to be purged on every node, and who holds the frontier back. */
  tombstones(options: CallOptions = {}): Promise<TombstonesBody> {
    return requestJson(this.#grapevine, '/v1/admin/tombstones', { ...options, asksOthers: true })
  }

  /** What became of a deleted or expired key, and why that is safe. */
  explainTombstone(bucket: string, key: Key, options: CallOptions = {}): Promise<TombstoneExplainBody> {
    const { segment, base64url } = encodeKeySegment(bytesOfKey(key))
    const query = queryText({ key_encoding: base64url ? 'base64url' : undefined })
    const path = `/v1/admin/tombstones/explain/${bucket}/${segment}${query}`
    return requestJson(this.#grapevine, path, { ...options, asksOthers: true })
  }

  /** One exchange of the answering node, now. Doing it twice does no harm. */
  antiEntropy(withNode?: string, options: CallOptions = {}): Promise<ExchangeBody> {
    const json: AntiEntropyRequest = withNode === undefined ? {} : { with: withNode }
    return requestJson(this.#grapevine, '/v1/admin/anti-entropy', { ...options, json, safe: true })
  }

  exchanges(options: CallOptions = {}): Promise<ExchangesBody> {
    return requestJson(this.#grapevine, '/v1/admin/anti-entropy', options)
  }

  /** Begins to read and check everything on the answering node; while one is under way, another call is only a look. */
  scrub(options: CallOptions = {}): Promise<ScrubBody> {
    return requestJson(this.#grapevine, '/v1/admin/scrub', { ...options, json: {}, safe: true })
  }

  scrubReport(options: CallOptions = {}): Promise<ScrubBody> {
    return requestJson(this.#grapevine, '/v1/admin/scrub', options)
  }

  /** Ends a member's membership for good. `alone` says that the answering node may be the only one left. */
  evict(node: string, options: CallOptions & { readonly alone?: boolean | undefined } = {}): Promise<EvictBody> {
    const query = queryText({ alone: options.alone === true ? 1 : undefined })
    const path = `/v1/admin/evict/${encodeURIComponent(node)}${query}`
    return requestJson(this.#grapevine, path, { ...options, json: {}, safe: true })
  }

  /**
   * Ends the answering node's own membership; its process ends too. `withinMs`: how long another member may take to get all that
   * it holds; then it goes on as a member.
   */
  leave(options: CallOptions & { readonly withinMs?: number | undefined } = {}): Promise<LeaveBody> {
    const { withinMs } = options
    const query = queryText({ timeout: withinMs === undefined ? undefined : `${withinMs}ms` })
    return requestJson(this.#grapevine, `/v1/admin/leave${query}`, { ...options, json: {} })
  }

  config(options: CallOptions = {}): Promise<ConfigBody> {
    return requestJson(this.#grapevine, '/v1/admin/config', options)
  }

  pause(what: PauseRequest['what'], options: CallOptions = {}): Promise<PauseBody> {
    return requestJson(this.#grapevine, '/v1/admin/pause', { ...options, json: { what } satisfies PauseRequest })
  }

  resume(what: PauseRequest['what'], options: CallOptions = {}): Promise<PauseBody> {
    return requestJson(this.#grapevine, '/v1/admin/resume', { ...options, json: { what } satisfies PauseRequest })
  }

  /** All entries of one moment, as a stream that takes as long as it takes: the time-out is for its beginning. */
  async snapshot(options: CallOptions = {}): Promise<ReadableStream<Uint8Array>> {
    const { stream, status } = await this.#grapevine.request('/v1/admin/snapshot', {
      ...options,
      headers: { accept: OTHER_MEDIA_TYPES.snapshot },
      stream: true,
    })
    if (stream !== undefined) return stream
    throw new GrapevineError({ code: 'bad_answer', status, message: 'The snapshot has no body.' })
  }

  /**
   * Takes a snapshot into the running cluster: what it has seen deleted stays deleted. Doing it twice does no harm, but where
   * entries are written anew.
   * @param open is called for each attempt, and gives the bytes from their beginning.
   */
  restore(open: () => ReadableStream<Uint8Array>, options: RestoreOptions = {}): Promise<RestoreBody> {
    const { asNew, quarantined, bucket, prefix, absent, cluster, ...call } = options
    const flag = (isSo: boolean | undefined): number | undefined => (isSo === true ? 1 : undefined)
    const query = queryText({
      asNew: flag(asNew),
      quarantined: flag(quarantined),
      bucket,
      prefix,
      absent: flag(absent),
      cluster,
    })
    const opener: BodyOpener = Object.assign(() => open(), { slice: () => opener })
    return requestJson(this.#grapevine, `/v1/admin/restore${query}`, {
      timeoutMs: RESTORE_TIMEOUT_MS,
      ...call,
      method: 'POST',
      body: opener,
      contentType: OTHER_MEDIA_TYPES.snapshot,
    })
  }
}

async function requestJson<Body>(
  grapevine: DataGrapevine,
  path: string,
  { json, contentType, ...init }: RequestOptions & { readonly json?: unknown; readonly contentType?: string },
): Promise<Body> {
  const asked = json === undefined ? {} : { method: 'POST', body: encodeUtf8(JSON.stringify(json)) }
  const type = contentType ?? (json === undefined ? undefined : MEDIA_TYPES.json)
  const headers = { accept: MEDIA_TYPES.json, ...(type !== undefined && { 'content-type': type }) }
  const answer = await grapevine.request(path, { ...asked, ...init, headers })
  try {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- A node that speaks JSON is taken at its word.
    return JSON.parse(decodeUtf8(answer.body) ?? '') as Body
  } catch (cause) {
    const message = 'The answer is not JSON.'
    throw new GrapevineError({ code: 'bad_answer', status: answer.status, message, cause })
  }
}

function queryText(fields: Readonly<Record<string, string | number | undefined>>): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) query.set(name, String(value))
  return query.size > 0 ? `?${query.toString()}` : ''
}
