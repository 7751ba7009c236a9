import {
  acksNeeded,
  compareVersions,
  ReadError,
  RefusalError,
  StoreError,
  WriteError,
  type Address,
  type Held,
} from '@grapevine/core'
import type { WriteRequest, WriteResult } from './replica.ts'

export interface ConditionContext {
  /** The newest of what a majority holds, which is held here as well afterwards. @throws {ReadError} */
  readonly readFromQuorum: (address: Address, timeoutMs: number) => Promise<Held>
  readonly read: (address: Address) => Held
  readonly write: (request: WriteRequest) => Promise<WriteResult>
  readonly monotonicMs: () => number
}

/** Whether the condition of a write is to hold where a majority has been asked, and not only on the node that takes it. */
export function isQuorumCondition({ precondition, w }: WriteRequest, members: number): boolean {
  return precondition !== undefined && members > 1 && acksNeeded(w, members) >= acksNeeded('quorum', members)
}

/**
 * A write by quorum on a condition: the newest of what a majority holds is brought here first, so that the condition is
 * held against every write by quorum that was acknowledged before this one began. It is still checked on this node alone:
 * two such writes on two nodes at once may both pass, so it is no compare-and-swap for the cluster.
 * @throws {WriteError} with the outcome.
 */
export async function writeOnCondition(
  request: WriteRequest,
  { readFromQuorum, read, write, monotonicMs }: ConditionContext,
): Promise<WriteResult> {
  const { address, timeoutMs } = request
  const startedMs = monotonicMs()
  let newest: Held
  let held: Held
  try {
    newest = await readFromQuorum(address, timeoutMs)
    held = read(address)
  } catch (error) {
    // This node has just started, and is no member yet.
    if (error instanceof RefusalError)
      throw new WriteError('not_ready', 'not-applied', error.message, 0, { cause: error })
    if (error instanceof ReadError) throw new WriteError(error.code, 'not-applied', error.message, 0, { cause: error })
    // Before anything was queued: the store is being opened again, say.
    if (error instanceof StoreError) throw new WriteError('io_error', 'not-applied', error.message, 0, { cause: error })
    throw error
  }
  const isHere =
    typeof newest !== 'object' || (typeof held === 'object' && compareVersions(held.version, newest.version) >= 0)
  if (!isHere)
    throw new WriteError('quorum_not_met', 'not-applied', 'what another member holds could not be taken in here')
  const leftMs = Math.max(1, timeoutMs - (monotonicMs() - startedMs))
  const result = await write({ ...request, timeoutMs: leftMs })
  return result.kind === 'precondition-failed' ? { ...result, scope: 'quorum' } : result
}
