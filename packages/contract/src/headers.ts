/** Header names, in the case in which they are documented; HTTP does not mind. */
export const HEADERS = {
  acks: 'Grapevine-Acks',
  /** Of a list: rows that are left out, since nobody could read them. */
  corruptRows: 'Grapevine-Corrupt-Rows',
  expiresAt: 'Grapevine-Expires-At',
  idempotencyKey: 'Idempotency-Key',
  /** Of a watch. */
  lastEventId: 'Last-Event-ID',
  servedBy: 'Grapevine-Served-By',
  session: 'Grapevine-Session',
  sessionGap: 'Grapevine-Session-Gap',
} as const

/** The client library knows none of these, and does not bring their names along. */
export const OTHER_HEADERS = {
  conditionScope: 'Grapevine-Condition-Scope',
  tombstone: 'Grapevine-Tombstone',
  traceparent: 'traceparent',
} as const

/** What may stand as the content type of a value: 1 to 255 visible characters of ASCII, and spaces. */
export function isContentType(text: string): boolean {
  return /^[\u0020-\u007e]{1,255}$/.test(text)
}

export const MEDIA_TYPES = {
  json: 'application/json',
  eventStream: 'text/event-stream',
  /** What a value is when nobody said otherwise. */
  bytes: 'application/octet-stream',
} as const

/** Those that the client library does without on most platforms. */
export const OTHER_MEDIA_TYPES = {
  msgpack: 'application/vnd.msgpack',
  ndjson: 'application/x-ndjson',
  problem: 'application/problem+json',
  snapshot: 'application/vnd.grapevine.snapshot',
} as const
