import {
  acksNeeded,
  bytesOf,
  StoreError,
  Tally,
  WriteError,
  type Clock,
  type Entry,
  type Hash,
  type Sighting,
  type Timers,
  type Version,
} from '@grapevine/core'
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
  readonly refusal: () => WriteRefusal | undefined
}

/** Why this node takes no writes now, whatever they are. */
export type WriteRefusal = 'not_ready' | 'draining' | 'cloned' | 'disk_full'

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
    return Promise.reject(refusedWrite(refusal ?? 'not_ready'))
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
    /** Asks for the acknowledgements of a write by what its key holds, which is the write or what came after it. */
    const gather = (receipt: Written, held: Entry, isReplay = false): void => {
      acks = 1
      const seen: Sighting = { keyHash, version: held.version, dot: held.dot }
      const done = (): void => finish({ kind: 'applied', ...written(receipt), acks, members, seen })
      if (needed === 1) {
        // Of a repetition others have heard, or will from whoever asks them.
        if (!isReplay) rumors.ignite(held)
        return done()
      }
      const tally = new Tally(
        needed,
        rumors.listeners(held).map(({ replica }) => replica),
      )
      const judge = (): void => {
        acks = tally.acks
        if (tally.verdict === 'reached') done()
        else if (tally.verdict === 'impossible') giveUp('cannot be confirmed by enough members')
      }
      rumors.ignite(held, (replica, holds) => {
        tally.record(replica, holds)
        judge()
      })
      judge()
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
      name: request.name,
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
        switch (outcome.kind) {
          case 'precondition-failed':
            return finish({ ...outcome, scope: 'node' })
          case 'idempotency-mismatch':
            deadline.cancel()
            return reject(new WriteError('idempotency_mismatch', 'not-applied', MISMATCH))
          case 'applied':
            return gather(outcome.entry, outcome.entry)
          case 'replayed': {
            const { receipt, held } = outcome
            if (typeof held === 'object') return gather(receipt, held, true)
            acks = 1
            if (held === undefined) {
              // Gone by the frontier, so every member has seen what it was (frontier.md I3).
              return finish({ kind: 'applied', ...written(receipt), acks: members, members, seen: undefined })
            }
            return needed === 1
              ? finish({ kind: 'applied', ...written(receipt), acks, members, seen: undefined })
              : giveUp('was taken in before, but what became of it here cannot be read')
          }
        }
      },
    })
  })
}

type Written = Pick<Entry, 'version' | 'expiresAtMs'>

/** Without what else an entry or a receipt holds. */
function written({ version, expiresAtMs }: Written): { version: Version; expiresAtMs: number } {
  return { version, expiresAtMs }
}

const MISMATCH = 'the idempotency key of this write was used for another one; a new write needs a new key'

const REFUSED: Readonly<Record<WriteRefusal, string>> = {
  not_ready: 'this node is not ready',
  draining: 'this node is stopping',
  cloned: 'another process goes by the id of this node, so neither takes writes: /readyz?verbose says what to do',
  disk_full:
    'the disk of this node has less space than is to be kept free, so it only reads. It writes again by itself when ' +
    'there is room; until then another node may take the write',
}

export function refusedWrite(refusal: WriteRefusal): WriteError {
  return new WriteError(refusal, 'not-applied', REFUSED[refusal])
}

function fail(code: 'overloaded' | 'quorum_not_met' | 'behind', message: string): Promise<never> {
  return Promise.reject(new WriteError(code, 'not-applied', message))
}
