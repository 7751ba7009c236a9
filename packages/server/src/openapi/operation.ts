import { MEDIA_TYPES, PROBLEMS, type ProblemCode } from '@grapevine/contract'
import { Type, type TSchema } from 'typebox'

/** How a method of a path is asked and what it answers. Routes are checked by it, and `/openapi.json` is made of it. */
export interface Operation {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE'
  /** As routes are registered: `/v1/kv/:bucket/*`. */
  readonly pattern: string
  readonly tag: Tag
  readonly summary: string
  readonly description?: string
  /** Promised, and answered with 501 until it is. */
  readonly isBuilt: boolean
  /** GET is answered to HEAD as well, without a body. */
  readonly hasHead: boolean
  readonly query: Readonly<Record<string, TSchema>>
  readonly headers: Readonly<Record<string, TSchema>>
  readonly body?: { readonly schemas: Readonly<Record<string, TSchema>>; readonly required: boolean }
  readonly answers: Readonly<Record<number, AnswerOf>>
  readonly problems: readonly ProblemCode[]
}

export type Tag = 'data' | 'cluster' | 'gossip' | 'inspection' | 'operation' | 'process'

export interface AnswerOf {
  readonly description: string
  readonly headers?: readonly HeaderName[]
  /** By media type. Without any there is no body. */
  readonly schemas?: Readonly<Record<string, TSchema>>
}

/** What whoever asks may hear from any route: what is wrong with the request as such, or with us. */
export const COMMON_PROBLEMS: readonly ProblemCode[] = [
  'bad_request',
  'forbidden',
  'request_timeout',
  'uri_too_long',
  'expectation_failed',
  'headers_too_large',
  'internal',
]

/** Of whatever reads the store. */
export const READ_PROBLEMS: readonly ProblemCode[] = ['io_error', 'not_ready', 'peer_unreachable']
/** Of whatever has to be committed. */
export const WRITE_PROBLEMS: readonly ProblemCode[] = [
  'io_error',
  'not_ready',
  'overloaded',
  'cloned',
  'draining',
  'quorum_not_met',
  'timeout',
  'disk_full',
]

export type HeaderName = keyof typeof ANSWER_HEADERS

export const ANSWER_HEADERS = {
  ETag: Type.String({ description: 'The version, in quotes.' }),
  'Last-Modified': Type.String({ description: 'When the version was made.' }),
  'Grapevine-Acks': Type.String({ pattern: '^\\d+/\\d+$', description: 'Members that hold it durably, of all: 2/3.' }),
  'Grapevine-Expires-At': Type.String({ format: 'date-time' }),
  'Grapevine-Served-By': Type.String({ description: 'Name of the node whose data answered.' }),
  'Grapevine-Session': Type.String({ maxLength: 8_192, description: 'Contains all tokens of the request.' }),
  'Grapevine-Session-Gap': Type.String({ description: '1: dots of an evicted replica that nobody has count as seen.' }),
  'Grapevine-Corrupt-Rows': Type.String({
    description: 'Damaged rows that no other node gave back, and so are not listed.',
  }),
} as const

const text = (description: string, options: object = {}): TSchema => Type.String({ description, ...options })

/** Parameters that more than one operation takes. */
export const QUERY = {
  consistency: Type.Enum(['local', 'session', 'quorum', 'all'], {
    description: 'How many replicas a read asks. `session` is the default with a session header, otherwise `local`.',
  }),
  timeout: text('How long to wait: a duration, 1ms to 1m.'),
  key_encoding: Type.Literal('base64url', { description: 'Keys are base64url: for any bytes.' }),
  w: text('Members that have to hold the write: a number, `quorum` or `all`. Default 1.', {
    pattern: '^(\\d+|quorum|all)$',
  }),
  ttl: text('How long the value lives: `30s`, `15m`, `12h`, `7d`; `none` for ever.'),
  cursor: text('Where the last page ended.'),
  limit: Type.Integer({ minimum: 1, maximum: 1_000, description: 'Default 100.' }),
  prefix: text('Only keys that begin so.'),
} as const

export const REQUEST_HEADERS = {
  'Grapevine-Session': text('Tokens of earlier answers, with commas between them.', { maxLength: 8_192 }),
  'Idempotency-Key': text('Names the write: repeated on the same node it is applied once.'),
  'If-Match': text('The write is done only if the key holds this version, or `*` for any.'),
  'If-None-Match': text('`*`: the write is done only if there is no value. Of a read: 304 if the version is this one.'),
  'Last-Event-ID': text('Goes on after this id, which any node has sent.', { maxLength: 8_192 }),
} as const

type Described = Pick<Operation, 'tag' | 'summary'> & Partial<Omit<Operation, 'method' | 'pattern' | 'hasHead'>>

/** A GET that HEAD is answered for as well. */
export function get(pattern: string, described: Described): Operation {
  return operation('GET', pattern, described, true)
}

export function operation(
  method: Operation['method'],
  pattern: string,
  described: Described,
  hasHead = false,
): Operation {
  return { isBuilt: true, query: {}, headers: {}, problems: [], answers: {}, ...described, method, pattern, hasHead }
}

/** 200 with JSON. */
export function json(schema: TSchema, description: string, headers: readonly HeaderName[] = []): Operation['answers'] {
  return { 200: { description, headers, schemas: { [MEDIA_TYPES.json]: schema } } }
}

export function jsonBody(schema: TSchema, required = true): NonNullable<Operation['body']> {
  return { schemas: { [MEDIA_TYPES.json]: schema }, required }
}

/** The statuses that an operation may answer. */
export function statusesOf({ answers, problems }: Operation): ReadonlySet<number> {
  return new Set([
    ...Object.keys(answers).map(Number),
    ...[...COMMON_PROBLEMS, ...problems].map((code) => PROBLEMS[code].status),
  ])
}
