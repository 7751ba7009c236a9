import { acksNeeded, StoreError, Tally, WriteError, type Clock, type Hash, type Timers, bytesOf } from '@grapevine/core'
import type { Committer } from './committer.ts'
import type { WriteRequest, WriteResult } from './replica.ts'
import type { Owners } from './owners.ts'
import type { RumorMonger } from './rumor-monger.ts'

export interface WriteContext {
  readonly committer: Committer
  /** None before the replica is a member; then writes are refused anyway. */
  readonly rumors: RumorMonger | undefined
  readonly owners: Owners | undefined
  readonly hash: Hash
  readonly clock: Clock
  readonly timers: Timers
  readonly driftMs: number
  /** Why writes are not taken now, or undefined. */
  readonly refusal: () => 'not_ready' | 'cloned' | 'draining' | 'disk_full' | undefined
}

/**
 * One client's write, from its queueing to the acknowledgements it asked for.
 *
 * The rumor that spreads the write is also what asks for acknowledgements: no second message is sent beside it.
 * @throws {WriteError} with the outcome.
 */
export function coordinateWrite(request: WriteRequest, context: WriteContext): Promise<WriteResult> {
  const { committer, rumors, owners, hash } = context
  const refusal = context.refusal()
  if (refusal !== undefined || rumors === undefined || owners === undefined)
    return fail(refusal ?? 'not_ready', REFUSED[refusal ?? 'not_ready'])
  // Its version would be later still, and no other member would take it in before its time (frontier.md R3).
  if ((request.after?.wallMs ?? 0) > context.clock.wallMs() + context.driftMs)
    return fail('behind', 'the session has seen something from further ahead than clocks may differ')
  if (committer.isFull) return fail('overloaded', 'too many writes wait for the disk')
  const keyHash = hash.sha256(bytesOf(request.address))
  const members = owners.ofEntry({ keyHash }).length
  const needed = acksNeeded(request.w, members)
  const listeners = needed > 1 ? rumors.listeners({ keyHash }).length : 0
  if (needed > 1 && listeners + 1 < needed)
    return fail('quorum_not_met', `${needed} of ${members} members must hold the write, and ${listeners + 1} are live`)

  return new Promise<WriteResult>((resolve, reject) => {
    let acks = 0
    const deadline = context.timers.after(request.timeoutMs, () => giveUp('was not confirmed in time'))
    const giveUp = (problem: string): void => {
      deadline.cancel()
      const message = `the write ${problem}: ${acks} of ${needed} members are known to hold it`
      reject(new WriteError('timeout', 'unknown', message, acks))
    }
    const finish = (result: WriteResult): void => {
      deadline.cancel()
      resolve(result)
    }
    committer.submit({
      kind: 'write',
      address: request.address,
      keyHash,
      value: request.value,
      contentType: request.contentType,
      expiresAtMs: request.expiresAtMs,
      precondition: request.precondition,
      after: request.after,
      fail: ({ outcome, cause }) => {
        deadline.cancel()
        // Not knowing whether it is there is another thing than having no room for it.
        const isFull = outcome === 'not-applied' && cause instanceof StoreError && cause.code === 'disk_full'
        const [code, message] = isFull
          ? (['disk_full', REFUSED.disk_full] as const)
          : (['io_error', 'the write could not be made durable'] as const)
        reject(new WriteError(code, outcome, message, 0, { cause }))
      },
      settle: (outcome) => {
        if (outcome.kind === 'precondition-failed') return finish({ ...outcome, scope: 'node' })
        const { entry } = outcome
        const { version } = entry
        const seen = { keyHash, version, dot: entry.dot }
        acks = 1
        if (needed === 1) {
          rumors.ignite(entry)
          return finish({ kind: 'applied', version, acks, members, seen })
        }
        const asked = rumors.listeners(entry).map(({ replica }) => replica)
        const tally = new Tally(needed, asked)
        rumors.ignite(entry, (replica, holds) => {
          tally.record(replica, holds)
          judge()
        })
        function judge(): void {
          acks = tally.acks
          if (tally.verdict === 'reached') finish({ kind: 'applied', version, acks, members, seen })
          else if (tally.verdict === 'impossible') giveUp('cannot be confirmed by enough members')
        }
        judge()
      },
    })
  })
}

const REFUSED = {
  not_ready: 'this node is not ready',
  draining: 'this node is stopping',
  cloned: 'another process goes by the id of this node, so neither takes writes: /readyz?verbose says what to do',
  disk_full:
    'the disk of this node has less space than is to be kept free, so it only reads. It writes again by itself when ' +
    'there is room; until then another node may take the write',
}

function fail(
  code: 'not_ready' | 'cloned' | 'draining' | 'overloaded' | 'quorum_not_met' | 'disk_full' | 'behind',
  message: string,
): Promise<never> {
  return Promise.reject(new WriteError(code, 'not-applied', message))
}
