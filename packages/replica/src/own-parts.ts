import { leafOf, type Address, type Held, type Hlc, type Peer } from '@grapevine/core'
import type { AskMember } from './ask-member.ts'
import { BucketPolicies } from './bucket-policies.ts'
import { Committer } from './committer.ts'
import { DiskWatch } from './disk-watch.ts'
import { ExchangeLog } from './exchange-log.ts'
import { Healer } from './heal.ts'
import { Intake } from './intake.ts'
import { LeafMender } from './leaf-mender.ts'
import type { MemberParts } from './member-parts.ts'
import { membershipChanger, type ChangeMembership } from './membership-change.ts'
import type { PullContext } from './pull-round.ts'
import { Readiness } from './readiness.ts'
import { RecentCommits } from './recent-commits.ts'
import type { ReplicaOptions } from './replica-options.ts'
import { Rounds } from './rounds.ts'
import { Scrubber } from './scrubber.ts'
import { Sessions } from './sessions.ts'
import { SuspectLeaves } from './suspect-leaves.ts'
import { VersionWatch } from './version-watch.ts'
import { ChangeFeed } from './watch/change-feed.ts'
import { ExpiryTeller } from './watch/expiry-teller.ts'

/** What a replica has from the start, before it knows who it is. */
export interface OwnParts {
  readonly readiness: Readiness
  readonly disk: DiskWatch
  readonly committer: Committer
  readonly intake: Intake
  readonly suspects: SuspectLeaves
  readonly versions: VersionWatch
  readonly healer: Healer
  readonly mender: LeafMender
  readonly scrubber: Scrubber
  readonly rounds: Rounds
  readonly changeMembership: ChangeMembership
  readonly exchanges: ExchangeLog
  readonly policies: BucketPolicies
  readonly sessions: Sessions
  readonly feed: ChangeFeed
}

export interface OwnContext {
  readonly options: ReplicaOptions
  /** Once it knows who it is. */
  readonly member: () => MemberParts | undefined
  /** @throws {RefusalError} before. */
  readonly memberOrRefuse: () => MemberParts
  readonly read: (address: Address) => Held
  readonly livePeers: () => readonly Peer[]
  /** Nobody, while repairing is paused. */
  readonly peersToRepairFrom: () => readonly Peer[]
  readonly isAlone: () => boolean
  readonly pullingForSessions: () => PullContext | undefined
  readonly raiseFrontier: (atLeast: Hlc) => Promise<unknown>
  /** The state is again what is on disk, after a commit of which nobody could tell what became of it. */
  readonly onReopened: () => void
}

export function assembleOwn(context: OwnContext): OwnParts {
  const { options, member, memberOrRefuse, livePeers } = context
  const { store, clock, timers, settings } = options
  const { driftMs } = settings
  const disk = new DiskWatch({ ...options, disk: options.disk, reserveBytes: settings.diskReserveBytes })
  const committer = new Committer({ ...options, disk })
  const state = (): Committer['state'] => committer.state
  const readiness = new Readiness({
    options,
    state,
    member,
    isReopening: () => committer.isReopening,
    isReadOnly: () => disk.isReadOnly,
  })
  const intake = new Intake({ ...options, committer, driftMs })
  const commits = new RecentCommits(clock.wallMs())
  const versions = new VersionWatch({
    store,
    timers,
    commits,
    frontier: () => committer.state.frontier,
    landed: () => committer.landed(),
  })
  const changeMembership = membershipChanger(committer)
  const policies = new BucketPolicies({ read: context.read, epoch: () => committer.policyEpoch })
  const suspects = new SuspectLeaves(options)
  const ask: AskMember = (...question) => memberOrRefuse().ask(...question)
  const asking = {
    ...options,
    state,
    committer,
    changeMembership,
    suspects,
    ask,
    livePeers: context.peersToRepairFrom,
  }
  const mender: LeafMender = new LeafMender({
    ...asking,
    driftMs,
    publishTo: (replica) => memberOrRefuse().publishTo(replica),
    learnFrontier: (frontier, from) => memberOrRefuse().learnFrontier(frontier, from),
    sweep: () => memberOrRefuse().purger.sweep(),
    nameOf: (replica) => member()?.detector.member(replica)?.name ?? replica,
    isReadOnly: () => committer.isReadOnly,
    isAlone: context.isAlone,
  })
  const healer = new Healer({ ...asking, intake, mend: (...what) => mender.mend(...what) })
  const scrubber = new Scrubber({
    ...asking,
    healer,
    mender,
    progress: options.scrubProgress,
    bytesPerSecond: settings.scrubBytesPerSecond,
    isStopping: () => readiness.isStopping,
  })
  const sessions = new Sessions({
    ...options,
    state,
    pulling: context.pullingForSessions,
    livePeers,
    raiseFrontier: context.raiseFrontier,
  })
  const feed = new ChangeFeed({ ...options, state, itemsMax: settings.feedItems })
  feed.start()
  new ExpiryTeller({ ...options, feed }).start()

  committer.onDurable = (changes, wallMs) => {
    // In whole milliseconds, and rather late than early.
    const atMs = Math.ceil(wallMs)
    commits.note(changes.values(), atMs)
    versions.committed(changes.values(), atMs)
  }
  committer.onCommitted = (plan) => {
    feed.committed(plan)
    sessions.look()
  }
  committer.onReopened = () => {
    feed.reset()
    sessions.look()
    context.onReopened()
  }
  committer.onDoubt = (leaf) => suspects.onDoubtfulLeaf(leaf)
  intake.onUnreadable = (address) => healer.suspect(address)
  intake.onRefused = ({ keyHash }, from) => mender.examine(leafOf(keyHash), from)

  return {
    readiness,
    disk,
    committer,
    intake,
    suspects,
    versions,
    healer,
    mender,
    scrubber,
    rounds: new Rounds(options),
    changeMembership,
    exchanges: new ExchangeLog(options),
    policies,
    sessions,
    feed,
  }
}
