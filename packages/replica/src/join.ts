import {
  introduce,
  RefusalError,
  shuffled,
  StoreError,
  UnreachableError,
  type Answer,
  type Clock,
  type Identity,
  type JoinTicket,
  type KnownPeer,
  type Log,
  type MemberUpdate,
  type Random,
  type Refusal,
  type ReplicaId,
  type Roster,
  type Timers,
  type Transport,
  type WriterId,
} from '@grapevine/core'
import type { Adopted } from './adopt-snapshot.ts'
import { ignoreAbsence } from './ask-member.ts'
import { sleep } from './sleep.ts'
import { FatalError } from './fatal-error.ts'
import type { ChangeMembership } from './membership-change.ts'
import { ALL_PARTITIONS, pullPartitions, type PullContext, type PullManner } from './pull-round.ts'

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
  /** Who this node was before; whoever lets it in evicts these. */
  readonly former?: readonly ReplicaId[]
  /** The id to join by, when it was drawn before. */
  readonly joinAs?: ReplicaId
  readonly driftMs: number
  readonly peerTimeoutMs: number
  /** Tells how far the sponsor's clock is ahead of ours, when that is too far to join; undefined when it is not. */
  readonly sponsorIsAhead: (aheadMs: number | undefined) => void
  /** Why nobody has let this node in so far. */
  readonly notSponsored: (why: string) => void
  readonly isStopping: () => boolean
  /** Takes over the snapshot that the new cluster begins from, if any; `undefined` when the node stops meanwhile. */
  readonly adopt?: () => Promise<Adopted | undefined>
}

const RETRY_MIN_MS = 100
const RETRY_MAX_MS = 2_000
/** How long a joiner believes that its sponsor will come back. */
const SPONSOR_SILENCE_MS_MAX = 30_000
/**
 * How long it believes that a member which is here and knows it will tell those that do not. Two joiners of one sponsor that is
 * gone know each other, and nobody listens to either of them.
 */
const TELLING_MS_MAX = 60_000
const BOOTSTRAP_RETRY_MS = 500
const AS_JOINER: PullManner = { source: 'bootstrap', namesFolded: true }
/** Refusals that do not come from the sponsor, or end everything. */
const LOST: ReadonlySet<Refusal> = new Set(['wrong-replica', 'wrong-cluster', 'not-founded', 'evicted'])

/**
 * Founds a cluster, once every seed has answered that it is empty and knows none (frontier.md R12). Exactly one
 * node of a new cluster does this; all others join. Also a cluster that begins from a snapshot is a new one: members of the
 * old one that were not lost after all must not take it for theirs (P15).
 * @throws {FatalError} `cluster_exists`, `bad_snapshot`
 */
export async function foundCluster(context: JoinContext): Promise<void> {
  const { seeds, random, changeMembership, log } = context
  const silent = new Set(seeds)
  for (let delayMs = RETRY_MIN_MS; silent.size > 0 && !context.isStopping(); delayMs = nextDelay(delayMs)) {
    for (const seed of silent) {
      const answer = await hello(seed, context)
      if (answer === undefined || answer === 'stranger') continue
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
  if (context.isStopping()) return
  const adopted = context.adopt === undefined ? {} : await context.adopt()
  if (adopted === undefined) return
  const replica = random.hex(8)
  const identity: Identity = {
    cluster: random.hex(16),
    replica,
    name: context.self.name,
    stage: 'member',
    sponsor: '',
    incarnation: 1,
  }
  await changeMembership(({ roster }) => ({ ...adopted, identity, roster: introduce(roster, replica) }))
  log.info('cluster-founded', { cluster: identity.cluster, replica })
}

/** What a joiner is told by its sponsor. */
export type Sponsorship = Answer<'join'>

/** Asks the seeds, again and again, until one of them sponsors this node (R13). */
export async function askForSponsor(context: JoinContext): Promise<Sponsorship | undefined> {
  const { random, timers, log, joinAs } = context
  // One id, however often it asks: a sponsor whose answer was lost must not find its own joiner's name taken.
  const replica = joinAs ?? random.hex(8)
  for (let delayMs = RETRY_MIN_MS; !context.isStopping(); delayMs = nextDelay(delayMs)) {
    for (const seed of shuffled(context.seeds, random)) {
      const answer = await hello(seed, context)
      if (answer === undefined || answer === 'stranger' || !answer.member) continue
      const sponsorship = await askOne(seed, { replica, ticket: answer.ticket }, context)
      if (sponsorship !== undefined) return sponsorship
    }
    log.info('no-sponsor-yet', { seeds: context.seeds })
    await sleep(timers, delayMs)
  }
  return undefined
}

async function askOne(
  seed: string,
  { replica, ticket }: { readonly replica: ReplicaId; readonly ticket: JoinTicket },
  context: JoinContext,
): Promise<Sponsorship | undefined> {
  const { transport, self, rebuild, former = [], clock, driftMs, log, changeMembership } = context
  const joiner: MemberUpdate = { ...self, replica, state: 'alive', incarnation: 1 }
  const question = { joiner, ticket, rebuild, former }
  try {
    const peer = { replica: '', address: seed }
    const sponsorship = await transport.ask(peer, 'join', question, context.peerTimeoutMs)
    const aheadMs = sponsorship.clock.wallMs - clock.wallMs()
    if (aheadMs > driftMs) {
      log.error('clock-suspect', {
        sponsor: seed,
        aheadMs,
        advice: 'set the clocks, best by NTP: this node then joins',
      })
      context.sponsorIsAhead(aheadMs)
      return undefined
    }
    context.sponsorIsAhead(undefined)
    const identity: Identity = {
      cluster: sponsorship.cluster,
      replica,
      name: self.name,
      stage: 'joining',
      sponsor: sponsorship.sponsor,
      incarnation: 1,
    }
    // Where the others are is for a start in the middle of the join.
    const peers = sponsorship.members.filter((member) => member.replica !== replica).map(knownPeerOf)
    await changeMembership(() => ({ identity, roster: sponsorship.roster, peers, witness: sponsorship.clock }))
    log.info('sponsored', { cluster: identity.cluster, replica, sponsor: identity.sponsor })
    return sponsorship
  } catch (error) {
    if (error instanceof RefusalError && error.code === 'name-taken') throw new FatalError('name_taken', error.message)
    if (!(error instanceof RefusalError || error instanceof UnreachableError)) throw error
    log.info('not-sponsored', { seed, error: error.message })
    context.notSponsored(error.message)
    return undefined
  }
}

/**
 * Takes everything from the sponsor, and from nobody else, until each partition was answered completely (R7, R13).
 * @returns whether nothing can be missing: not when the sponsor may have lost something (see `acquaintance.ts`).
 * @throws {FatalError} `sponsor_lost`
 */
export async function bootstrap(sponsor: ReplicaId, pull: PullContext, context: JoinContext): Promise<boolean> {
  const { clock, timers, log } = context
  let heardMs = clock.monotonicMs()
  const onAnswer = (): void => {
    heardMs = clock.monotonicMs()
  }
  let left = ALL_PARTITIONS
  let foldedAtFirst: readonly WriterId[] | undefined
  let isSound = true
  while (left.length > 0 && !context.isStopping()) {
    try {
      const pulled = await pullPartitions(sponsor, left, AS_JOINER, { ...pull, onAnswer })
      foldedAtFirst ??= pulled.folded
      isSound &&= pulled.isSound
      left = pulled.unclaimed
      if (left.length === 0) {
        // Only now: until the last partition was claimed, their dots there were not covered.
        await pull.takeFolded(foldedAtFirst, sponsor)
        return isSound
      }
      log.warn('bootstrap-incomplete', { sponsor, partitions: left.length })
    } catch (error) {
      // A sponsor that refuses is there, and may soon do otherwise; one that has moved is found by the seeds.
      if (error instanceof RefusalError && !LOST.has(error.code)) onAnswer()
      const isFenced = error instanceof RefusalError && error.code === 'evicted'
      // It let us in, and its roster was durable by then: its disk was rolled back, which nobody else may be left to tell (R16).
      const isForgotten = error instanceof RefusalError && error.code === 'not-introduced'
      if (isForgotten) await pull.ask(sponsor, 'forgotten', {}).catch(ignoreAbsence)
      if (isFenced || isForgotten || clock.monotonicMs() - heardMs > SPONSOR_SILENCE_MS_MAX)
        throw sponsorLostError(sponsor)
      if (!(error instanceof RefusalError || error instanceof UnreachableError || error instanceof StoreError))
        throw error
      log.info('bootstrap-interrupted', { sponsor, error: error.message })
    }
    await sleep(timers, BOOTSTRAP_RETRY_MS)
  }
  return false
}

function sponsorLostError(sponsor: ReplicaId): FatalError {
  return new FatalError(
    'sponsor_lost',
    `the node that introduced this one (${sponsor}) is gone before the join was finished. Start this node with ` +
      `--rebuild: it moves what it has got aside and joins anew.`,
  )
}

interface Other {
  readonly replica: ReplicaId
  readonly standing: 'here' | 'away' | 'unheard-of'
}

/** Who must know a joiner before it writes, and who of them does. */
export interface Introduction {
  /**
   * Tells a member what this node knows, and learns what it knows: another joiner may know us by nobody else, and waits for us.
   * @returns its roster.
   */
  readonly exchange: (replica: ReplicaId) => Promise<Roster>
  /**
   * Every other member by the roster; `away` when the failure detector holds it for dead or gone, `unheard-of` when it
   * never heard of it.
   */
  readonly others: () => readonly Other[]
  readonly self: ReplicaId
  readonly sponsor: ReplicaId
}

/**
 * Whoever lives is heard of within this time. Only a joiner that died in the middle of joining, along with its sponsor,
 * leaves an id that nobody knows anything about; it would be waited for for ever.
 */
const HEARD_OF_MS = 15_000
/** Whoever is there answers within this time, also where others say that it is away. */
const ANSWERED_MS_MAX = 1_000

/**
 * Waits until every live member has published a roster with this node in it: before that its writes could be lost
 * with its sponsor (R13). Only who is known to be away, and does not answer, is not waited for; and at least one other must
 * know. When a member that is here does not get to know it, the sponsor was lost before it told anybody, and the joiner has to
 * begin anew (R14).
 * @throws {FatalError} `sponsor_lost`
 */
export async function awaitIntroduction(introduction: Introduction, context: JoinContext): Promise<void> {
  const { exchange, others, self, sponsor } = introduction
  const { clock } = context
  const introduced = new Set<ReplicaId>()
  /** Who has refused it as a stranger, and not answered since; with the moment of the first refusal. */
  const refusedSince = new Map<ReplicaId, number>()
  const startedMs = clock.monotonicMs()
  const awaited = (): ReplicaId[] => {
    const isHeardOf = clock.monotonicMs() - startedMs < HEARD_OF_MS
    const isHere = ({ replica, standing }: Other): boolean =>
      standing === 'here' || (standing === 'unheard-of' && isHeardOf) || refusedSince.has(replica)
    return others()
      .filter((other) => isHere(other) && !introduced.has(other.replica))
      .map(({ replica }) => replica)
  }
  /** When somebody who is here last knew it. */
  let knownMs = startedMs
  const isStranded = (): boolean => {
    const nowMs = clock.monotonicMs()
    if (others().some(({ replica, standing }) => standing === 'here' && introduced.has(replica))) knownMs = nowMs
    return awaited().some((replica) => {
      const sinceMs = refusedSince.get(replica) ?? nowMs
      return nowMs - sinceMs > TELLING_MS_MAX || nowMs - Math.max(sinceMs, knownMs) > SPONSOR_SILENCE_MS_MAX
    })
  }
  const introduceTo = async (replica: ReplicaId): Promise<void> => {
    try {
      const roster = await exchange(replica)
      refusedSince.delete(replica)
      if (roster.known.includes(self)) introduced.add(replica)
    } catch (error) {
      if (!(error instanceof RefusalError || error instanceof UnreachableError)) throw error
      context.log.info('not-introduced-yet', { peer: replica, error: error.message })
      if (error instanceof UnreachableError) refusedSince.delete(replica)
      else if (error.code === 'not-introduced' && !refusedSince.has(replica))
        refusedSince.set(replica, clock.monotonicMs())
    }
  }
  // By whose word are they away? A sponsor that was evicted while it was cut off holds everybody else for dead.
  const away = others().filter(({ standing }) => standing === 'away')
  await Promise.race([
    Promise.all(away.map(({ replica }) => introduceTo(replica))),
    sleep(context.timers, ANSWERED_MS_MAX),
  ])
  for (let delayMs = RETRY_MIN_MS; !context.isStopping(); delayMs = nextDelay(delayMs)) {
    for (const replica of awaited()) await introduceTo(replica)
    if (introduced.size > 0 && awaited().length === 0) return
    if (isStranded()) throw sponsorLostError(sponsor)
    await sleep(context.timers, delayMs)
  }
}

export function knownPeerOf({ replica, name, address, clientUrl }: KnownPeer): KnownPeer {
  return { replica, name, address, clientUrl }
}

type Contact = Pick<JoinContext, 'transport' | 'peerTimeoutMs'>

/** Who lives there; `stranger` when it is somebody of another cluster than ours, `undefined` when nobody answers. */
export async function hello(address: string, contact: Contact): Promise<Answer<'hello'> | 'stranger' | undefined> {
  const answer = await memberHello(address, contact)
  return answer === 'fenced' ? undefined : answer
}

/** The same, asked by a member; `fenced` when it holds us for evicted. */
export async function memberHello(
  address: string,
  { transport, peerTimeoutMs }: Contact,
): Promise<Answer<'hello'> | 'stranger' | 'fenced' | undefined> {
  try {
    return await transport.ask({ replica: '', address }, 'hello', {}, Math.min(peerTimeoutMs, 1_000))
  } catch (error) {
    if (error instanceof RefusalError && error.code === 'wrong-cluster') return 'stranger'
    if (error instanceof RefusalError && error.code === 'evicted') return 'fenced'
    if (error instanceof RefusalError || error instanceof UnreachableError) return undefined
    throw error
  }
}

function nextDelay(delayMs: number): number {
  return Math.min(delayMs * 2, RETRY_MAX_MS)
}
