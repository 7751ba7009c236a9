/** What became of a write that did not succeed (P2). */
export type FailedOutcome = 'not-applied' | 'unknown'

/** What we did to ourselves: a bug. Stays on in production. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError'
}

export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message)
}

/** No answer came. The question may have been heard, so a write that was in it is `unknown`. */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError'
  /** `refused`: nobody listens there, so nothing was heard. */
  readonly code: 'refused' | 'timeout' | 'broken'

  constructor(code: 'refused' | 'timeout' | 'broken', message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}

export const REFUSALS = [
  'wrong-cluster',
  'wrong-replica',
  'not-introduced',
  'evicted',
  'not-bootstrapped',
  'paused',
  'busy',
  'malformed',
  'name-taken',
  'not-founded',
  'folded-otherwise',
  'failed',
  'cloned',
] as const
export type Refusal = (typeof REFUSALS)[number]

/** The peer heard and would not. */
export class RefusalError extends Error {
  override readonly name = 'RefusalError'
  readonly code: Refusal

  constructor(code: Refusal, message: string) {
    super(message)
    this.code = code
  }
}

/** Bytes from outside that are not what they should be. */
export class MalformedMessageError extends Error {
  override readonly name = 'MalformedMessageError'
}

export type StoreErrorCode =
  /** The disk failed, now or before: see `reopen`. */
  | 'io_error'
  /** There is no space left: the same may succeed once there is. */
  | 'disk_full'
  /** This process may open no more files: the same may succeed once it has closed some. */
  | 'too_many_files'
  /** Another process has the directory. */
  | 'locked'
  /** The directory says that it held data, and that data, or part of it, is not there. */
  | 'data_missing'
  /** The directory is of another format, or belongs to somebody else. */
  | 'wrong_directory'
  /** Not readable or not writable. */
  | 'permission'

export class StoreError extends Error {
  override readonly name = 'StoreError'
  readonly code: StoreErrorCode

  constructor(code: StoreErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}

export type WriteErrorCode =
  | 'overloaded'
  | 'not_ready'
  | 'cloned'
  | 'quorum_not_met'
  | 'timeout'
  | 'io_error'
  | 'draining'
  /** Its session has seen something from beyond the permitted drift. */
  | 'behind'
  /** The name of the write was another one's. */
  | 'idempotency_mismatch'
  /** Refused before anything was done, or the disk was full when it came to writing. */
  | 'disk_full'

/** A write that did not end as applied. */
export class WriteError extends Error {
  override readonly name = 'WriteError'
  readonly code: WriteErrorCode
  readonly outcome: FailedOutcome
  /** Replicas known to hold the write, of those asked for. */
  readonly acks: number

  constructor(code: WriteErrorCode, outcome: FailedOutcome, message: string, acks = 0, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
    this.outcome = outcome
    this.acks = acks
  }
}

/** A read that asked other members and did not hear from enough of them. It harmed nothing. */
export class ReadError extends Error {
  override readonly name = 'ReadError'
  readonly code: 'quorum_not_met' | 'timeout'

  constructor(code: 'quorum_not_met' | 'timeout', message: string) {
    super(message)
    this.code = code
  }
}
