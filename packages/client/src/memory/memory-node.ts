import {
  bytesOfKeyFields,
  decodeBase64,
  decodeBase64Url,
  decodeUtf8,
  encodeBase64,
  encodeUtf8,
  formatAcks,
  HEADERS,
  isBucketName,
  isIdempotencyKey,
  KEY_BYTES_MAX,
  keyFieldsOf,
  LIST_LIMIT_DEFAULT,
  LIST_LIMIT_MAX,
  MEDIA_TYPES,
  OTHER_MEDIA_TYPES,
  parseDuration,
  parseSessionHeader,
  parseWriteConcern,
  problemOf,
  TTL_NONE,
  type BatchOp,
  type BatchRequest,
  type BatchResult,
  type BucketPolicyBody,
  type KeyFields,
  type ListBody,
  type Problem,
  type ProblemCode,
  type SessionBody,
  type SessionRequest,
  type VisibilityBody,
  type VisibilityProblem,
  type VisibilityRequest,
} from '@grapevine/contract'
import { TIMER_MS_MAX, type AnswerHeaders } from '../contact.ts'
import { randomText } from '../write-id.ts'
import { Feed } from './feed.ts'
import { byteKeyOf, bytesOfByteKey, Rows, type ByteKey, type Row } from './rows.ts'

export interface NodeRequest {
  readonly method: string
  readonly path: string
  readonly headers: AnswerHeaders
  readonly body: Uint8Array
  /** Fires when whoever asked has gone: a watch ends then. */
  readonly signal?: AbortSignal
}

export interface NodeAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
  readonly events?: ReadableStream<Uint8Array>
}

const NAME = 'memory'
/** As a node's default. */
const VALUE_BYTES_MAX = 1024 * 1024
/** As many receipts as a program under test will ever look back. */
const RECEIPTS_MAX = 10_000

type Operation = BatchOp<Uint8Array>

interface Receipt {
  readonly fingerprint: string
  readonly result: BatchResult<Uint8Array>
}

/**
 * A cluster of one in memory: what a node answers to the requests that the client makes, without sockets and disks.
 * It is the counterpart for tests, so it is strict where a node is.
 */
export class MemoryNode {
  readonly #instance = randomText(6)
  readonly #rows = new Rows()
  readonly #feed = new Feed(NAME, `${this.#instance}.`)
  readonly #receipts = new Map<string, Receipt>()
  /** Times to live that hold where a put names none. */
  readonly #ttls = new Map<string, string>()
  readonly #nowMs: () => number
  #sequence = 0
  #expiry: ReturnType<typeof setTimeout> | undefined

  /** `nowMs`: the clock by which values expire. */
  constructor({ nowMs = Date.now }: { readonly nowMs?: (() => number) | undefined } = {}) {
    this.#nowMs = nowMs
  }

  /** How many watches are open. */
  get watchers(): number {
    return this.#feed.watchers
  }

  handle({ method, path, headers, body, signal }: NodeRequest): NodeAnswer {
    try {
      const url = new URL(path, 'http://memory')
      const session = headers.get(HEADERS.session)
      if (session !== null) this.#join(parseSessionHeader(session) ?? [''])
      const [, version, what, bucket = '', ...rest] = url.pathname.split('/')
      if (version !== 'v1') throw new Refused('not_found', 'There is nothing here.')
      if (what === 'kv' && rest.length > 0) return this.#key(method, url, bucket, rest.join('/'), headers, body)
      if (what === 'kv' && method === 'GET')
        return this.#withSession(ok(this.#list(checkBucket(bucket), url.searchParams)))
      if (what === 'watch' && method === 'GET') return this.#watch(checkBucket(bucket), url, headers, signal)
      if (what === 'buckets') return this.#policy(method, checkBucket(bucket), body)
      if (what === 'batch' && method === 'POST') return this.#batch(parseJson(body))
      if (what === 'session' && method === 'POST') return ok(this.#joined(parseJson(body)))
      if (what === 'visibility' && method === 'POST') return this.#visibility(parseJson(body))
      throw new Refused('not_found', 'There is nothing here.')
    } catch (error) {
      if (error instanceof Refused) return problemAnswer(error.problem(method === 'GET' ? undefined : 'not-applied'))
      throw error
    }
  }

  /** Ends all watches, as a node does that is going away. Those who watch come back. */
  endWatches(): void {
    this.#feed.endAll()
  }

  #key(
    method: string,
    url: URL,
    bucket: string,
    segment: string,
    headers: AnswerHeaders,
    body: Uint8Array,
  ): NodeAnswer {
    const query = url.searchParams
    const bytes = keyBytes(query, decodeURIComponent(segment))
    const where = { bucket, ...keyFieldsOf(bytes ?? new Uint8Array()) }
    const id = headers.get(HEADERS.idempotencyKey)
    const ifMatch = headers.get('if-match')?.replaceAll('"', '')
    const ttl = query.get('ttl')
    const condition = {
      ...(id !== null && { id }),
      ...(ifMatch !== undefined && { ifMatch }),
      ...(headers.get('if-none-match') === '*' && { ifAbsent: true }),
    }
    const operation: Operation | undefined =
      method === 'GET'
        ? { op: 'get', ...where }
        : method === 'DELETE'
          ? { op: 'delete', ...where, ...condition }
          : method === 'PUT'
            ? {
                op: 'put',
                ...where,
                value: body,
                contentType: headers.get('content-type') ?? MEDIA_TYPES.bytes,
                ...(ttl !== null && { ttl }),
                ...condition,
              }
            : undefined
    if (operation === undefined) throw new Refused('method_not_allowed', 'GET, PUT or DELETE.')
    checkConcern(query.get('w'))
    const result = this.#run(operation)
    if (result.problem !== undefined) return this.#withSession(problemAnswer(result.problem))
    const { status, etag = '', acks, value = new Uint8Array(), contentType, expiresAt, lastModified } = result
    return this.#withSession({
      status,
      headers: {
        etag: `"${etag}"`,
        [HEADERS.servedBy]: NAME,
        ...(acks !== undefined && { [HEADERS.acks]: formatAcks(acks) }),
        ...(contentType !== undefined && { 'content-type': contentType }),
        ...(expiresAt !== undefined && { [HEADERS.expiresAt]: expiresAt }),
        ...(lastModified !== undefined && { 'last-modified': new Date(lastModified).toUTCString() }),
      },
      body: value,
    })
  }

  #batch(request: BatchRequest): NodeAnswer {
    if (!Array.isArray(request.ops)) throw new Refused('bad_body', 'The body needs "ops".')
    checkConcern(request.w === undefined ? null : String(request.w))
    const results = request.ops.map((op) => {
      const { value, ...result } = this.#run(op.op === 'put' ? { ...op, value: decodeBase64(op.value) ?? NOTHING } : op)
      return value === undefined ? result : { ...result, value: encodeBase64(value) }
    })
    return this.#withSession({ ...ok({ results }), headers: { ...JSON_HEADERS, [HEADERS.servedBy]: NAME } })
  }

  #run(operation: Operation): BatchResult<Uint8Array> {
    try {
      checkBucket(operation.bucket)
      const key = byteKeyOf(checkKey(operation))
      return operation.op === 'get' ? this.#read(operation.bucket, key) : this.#write(operation, key)
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      const problem = error.problem(operation.op === 'get' ? undefined : 'not-applied')
      return { status: problem.status, problem }
    }
  }

  #read(bucket: string, key: ByteKey): BatchResult<Uint8Array> {
    const row = this.#live(bucket, key)
    if (row?.value === undefined) throw new Refused('not_found', 'This key has no value.')
    const { value, contentType, etag, expiresAtMs, modifiedMs } = row
    return {
      status: 200,
      etag,
      value: value.slice(),
      contentType,
      lastModified: new Date(modifiedMs).toISOString(),
      ...(expiresAtMs > 0 && { expiresAt: new Date(expiresAtMs).toISOString() }),
    }
  }

  #write(operation: Operation & { readonly op: 'put' | 'delete' }, key: ByteKey): BatchResult<Uint8Array> {
    const { id, bucket, ifMatch, ifAbsent } = operation
    const fingerprint = fingerprintOf(operation)
    if (id !== undefined) {
      if (!isIdempotencyKey(id)) throw new Refused('bad_header', 'This is no idempotency key.')
      const receipt = this.#receipts.get(id)
      if (receipt !== undefined && receipt.fingerprint !== fingerprint)
        throw new Refused('idempotency_mismatch', 'The idempotency key was used for another request.')
      if (receipt !== undefined) return receipt.result
    }
    const held = this.#live(bucket, key)
    const present = held?.value !== undefined
    if ((ifAbsent === true && present) || (ifMatch !== undefined && !(present && ['*', held.etag].includes(ifMatch))))
      throw new Refused('precondition_failed', 'The key does not hold what the condition asks for.')
    const result = this.#commit(operation, key)
    if (id !== undefined) this.#remember(id, { fingerprint, result })
    return result
  }

  #commit(operation: Operation & { readonly op: 'put' | 'delete' }, key: ByteKey): BatchResult<Uint8Array> {
    const { op, bucket } = operation
    const nowMs = this.#nowMs()
    let expiresAtMs = 0
    if (op === 'put' && operation.value.length > VALUE_BYTES_MAX)
      throw new Refused('too_large', `The value may have at most ${VALUE_BYTES_MAX} bytes.`)
    const ttl = op === 'put' ? (operation.ttl ?? this.#ttls.get(bucket) ?? TTL_NONE) : TTL_NONE
    if (ttl !== TTL_NONE) {
      const ttlMs = parseDuration(ttl)
      if (ttlMs === undefined || ttlMs < 1) throw new Refused('bad_query', 'ttl must be a duration.')
      expiresAtMs = nowMs + ttlMs
    }
    const etag = `${this.#instance}.${++this.#sequence}`
    this.#rows.set(bucket, key, {
      value: op === 'put' ? operation.value.slice() : undefined,
      contentType: op === 'put' ? (operation.contentType ?? MEDIA_TYPES.bytes) : '',
      expiresAtMs,
      etag,
      modifiedMs: nowMs,
    })
    this.#feed.add({ type: op, bucket, key, etag })
    this.#awaitExpiry()
    return {
      status: 204,
      etag,
      acks: { count: 1, of: 1 },
      ...(expiresAtMs > 0 && { expiresAt: new Date(expiresAtMs).toISOString() }),
    }
  }

  #remember(id: string, receipt: Receipt): void {
    this.#receipts.set(id, receipt)
    const [oldest] = this.#receipts.keys()
    if (this.#receipts.size > RECEIPTS_MAX && oldest !== undefined) this.#receipts.delete(oldest)
  }

  /** The row, unless it has expired. */
  #live(bucket: string, key: ByteKey): Row | undefined {
    const row = this.#rows.get(bucket, key)
    if (row?.value === undefined || row.expiresAtMs === 0 || row.expiresAtMs > this.#nowMs()) return row
    return this.#expire(bucket, key, row)
  }

  #expire(bucket: string, key: ByteKey, row: Row): Row {
    const expired = { ...row, value: undefined, expiresAtMs: 0 }
    this.#rows.set(bucket, key, expired)
    this.#feed.add({ type: 'expire', bucket, key, etag: row.etag })
    return expired
  }

  /** Somebody who watches is to hear of an expiry without anybody reading. */
  #awaitExpiry(): void {
    clearTimeout(this.#expiry)
    if (this.#feed.watchers === 0) return
    const nowMs = this.#nowMs()
    let nextMs = Infinity
    for (const [bucket, key, row] of this.#rows.all()) {
      if (row.expiresAtMs > nowMs) nextMs = Math.min(nextMs, row.expiresAtMs)
      else if (row.expiresAtMs > 0) this.#expire(bucket, key, row)
    }
    if (nextMs === Infinity) return
    const expiry = setTimeout(() => this.#awaitExpiry(), Math.min(nextMs - nowMs, TIMER_MS_MAX))
    // Where it can, it keeps no process alive: who watches does, for as long as they do.
    if (typeof expiry === 'object') (expiry as { unref?: () => void }).unref?.()
    this.#expiry = expiry
  }

  #list(bucket: string, query: URLSearchParams): ListBody {
    const bound = (name: string): ByteKey | undefined => {
      const text = query.get(name)
      const bytes = text === null ? undefined : (keyBytes(query, text) ?? new Uint8Array())
      return bytes && byteKeyOf(bytes)
    }
    const [prefix = '', start = '', end, cursor] = [bound('prefix'), bound('start'), bound('end'), query.get('cursor')]
    const limit = Number(query.get('limit') ?? LIST_LIMIT_DEFAULT)
    if (!Number.isInteger(limit) || limit < 1 || limit > LIST_LIMIT_MAX) throw new Refused('bad_query', 'limit')
    const reverse = query.get('reverse') === 'true'
    const from = cursor === null ? undefined : decodeBase64Url(cursor)
    if (cursor !== null && from === undefined) throw new Refused('bad_query', 'This is no cursor.')
    const last = from && byteKeyOf(from)
    const found = this.#rows.sorted(bucket).filter(([key]) => {
      if (!key.startsWith(prefix) || key < start || (end !== undefined && key >= end)) return false
      if (last !== undefined && (reverse ? key >= last : key <= last)) return false
      return this.#live(bucket, key)?.value !== undefined
    })
    const ordered = reverse ? found.toReversed() : found
    const page = ordered.slice(0, limit)
    const lastKey = page.at(-1)?.[0]
    const more = ordered.length > limit && lastKey !== undefined
    return {
      items: page.map(([key, { etag, value = NOTHING, contentType, expiresAtMs }]) => ({
        ...keyFieldsOf(bytesOfByteKey(key)),
        etag,
        size: value.length,
        contentType,
        ...(expiresAtMs > 0 && { expiresAt: new Date(expiresAtMs).toISOString() }),
        ...(query.get('include') === 'value' && { value: encodeBase64(value) }),
      })),
      cursor: more ? encodeBase64UrlOf(lastKey) : null,
      complete: !more,
    }
  }

  #watch(bucket: string, url: URL, headers: AnswerHeaders, signal: AbortSignal | undefined): NodeAnswer {
    const prefix = byteKeyOf(keyBytes(url.searchParams, url.searchParams.get('prefix') ?? '') ?? NOTHING)
    const events = this.#feed.watch(bucket, prefix, headers.get(HEADERS.lastEventId) ?? undefined, signal)
    this.#awaitExpiry()
    return { status: 200, headers: { 'content-type': MEDIA_TYPES.eventStream }, body: NOTHING, events }
  }

  #policy(method: string, bucket: string, body: Uint8Array): NodeAnswer {
    if (method === 'GET') return ok({ ttl: this.#ttls.get(bucket) ?? null } satisfies BucketPolicyBody)
    if (method !== 'PUT') throw new Refused('method_not_allowed', 'GET or PUT.')
    const { ttl }: BucketPolicyBody = parseJson(body)
    if (typeof ttl === 'string') this.#ttls.set(bucket, ttl)
    else this.#ttls.delete(bucket)
    return { status: 204, headers: {}, body: NOTHING }
  }

  #visibility({ bucket, on, ...key }: VisibilityRequest): NodeAnswer {
    const row = this.#rows.get(checkBucket(bucket), byteKeyOf(checkKey(key)))
    const nodes =
      row === undefined
        ? []
        : [{ name: NAME, nodeId: this.#instance, committedAt: new Date(row.modifiedMs).toISOString() }]
    if (nodes.length >= (on === 'all' ? 1 : on)) return ok({ nodes } satisfies VisibilityBody)
    const problem = new Refused('timeout', 'There are not so many nodes.').problem(undefined)
    return problemAnswer({ ...problem, nodes } satisfies VisibilityProblem)
  }

  #joined({ tokens }: SessionRequest): SessionBody {
    if (!Array.isArray(tokens)) throw new Refused('bad_body', 'The body needs "tokens".')
    return { token: this.#tokenAt(this.#join(tokens)) }
  }

  /** The greatest of them. There is one node, so it has all that any of them has seen. */
  #join(tokens: readonly string[]): number {
    const seen = tokens.map((token) => {
      const sequence = Number(token.slice(this.#instance.length + 1))
      if (token.startsWith(`${this.#instance}.`) && Number.isSafeInteger(sequence)) return sequence
      throw new Refused('bad_header', 'This is no token of a session with this cluster.')
    })
    return Math.max(0, ...seen)
  }

  #tokenAt(sequence: number): string {
    return `${this.#instance}.${sequence}`
  }

  #withSession(answer: NodeAnswer): NodeAnswer {
    return { ...answer, headers: { ...answer.headers, [HEADERS.session]: this.#tokenAt(this.#sequence) } }
  }
}

function fingerprintOf(operation: Operation): string {
  return JSON.stringify(operation.op === 'put' ? { ...operation, value: encodeBase64(operation.value) } : operation)
}

class Refused extends Error {
  readonly #code: ProblemCode

  constructor(code: ProblemCode, detail: string) {
    super(detail)
    this.#code = code
  }

  problem(outcome: 'not-applied' | undefined): Problem {
    const details = { detail: this.message, traceId: 'memory', ...(outcome !== undefined && { outcome }) }
    return problemOf(this.#code, details)
  }
}

const NOTHING = new Uint8Array()
const JSON_HEADERS = { 'content-type': MEDIA_TYPES.json }

function ok(body: unknown): NodeAnswer {
  return { status: 200, headers: JSON_HEADERS, body: encodeUtf8(JSON.stringify(body)) ?? NOTHING }
}

export function problemAnswer(problem: Problem | VisibilityProblem): NodeAnswer {
  const body = encodeUtf8(JSON.stringify(problem)) ?? NOTHING
  return { status: problem.status, headers: { 'content-type': OTHER_MEDIA_TYPES.problem }, body }
}

/** Read loosely: what the client sends is typed, and each field that matters is looked at where it is used. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- It names what is expected.
function parseJson<Body>(body: Uint8Array): Body {
  try {
    const value: unknown = JSON.parse(decodeUtf8(body) ?? '')
    if (typeof value === 'object' && value !== null) return value as Body
  } catch {
    // Said below.
  }
  throw new Refused('bad_body', 'The body is no JSON object.')
}

function keyBytes(query: URLSearchParams, text: string): Uint8Array | undefined {
  return query.get('key_encoding') === 'base64url' ? decodeBase64Url(text) : encodeUtf8(text)
}

function checkBucket(name: string): string {
  if (isBucketName(name)) return name
  throw new Refused('bad_bucket', 'This is no bucket name.')
}

function checkKey(fields: KeyFields): Uint8Array {
  const bytes = bytesOfKeyFields(fields)
  if (bytes !== undefined && bytes.length >= 1 && bytes.length <= KEY_BYTES_MAX) return bytes
  throw new Refused('bad_key', `A key is 1 to ${KEY_BYTES_MAX} bytes long.`)
}

function checkConcern(w: string | null): void {
  const concern = w === null ? 1 : parseWriteConcern(w)
  if (concern === undefined || (typeof concern === 'number' && concern > 1))
    throw new Refused('bad_query', 'w: there is one member.')
}

function encodeBase64UrlOf(key: ByteKey): string {
  return encodeBase64(bytesOfByteKey(key)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}
