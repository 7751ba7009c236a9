import {
  introduce,
  RefusalError,
  shuffled,
  UnreachableError,
  type Answer,
  type Clock,
  type Identity,
  type Log,
  type MemberUpdate,
  type Question,
  type Random,
  type ReplicaId,
  type Timers,
  type Transport,
} from '@grapevine/core'
import type { AskMember } from './ask-member.ts'
import { sleep } from './sleep.ts'
import { FatalError } from './fatal-error.ts'
import type { ChangeMembership } from './membership-change.ts'
import { ALL_PARTITIONS, pullPartitions, type PullContext } from './pull-round.ts'

export interface JoinContext {
  readonly transport: Transport
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly log: Log
  readonly changeMembership: ChangeMembership
  readonly seeds: readonly string[]
  readonly self: Omit<MemberUpdate, 'replica' | 'state' | 'incarnation'>
  readonly rebuild: boolean
  readonly driftMs: number
  readonly peerTimeoutMs: number
  readonly isStopping: () => boolean
}

const RETRY_MIN_MS = 100
const RETRY_MAX_MS = 2_000
/** How long a joiner believes that its sponsor will come back. */
const SPONSOR_SILENCE_MS_MAX = 30_000

/**
 * Founds a cluster, once every seed has answered that it is empty and knows none (frontier.md R12). Exactly one
 * node of a new cluster does this; all others join.
 * @throws {FatalError} `cluster_exists`
 */
export async function foundCluster(context: JoinContext): Promise<void> {
  const { seeds, random, changeMembership, log } = context
  const silent = new Set(seeds)
  for (let delayMs = RETRY_MIN_MS; silent.size > 0 && !context.isStopping(); delayMs = nextDelay(delayMs)) {
    for (const seed of silent) {
      const answer = await hello(seed, context)
      if (answer === undefined) continue
      if (answer.cluster !== '')
        throw new FatalError(
          'cluster_exists',
          `${seed} belongs to cluster ${answer.cluster}, so this node must not found another one. Start it without ` +
            `--found to join that cluster; if it was a member called ${context.self.name} that lost its data, add --rebuild.`,
        )
      silent.delete(seed)
    }
    if (silent.size === 0) break
    log.info('founding-waits-for-seeds', { silent: [...silent] })
    await sleep(context.timers, delayMs)
  }
  const replica = random.hex(8)
  const identity: Identity = {
    cluster: random.hex(16),
    replica,
    name: context.self.name,
    stage: 'member',
    sponsor: '',
    incarnation: 1,
  }
  await changeMembership(({ roster }) => ({ identity, roster: introduce(roster, replica) }))
  log.info('cluster-founded', { cluster: identity.cluster, replica })
}

/** What a joiner is told by its sponsor. */
export type Sponsorship = Answer<'join'>

/** Asks the seeds, again and again, until one of them sponsors this node (R13). */
export async function askForSponsor(context: JoinContext): Promise<Sponsorship | undefined> {
  const { random, timers, log } = context
  for (let delayMs = RETRY_MIN_MS; !context.isStopping(); delayMs = nextDelay(delayMs)) {
    for (const seed of shuffled(context.seeds, random)) {
      const answer = await hello(seed, context)
      if (answer?.member !== true) continue
      const sponsorship = await askOne(seed, random.hex(8), context)
      if (sponsorship !== undefined) return sponsorship
    }
    log.info('no-sponsor-yet', { seeds: context.seeds })
    await sleep(timers, delayMs)
  }
  return undefined
}

async function askOne(seed: string, replica: ReplicaId, context: JoinContext): Promise<Sponsorship | undefined> {
  const { transport, self, rebuild, clock, driftMs, log, changeMembership } = context
  const joiner: MemberUpdate = { ...self, replica, state: 'alive', incarnation: 1 }
  const question = { joiner, rebuild }
  try {
    const peer = { replica: '', address: seed }
    const sponsorship = await transport.ask(peer, 'join', question, context.peerTimeoutMs)
    const aheadMs = sponsorship.clock.wallMs - clock.wallMs()
    if (aheadMs > driftMs) {
      log.error('clock-suspect', { sponsor: seed, aheadMs })
      return undefined
    }
    const identity: Identity = {
      cluster: sponsorship.cluster,
      replica,
      name: self.name,
      stage: 'joining',
      sponsor: sponsorship.sponsor,
      incarnation: 1,
    }
    await changeMembership(() => ({ identity, roster: sponsorship.roster, witness: sponsorship.clock }))
    log.info('sponsored', { cluster: identity.cluster, replica, sponsor: identity.sponsor })
    return sponsorship
  } catch (error) {
    if (error instanceof RefusalError && error.code === 'name-taken') throw new FatalError('name_taken', error.message)
    if (!(error instanceof RefusalError || error instanceof UnreachableError)) throw error
    log.info('not-sponsored', { seed, error: error.message })
    return undefined
  }
}

/**
 * Takes everything from the sponsor, and from nobody else, until each partition was answered completely (R7, R13).
 * @throws {FatalError} `sponsor_lost`
 */
export async function bootstrap(sponsor: ReplicaId, pull: PullContext, context: JoinContext): Promise<void> {
  let heardMs = context.clock.monotonicMs()
  let left = ALL_PARTITIONS
  while (left.length > 0 && !context.isStopping()) {
    try {
      left = await pullPartitions(sponsor, left, 'bootstrap', pull).then(({ unclaimed }) => unclaimed)
      heardMs = context.clock.monotonicMs()
      if (left.length > 0) await sleep(context.timers, RETRY_MIN_MS)
    } catch (error) {
      const isFenced = error instanceof RefusalError && error.code === 'evicted'
      const isSilent = context.clock.monotonicMs() - heardMs > SPONSOR_SILENCE_MS_MAX
      if (isFenced || isSilent)
        throw new FatalError(
          'sponsor_lost',
          `the node that introduced this one (${sponsor}) is gone before the join was finished. Start this node with ` +
            `--rebuild: it moves what it has got aside and joins anew.`,
        )
      if (!(error instanceof RefusalError || error instanceof UnreachableError)) throw error
      context.log.info('sponsor-silent', { sponsor, error: error.message })
      await sleep(context.timers, RETRY_MIN_MS * 5)
    }
  }
}

/**
 * Waits until every live member has published a roster with this node in it: before that its writes could be lost
 * with its sponsor (R13). Whoever is declared dead meanwhile is not waited for.
 */
export async function awaitIntroduction(
  ask: AskMember,
  livePeers: () => readonly ReplicaId[],
  self: ReplicaId,
  publication: () => Question<'publish'>,
  context: JoinContext,
): Promise<void> {
  const introduced = new Set<ReplicaId>()
  for (let delayMs = RETRY_MIN_MS; !context.isStopping(); delayMs = nextDelay(delayMs)) {
    for (const peer of livePeers()) {
      if (introduced.has(peer)) continue
      try {
        const { roster } = await ask(peer, 'publish', publication(), context.peerTimeoutMs)
        if (roster.known.includes(self)) introduced.add(peer)
      } catch (error) {
        if (!(error instanceof RefusalError || error instanceof UnreachableError)) throw error
        context.log.info('not-introduced-yet', { peer, error: error.message })
      }
    }
    if (livePeers().every((peer) => introduced.has(peer))) return
    await sleep(context.timers, delayMs)
  }
}

export async function hello(
  address: string,
  { transport, peerTimeoutMs }: Pick<JoinContext, 'transport' | 'peerTimeoutMs'>,
): Promise<Answer<'hello'> | undefined> {
  try {
    return await transport.ask({ replica: '', address }, 'hello', {}, Math.min(peerTimeoutMs, 1_000))
  } catch (error) {
    if (error instanceof UnreachableError || error instanceof RefusalError) return undefined
    throw error
  }
}

function nextDelay(delayMs: number): number {
  return Math.min(delayMs * 2, RETRY_MAX_MS)
}
