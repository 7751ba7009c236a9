import type { KeyFields } from './key.ts'

/** How many replicas a read asks. `session` is the default when a session header is sent, otherwise `local`. */
export type Consistency = 'local' | 'session' | 'quorum' | 'all'

/**
 * One line of a list. `start` is inclusive, `end` exclusive, in both directions; `key_encoding=base64url` in the
 * query is said of `prefix`, `start` and `end` alike.
 */
export interface ListItem extends KeyFields {
  /** Without the quotes of the header. */
  readonly etag: string
  /** Bytes of the value. */
  readonly size: number
  readonly contentType: string
  /** RFC 3339. */
  readonly expiresAt?: string
  /** Base64, with `include=value`. */
  readonly value?: string
}

export interface ListBody {
  readonly items: readonly ListItem[]
  /** Where the next page begins, or null when this was the last. */
  readonly cursor: string | null
  /** Whether the range ends with this page: the opposite of having a cursor. */
  readonly complete: boolean
}
