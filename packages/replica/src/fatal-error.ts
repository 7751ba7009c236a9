import type { Identity } from '@grapevine/core'

export type FatalCode =
  /** `--found` on an empty directory, and a seed belongs to a cluster. */
  | 'cluster_exists'
  /** A member bears this node's name, and this directory does not prove to be its. */
  | 'name_taken'
  /** The data directory is that of a node of another name. */
  | 'wrong_name'
  /** This replica was fenced: nobody talks to it any more. */
  | 'evicted'
  /** It has left its cluster, as it was told to. */
  | 'left'
  /** The data directory is an older one of this replica, which the others have seen further (frontier.md R16). */
  | 'rolled_back'
  /** The sponsor of an unfinished join is gone: throw the directory away and join anew (frontier.md R13). */
  | 'sponsor_lost'
  /** Who let this node in was evicted before it told the others, which know nothing of it (frontier.md R14). */
  | 'not_introduced'
  /** A snapshot that no cluster can begin from. */
  | 'bad_snapshot'
  /** A part of such a snapshot is in the directory, and no identity. */
  | 'unfinished_restore'

/** Why a replica cannot go on, with what the operator does next. */
export class FatalError extends Error {
  override readonly name = 'FatalError'
  readonly code: FatalCode

  constructor(code: FatalCode, message: string) {
    super(message)
    this.code = code
  }
}

export function evictedError({ name, replica }: Identity): FatalError {
  return new FatalError(
    'evicted',
    `this node (${name}, ${replica}) was evicted from the cluster, and nobody talks to it any more. Start it with ` +
      `--rebuild: its data is moved aside, and it joins anew.`,
  )
}

export function leftError({ name, replica }: Identity): FatalError {
  return new FatalError(
    'left',
    `this node (${name}, ${replica}) has left its cluster, as it was told to. It starts again only with --rebuild: its data ` +
      `is moved aside, and it joins anew.`,
  )
}
