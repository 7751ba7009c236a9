import {
  covers,
  evict,
  HLC_ZERO,
  RefusalError,
  UnreachableError,
  type Clock,
  type Log,
  type Peer,
  type Question,
  type ReplicaId,
  type Timers,
  type Transport,
} from '@grapevine/core'
import type { ChangeMembership } from './membership-change.ts'
import { askPublication, knowledgeOf, type PublishContext } from './publish.ts'
import { sleep } from './sleep.ts'

export type LeaveErrorCode =
  /** There is no other member: what this one holds would be gone. */
  | 'last_member'
  /** No other member is alive, as far as this one knows. */
  | 'nobody_reachable'
  /** Nobody holds all that this one holds, within the time that was given. */
  | 'not_covered'
  /** It is no member, or not any more; or it is leaving already. */
  | 'not_member'
  /** Another process goes by its id: what "it" holds cannot be said. */
  | 'cloned'

/** Why a node has not left. It goes on as the member that it was. */
export class LeaveError extends Error {
  override readonly name = 'LeaveError'
  readonly code: LeaveErrorCode

  constructor(code: LeaveErrorCode, message: string) {
    super(message)
    this.code = code
  }
}

/** How a membership ended. */
export interface Departure {
  /** A member that holds all that this one held, or newer. */
  readonly coveredBy: ReplicaId
  /** Members that have noted it durably. The others hear of it from these. */
  readonly told: readonly ReplicaId[]
}

export interface LeaveContext extends PublishContext {
  readonly transport: Transport
  /** Best first. */
  readonly livePeers: () => readonly Peer[]
  readonly changeMembership: ChangeMembership
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Log
  readonly peerTimeoutMs: number
}

/** Between two looks at whether somebody holds everything by now: pulls come about once a second. */
const LOOK_MS = 250
/** Members asked in one look. In a large cluster each is 30 KiB of vectors, and any of them will do. */
const PEERS_PER_LOOK = 4
/** How long it is tried to tell at least one member, after the mark is on this disk. */
const TELL_MS = 5_000

/**
 * Ends this replica's own membership (frontier.md R15): once another member has published vectors that cover all of this one's,
 * it evicts itself, and tells the others. The caller has stopped taking writes, else there is no end to what is to be covered.
 * @throws {LeaveError} while nothing has happened yet.
 */
export async function leaveCluster(timeoutMs: number, context: LeaveContext): Promise<Departure> {
  const { state, livePeers, changeMembership, clock, log } = context
  const deadlineMs = clock.monotonicMs() + timeoutMs
  // What was queued before is committed when this is: it takes its turn.
  await changeMembership(() => ({}))
  const { identity } = state()
  if (identity?.stage !== 'member') throw new LeaveError('not_member', 'this node is no member yet, or not any more')
  if (state().members().length <= 1)
    throw new LeaveError(
      'last_member',
      'this is the last member: with it everything would be gone. Save a snapshot, and stop it',
    )
  if (livePeers().length === 0)
    throw new LeaveError('nobody_reachable', 'no other member can be reached, so nobody can take over what is here')
  const coveredBy = await whoeverCovers(deadlineMs, context)
  await changeMembership(({ roster, identity: now }) =>
    now === undefined ? {} : { roster: evict(roster, now.replica), identity: { ...now, stage: 'left' } },
  )
  log.info('left-cluster', { coveredBy })
  return { coveredBy, told: await tellDeparture(livePeers(), context) }
}

/** A member whose published vectors contain all that this one has seen by now. */
async function whoeverCovers(deadlineMs: number, context: LeaveContext): Promise<ReplicaId> {
  const { state, livePeers, clock, timers } = context
  const { vectors } = state().publication()
  for (let look = 0; ; look++) {
    const peers = livePeers()
    const first = (look * PEERS_PER_LOOK) % Math.max(1, peers.length)
    for (const { replica } of peers.slice(first, first + PEERS_PER_LOOK)) {
      try {
        if (covers(await askPublication(replica, HLC_ZERO, context), vectors)) return replica
      } catch (error) {
        if (!(error instanceof RefusalError || error instanceof UnreachableError)) throw error
      }
    }
    if (clock.monotonicMs() + LOOK_MS > deadlineMs)
      throw new LeaveError(
        'not_covered',
        'no other member holds all that this one holds, so nothing was done: it goes on as a member. Ask again with a longer ' +
          'time-out, or look at `grapevine divergence`',
      )
    await sleep(timers, LOOK_MS)
  }
}

/**
 * Tells members of the mark until one of them at least has it on its disk. Whoever refuses this replica as evicted has it
 * already.
 */
export async function tellDeparture(
  peers: readonly Peer[],
  {
    transport,
    state,
    clock,
    timers,
    peerTimeoutMs,
  }: Omit<LeaveContext, 'ask' | 'learn' | 'livePeers' | 'changeMembership'>,
): Promise<readonly ReplicaId[]> {
  const question: Question<'publish'> = { ...knowledgeOf(state()), partitions: [], wanted: HLC_ZERO }
  const deadlineMs = clock.monotonicMs() + TELL_MS
  for (;;) {
    const told = await Promise.all(
      peers.map(async (peer) => {
        try {
          await transport.ask(peer, 'publish', question, Math.min(peerTimeoutMs, TELL_MS))
          return peer.replica
        } catch (error) {
          if (error instanceof RefusalError && error.code === 'evicted') return peer.replica
          if (error instanceof RefusalError || error instanceof UnreachableError) return undefined
          throw error
        }
      }),
    )
    const heard = told.filter((replica) => replica !== undefined)
    if (heard.length > 0 || clock.monotonicMs() + LOOK_MS > deadlineMs) return heard
    await sleep(timers, LOOK_MS)
  }
}
