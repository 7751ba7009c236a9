import {
  acksNeeded,
  bytesOf,
  compareVersions,
  Newest,
  partitionOf,
  presentAt,
  ReadError,
  RefusalError,
  Tally,
  UnreachableError,
  type Address,
  type Answer,
  type Entry,
  type Hash,
  type Held,
  type Log,
  type Measures,
  type Peer,
  type Question,
  type ReplicaId,
  type Store,
  type Timers,
} from '@grapevine/core'
import type { AskMember } from './ask-member.ts'
import type { Intake } from './intake.ts'
import type { Owners } from './owners.ts'
import type { ReplicaState } from './replica-state.ts'
import type { SuspectLeaves } from './suspect-leaves.ts'

export interface QuorumReadContext {
  readonly ask: AskMember
  readonly owners: Owners
  readonly livePeers: () => readonly Peer[]
  readonly state: () => ReplicaState
  readonly store: Store
  readonly intake: Intake
  /** Brings back a row that cannot be read. */
  readonly heal: (address: Address) => Promise<Held>
  readonly suspects: SuspectLeaves
  readonly hash: Hash
  readonly timers: Timers
  readonly measures: Measures
  readonly log: Log
}

/**
 * The newest of what so many members hold of a key, this one included, counted among all members as for writes. So a
 * read by `quorum` sees every write by `quorum` that was acknowledged before it began: two majorities of the same
 * members have one in common. What is newer than what is held here is taken in before it is told (read repair), so that
 * a write that follows is later; those that turned out to be behind are sent it.
 * @throws {ReadError}
 */
export async function quorumRead(
  address: Address,
  from: 'quorum' | 'all',
  timeoutMs: number,
  context: QuorumReadContext,
): Promise<Held> {
  const { state, store, heal, hash } = context
  const keyHash = hash.sha256(bytesOf(address))
  let own = presentAt(store.read(address), state().frontier)
  if (own === 'corrupt') own = await heal(address)
  if (own === 'corrupt') return own
  const newest = new Newest(own, state().frontier)
  await askMembers(address, newest, { needed: from, timeoutMs, keyHash }, context)
  const { entry, from: source } = newest
  const told = entry === undefined || source === undefined ? own : await takeIn(entry, source, context)
  if (entry !== undefined && newest.behind.length > 0) repairOthers(address, entry, newest.behind, context)
  return told
}

interface Ask {
  readonly needed: 'quorum' | 'all'
  readonly timeoutMs: number
  readonly keyHash: string
}

function askMembers(
  address: Address,
  newest: Newest,
  { needed: from, timeoutMs, keyHash }: Ask,
  { ask, owners, livePeers, suspects, timers }: QuorumReadContext,
): Promise<void> {
  const all = owners.ofEntry({ keyHash })
  const needed = acksNeeded(from, all.length)
  const live = livePeers().filter(({ replica }) => all.includes(replica))
  // A tally counts whoever asks. But who may have lost the row cannot say that there is nothing newer, here as elsewhere.
  const uncounted = suspects.hasIn(partitionOf(keyHash)) && all.length > 1 ? 1 : 0
  const tally = new Tally(
    needed + uncounted,
    live.map(({ replica }) => replica),
  )
  const told = (): number => tally.acks - uncounted
  const of = `${needed} of ${all.length} members have to be asked`
  if (tally.verdict === 'impossible')
    return Promise.reject(new ReadError('quorum_not_met', `${of}, and ${live.length + 1 - uncounted} can be`))
  return new Promise((resolve, reject) => {
    let isOver = false
    const end = (settle: () => void): void => {
      isOver = true
      deadline.cancel()
      settle()
    }
    const deadline = timers.after(timeoutMs, () =>
      end(() => reject(new ReadError('timeout', `${of}, and ${told()} have answered in time`))),
    )
    const judge = (): void => {
      if (isOver) return
      if (tally.verdict === 'reached') end(resolve)
      if (tally.verdict === 'impossible')
        end(() => reject(new ReadError('quorum_not_met', `${of}, and only ${told()} can tell what they hold`)))
    }
    const held = newest.entry === undefined ? [] : [newest.entry.version]
    const question: Question<'newest-entry'> = { address, held, entries: [] }
    for (const { replica } of live)
      ask(replica, 'newest-entry', question, timeoutMs).then(
        (answer) => {
          if (!isOver && answer.readable) newest.tell(replica, answer.held[0], answer.entries[0])
          tally.record(replica, answer.readable)
          judge()
        },
        (error: unknown) => {
          // A bug in what was decoded is as much no answer as none; it is in the log of whoever made it.
          tally.record(replica, false)
          judge()
          if (!(error instanceof UnreachableError || error instanceof RefusalError)) end(() => reject(asError(error)))
        },
      )
    judge()
  })
}

/** What is told afterwards: what is held here by then, which is the entry or something newer. */
async function takeIn(entry: Entry, from: ReplicaId, context: QuorumReadContext): Promise<Held> {
  const { intake, store, state, measures, log } = context
  try {
    const [fate] = await intake.takeIn({ entries: [entry], source: 'read-repair', from })
    if (fate === 'news') measures.add('read_repairs')
    const held = presentAt(store.read(entry.address), state().frontier)
    const isHeld = typeof held === 'object' && compareVersions(held.version, entry.version) >= 0
    return isHeld ? held : entry
  } catch (error) {
    // As on a disk that is full: the reader is served all the same.
    log.warn('read-not-repaired', { address: entry.address, error: String(error) })
    return entry
  }
}

/** Nobody waits for it: whoever cannot be told now learns it from the next pull. */
function repairOthers(address: Address, entry: Entry, behind: readonly ReplicaId[], { ask }: QuorumReadContext): void {
  for (const replica of behind)
    ask(replica, 'newest-entry', { address, held: [entry.version], entries: [entry] }).catch(() => {})
}

/** The other side. It takes in what it is given, and tells what it then holds. */
export async function newestEntry(
  { address, held, entries }: Question<'newest-entry'>,
  from: ReplicaId,
  { state, store, intake, suspects, hash }: Pick<QuorumReadContext, 'state' | 'store' | 'intake' | 'suspects' | 'hash'>,
): Promise<Answer<'newest-entry'>> {
  if (entries.length > 0) await intake.takeIn({ entries, source: 'read-repair', from })
  const own = presentAt(store.read(address), state().frontier)
  // Who may have lost the row cannot say that there is none.
  const isDoubtful = own === 'corrupt' || suspects.hasIn(partitionOf(hash.sha256(bytesOf(address))))
  if (isDoubtful) return { readable: false, held: [], entries: [] }
  if (own === undefined) return { readable: true, held: [], entries: [] }
  const [known] = held
  const isNewer = known === undefined || compareVersions(own.version, known) > 0
  return { readable: true, held: [own.version], entries: isNewer ? [own] : [] }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
