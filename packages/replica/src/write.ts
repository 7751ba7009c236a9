import { acksNeeded, Tally, WriteError, type Entry, type Hash, type Timers, bytesOf } from '@grapevine/core'
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
  readonly timers: Timers
  /** Why writes are not taken now, or undefined. */
  readonly refusal: () => 'not_ready' | 'draining' | undefined
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
    return fail(refusal ?? 'not_ready', `this node is ${refusal === 'draining' ? 'stopping' : 'not ready'}`)
  if (committer.isFull) return fail('overloaded', 'too many writes wait for the disk')
  const keyHash = hash.sha256(bytesOf(request.address))
  const members = owners.ofEntry({ keyHash }).length
  const needed = acksNeeded(request.w, members)
  const listeners = needed > 1 ? rumors.listeners({ keyHash }).length : 0
  if (needed > 1 && listeners + 1 < needed)
    return fail('quorum_not_met', `${needed} of ${members} members must hold the write, and ${listeners + 1} are live`)

  return new Promise<WriteResult>((resolve, reject) => {
    committer.submit({
      kind: 'write',
      address: request.address,
      keyHash,
      value: request.value,
      contentType: request.contentType,
      expiresAtMs: request.expiresAtMs,
      precondition: request.precondition,
      fail: ({ outcome, cause }) =>
        reject(new WriteError('io_error', outcome, 'the write could not be made durable', 0, { cause })),
      settle: (outcome) => {
        if (outcome.kind === 'precondition-failed') resolve(outcome)
        else if (needed > 1) collectAcks(outcome.entry, rumors)
        else {
          rumors.ignite(outcome.entry)
          resolve({ kind: 'applied', version: outcome.entry.version, acks: 1, members })
        }
      },
    })

    function collectAcks(entry: Entry, monger: RumorMonger): void {
      const tally = new Tally(
        needed,
        monger.listeners(entry).map(({ replica }) => replica),
      )
      const deadline = context.timers.after(request.timeoutMs, () => finish('was not confirmed in time'))
      const finish = (problem: string | undefined): void => {
        deadline.cancel()
        const { acks } = tally
        if (problem === undefined) resolve({ kind: 'applied', version: entry.version, acks, members })
        else
          reject(
            new WriteError('timeout', 'unknown', `the write ${problem}: ${acks} of ${needed} members hold it`, acks),
          )
      }
      monger.ignite(entry, (replica, holds) => {
        const verdict = tally.record(replica, holds)
        if (verdict === 'reached') finish(undefined)
        else if (verdict === 'impossible') finish('cannot be confirmed by enough members')
      })
      if (tally.verdict === 'impossible') finish('cannot be confirmed by enough members')
    }
  })
}

function fail(code: 'not_ready' | 'draining' | 'overloaded' | 'quorum_not_met', message: string): Promise<never> {
  return Promise.reject(new WriteError(code, 'not-applied', message))
}
