import type { KeyFields } from './key.ts'
import type { Problem } from './problem.ts'

/**
 * `POST /v1/visibility`: waits until a version, or a newer one of its key, is held durably by `on` of the members.
 * Changes nothing and is safe to repeat, on any node.
 */
export interface VisibilityRequest extends KeyFields {
  readonly bucket: string
  /** Without the quotes of the header. */
  readonly etag: string
  /** `all`: every live replica. A number counts members. */
  readonly on: 'all' | number
  /** A duration: how long to wait. */
  readonly within: string
}

/** A node that holds the version or a newer one. */
export interface VisibleNode {
  readonly name: string
  readonly nodeId: string
  /**
   * When it became durable there: RFC 3339 with milliseconds, by that node's clock. A node remembers this of its latest 16,384
   * commits since it was started; of an older one it tells a time by which it was durable.
   */
  readonly committedAt: string
}

/** 200. */
export interface VisibilityBody {
  readonly nodes: readonly VisibleNode[]
}

/** 504 `timeout`, with those that do hold it. It is no write, so there is no `outcome`. */
export interface VisibilityProblem extends Problem {
  readonly nodes: readonly VisibleNode[]
}
