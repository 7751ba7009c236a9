/** Header names, in the case in which they are documented; HTTP does not mind. */
export const HEADERS = {
  acks: 'Grapevine-Acks',
  conditionScope: 'Grapevine-Condition-Scope',
  expiresAt: 'Grapevine-Expires-At',
  idempotencyKey: 'Idempotency-Key',
  /** Of a watch. */
  lastEventId: 'Last-Event-ID',
  servedBy: 'Grapevine-Served-By',
  session: 'Grapevine-Session',
  sessionGap: 'Grapevine-Session-Gap',
  tombstone: 'Grapevine-Tombstone',
  traceparent: 'traceparent',
} as const

export const MEDIA_TYPES = {
  json: 'application/json',
  msgpack: 'application/vnd.msgpack',
  ndjson: 'application/x-ndjson',
  problem: 'application/problem+json',
  snapshot: 'application/vnd.grapevine.snapshot',
  eventStream: 'text/event-stream',
  /** What a value is when nobody said otherwise. */
  bytes: 'application/octet-stream',
} as const
