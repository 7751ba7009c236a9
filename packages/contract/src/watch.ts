import type { KeyFields } from './key.ts'

/**
 * `GET /v1/watch/{bucket}`: server-sent events, with `prefix` and `key_encoding` in the query.
 *
 * - The first block, sent at once and before any event, is `id:` alone: whoever is cut off in the first second can
 *   resume too. Further `id:` lines come about once a second while there is anything to tell, and with each comment line;
 *   blocks of `id:` without `data:` are valid (they set the last id and dispatch nothing). An id is opaque, without NUL or
 *   line break, and at most 8 KiB long.
 * - `Last-Event-ID` resumes on any node: every final state after it comes, some perhaps twice: what was told after the last
 *   id; what had come to the node of the id before its turn; and what was written by runs of nodes that have ended since.
 *   A node that has not seen all that the id covers waits for it up to 15 s, so as not to tell of older versions. Of what
 *   was told after the last id it does not know: a write that died with its node may be followed by an older one. Whoever
 *   cares compares entity tags, which sort as the versions do.
 * - {@link WATCH_HEARTBEAT_MS} without anything to say ends in a comment line. Who hears nothing for much longer
 *   has lost the connection and resumes elsewhere.
 * - `event: resync`, data `{}`: what came between the id and now is not known any more (the id is from before the
 *   feed begins: something was deleted and purged since, and the node has forgotten it or was restarted). List what is
 *   watched, and go on with the events that follow. Whoever is slow gets no `resync`, but fewer of the states in between.
 */
export type WatchEventName = 'put' | 'delete' | 'expire' | 'resync'

/** How a change came to the node that tells of it. */
export type WatchVia = 'local' | 'rumor' | 'anti-entropy' | 'read-repair' | 'hint'

/** The data of `put`, `delete` and `expire`, as JSON in one line. */
export interface WatchData extends KeyFields {
  /** Without the quotes of the header. Of `expire`: of the version that expired. */
  readonly etag: string
  /** Name of the node that took the write. */
  readonly origin: string
  readonly via: WatchVia
  /**
   * Milliseconds from the write, by its version, to its commit on the node that tells of it. Of what comes after a resume, to
   * the telling (and `via` is then `local` or `anti-entropy`); of an `expire`, from the expiry.
   */
  readonly lagMs: number
}

/** A comment line comes at least this often. */
export const WATCH_HEARTBEAT_MS = 15_000
