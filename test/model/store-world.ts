import {
  compareHlc,
  judge,
  membersOf,
  VersionVector,
  type Entry,
  type ReplicaId,
} from '../../packages/core/src/index.ts'
import type { Model, Step } from './explorer.ts'
import { faultAtRest, faultNow } from './invariants.ts'
import * as does from './replica-steps.ts'
import type { Wish } from './replica-steps.ts'
import type { Dropped } from './rules.ts'
import { entryText, NOTHING_SPENT, quietTextOf, textOf, type Budget, type Replica, type World } from './world.ts'

/** What may happen in a small world. */
export interface Scope {
  readonly name: string
  /** Wall clocks of the founders, whose ids are A, B, C. */
  readonly wallsMs: readonly number[]
  /** In this order, each at any replica, or at those named. */
  readonly writes: readonly (Wish & { readonly at?: string })[]
  readonly crashes?: number
  /** Rows of tombstones that may be lost without anybody noticing, once everybody covers everything. */
  readonly losses?: number
  /**
   * Whether a loss is noticed at once. Then it may happen at any time, as long as another member holds the row and has seen
   * all that the loser has seen: else it is beyond repair, and no replica any more (R16).
   */
  readonly noticed?: boolean
  readonly evictions?: number
  /** Replicas that join: the first of them is D. */
  readonly joins?: number
  /** Milliseconds that the wall clocks may go on, each by itself. */
  readonly ticks?: number
  /** Whether a batch takes time, in which a replica may publish. */
  readonly pipeline?: boolean
  /** Whether snapshots are taken in, at any time, of any age. */
  readonly imports?: boolean
  /** Puts of a replica Z that is lost and never was heard of; a snapshot of it is left. */
  readonly lost?: readonly (Wish & { readonly counter: number })[]
  /** How often all replicas may be lost at once, but for a snapshot from which a new cluster begins. */
  readonly disasters?: number
  /** Whether complete answers may be late: else question and answer are one step. */
  readonly lateAnswers?: boolean
}

const JOINERS = ['D', 'E', 'G']

export function modelOf(scope: Scope, dropped: Dropped): Model<World> {
  const ids = ['A', 'B', 'C'].slice(0, scope.wallsMs.length)
  const replicas = ids.map((id, index) => does.newReplica(id, { known: ids, evicted: [] }, scope.wallsMs[index] ?? 0))
  const saved = (scope.lost ?? []).map((wish, index) => does.lostEntry(wish, wish.counter, index + 1))
  const initial: World = { replicas, written: [], saved, answers: [], unstored: [], spent: NOTHING_SPENT }
  // Many states come to rest as one.
  const rested = new Map<string, string | undefined>()
  const atRest = (world: World): string | undefined => {
    if (world.spent.writes < scope.writes.length) return undefined
    const text = quietTextOf(world)
    if (!rested.has(text)) rested.set(text, faultAtRest(world, scope, dropped))
    return rested.get(text)
  }
  return {
    initial,
    textOf,
    steps: (world) => stepsOf(world, scope, dropped),
    fault: (world) => faultNow(world, scope) ?? atRest(world),
  }
}

function* stepsOf(world: World, scope: Scope, dropped: Dropped): Generator<Step<World>> {
  for (const replica of world.replicas) {
    if (replica.stage === 'out') {
      yield* returns(world, replica, scope)
      continue
    }
    if (replica.inFlight !== undefined)
      yield { what: `${replica.id} has stored ${entryText(replica.inFlight.entry)}`, state: committed(world, replica) }
    else {
      yield* writes(world, replica, scope, dropped)
      yield* arrivals(world, replica, dropped)
      yield* imports(world, replica, scope, dropped)
      yield* pulls(world, replica, scope, dropped)
      yield* happenings(world, replica, scope, dropped)
    }
    yield* publications(world, replica, dropped)
    if (spare(world, scope, 'crashes'))
      yield {
        what: `${replica.id} crashes and restarts`,
        state: changed(
          { ...world, answers: world.answers.filter(({ to }) => to !== replica.id) },
          does.crashed(replica, dropped),
          { crashes: 1 },
        ),
      }
  }
}

function* writes(world: World, replica: Replica, scope: Scope, dropped: Dropped): Generator<Step<World>> {
  const wish = scope.writes[world.spent.writes]
  if (wish === undefined || (wish.at ?? replica.id) !== replica.id) return
  if (!mayWrite(replica) && !dropped.has('no early writes')) return
  const assigned = does.assign(replica, wish)
  const next = changed(world, assigned, { writes: 1 })
  const what = entryText(assigned.inFlight?.entry ?? fail())
  if (scope.pipeline === true) yield { what: `${replica.id} assigns ${what}`, state: next }
  else yield { what: `${replica.id} writes ${what}`, state: committed(next, assigned) }
}

/** R13: not before bootstrap, nor before every member has published a K with the joiner in it. */
function mayWrite(replica: Replica): boolean {
  if (replica.stage !== 'member') return false
  return (
    replica.sponsor === '' ||
    membersOf(replica.roster).every(
      (id) => id === replica.id || replica.latest.get(id)?.roster.known.includes(replica.id),
    )
  )
}

/** Rumors, partial answers and replays are one: any entry, at any time, from whoever has sent it or holds it. */
function* arrivals(world: World, replica: Replica, dropped: Dropped): Generator<Step<World>> {
  if (replica.stage === 'joining') return
  for (const entry of world.written) {
    const sender = senderOf(world, replica, entry, dropped)
    if (sender === undefined) continue
    const next = does.takeIn(replica, entry, dropped)
    if (next !== replica)
      yield { what: `${replica.id} is sent ${entryText(entry)} by ${sender}`, state: changed(world, next) }
  }
}

/** Out of a snapshot of anybody, of any age. A joiner takes none in. */
function* imports(world: World, replica: Replica, scope: Scope, dropped: Dropped): Generator<Step<World>> {
  if (scope.imports !== true || replica.stage !== 'member') return
  for (const entry of [...world.written, ...world.saved]) {
    const next = does.importing(replica, entry, dropped)
    if (next === replica) continue
    yield {
      what: `${replica.id} imports ${entryText(entry)}`,
      state: changed({ ...world, ...heardOf(world, entry) }, next),
    }
  }
}

function heardOf({ written, saved }: World, entry: Entry): Pick<World, 'written' | 'saved'> {
  if (written.includes(entry)) return { written, saved }
  return { written: inOrder([...written, entry]), saved: saved.filter((other) => other !== entry) }
}

/** R18: what the snapshot does not cover, others may still have in theirs. */
function refounding(world: World, replica: Replica, dropped: Dropped): Step<World> {
  const id = `N${world.spent.disasters + 1}`
  const isKept = (entry: Entry): boolean => covers(replica, entry)
  const spent = { ...world.spent, disasters: world.spent.disasters + 1 }
  return {
    what: `all is lost, and ${id} begins from a snapshot of ${replica.id}`,
    state: {
      replicas: [does.refounded(replica, id, dropped)],
      written: world.written.filter(isKept),
      saved: inOrder([...world.saved, ...world.written.filter((entry) => !isKept(entry))]),
      answers: [],
      unstored: [],
      spent,
    },
  }
}

/** Who wrote it has sent it once, and whoever holds it may. */
export function senderOf(world: World, replica: Replica, entry: Entry, dropped: Dropped): ReplicaId | undefined {
  const senders = [entry.version.replica, ...world.replicas.filter((other) => holds(other, entry)).map(({ id }) => id)]
  return senders.find((id) => id !== replica.id && isHeard(replica, id, dropped))
}

export function isHeard(replica: Replica, from: ReplicaId, dropped: Dropped): boolean {
  if (replica.stage === 'joining') return from === replica.sponsor && !replica.roster.evicted.includes(from)
  const refusal = judge(
    { cluster: 'c', from, to: replica.id, name: 'rumors' },
    does.identityOf(replica),
    replica.roster,
  )
  return refusal === undefined || (refusal === 'evicted' && dropped.has('fence'))
}

function holds(replica: Replica, entry: Entry): boolean {
  return replica.rows.get(entry.address) === entry
}

function* pulls(world: World, replica: Replica, scope: Scope, dropped: Dropped): Generator<Step<World>> {
  for (const answer of world.answers) {
    const isMine =
      answer.to === replica.id || (dropped.has('bound to an id') && predecessor(world, replica) === answer.to)
    if (!isMine || !isHeard(replica, answer.from, dropped)) continue
    const answers = world.answers.filter((other) => other !== answer)
    yield {
      what: `${replica.id} is answered by ${answer.from} (to ${answer.to})`,
      state: changed({ ...world, answers }, does.adopt(replica, answer, dropped)),
    }
  }
  for (const other of world.replicas) {
    if (!mayPull(replica, other, dropped)) continue
    if (world.answers.some(({ from, to }) => from === other.id && to === replica.id)) continue
    const answer = does.completeAnswer(other, replica)
    if (scope.lateAnswers === true)
      yield {
        what: `${other.id} answers the pull of ${replica.id}`,
        state: { ...world, answers: [...world.answers, answer] },
      }
    else
      yield {
        what: `${replica.id} pulls from ${other.id}`,
        state: changed(world, does.adopt(replica, answer, dropped)),
      }
  }
}

/** A joiner knows its sponsor alone (R13). Others ask members, and are answered as members. */
export function mayPull(replica: Replica, other: Replica, dropped: Dropped): boolean {
  if (other === replica || other.stage !== 'member' || replica.stage === 'out') return false
  if (other.suspect && !dropped.has('suspects are silent')) return false
  if (replica.stage === 'joining') return other.id === replica.sponsor
  return isHeard(other, replica.id, dropped) && isHeard(replica, other.id, dropped)
}

function* publications(world: World, replica: Replica, dropped: Dropped): Generator<Step<World>> {
  const publishing = does.promiseTime(replica)
  for (const other of world.replicas) {
    if (other === replica || other.stage !== 'member' || replica.stage !== 'member') continue
    // Each learns of the other's roster in the same exchange, so one mark of an eviction is enough to end it.
    if (!isHeard(other, replica.id, dropped)) continue
    const publication = does.publicationOf(publishing, dropped)
    const heard = does.hear(other, publication, replica.frontier, dropped)
    yield { what: `${replica.id} publishes to ${other.id}`, state: changed(changed(world, publishing), heard) }
  }
  if (replica.stage === 'member')
    yield { what: `${replica.id} looks at the frontier`, state: changed(world, does.frontierStep(publishing, dropped)) }
}

function* happenings(world: World, replica: Replica, scope: Scope, dropped: Dropped): Generator<Step<World>> {
  if (spare(world, scope, 'ticks')) {
    const later = { ...replica, wallMs: replica.wallMs + 1 }
    yield {
      what: `the clock of ${replica.id} goes on`,
      state: changed(world, does.swept(later, dropped), { ticks: 1 }),
    }
  }
  if (spare(world, scope, 'losses'))
    for (const [key, entry] of replica.rows)
      if (entry.value === undefined && mayLose(world, replica, entry, scope))
        yield {
          what: `${replica.id} loses the row of ${key}`,
          state: changed(world, does.losing(replica, key, scope.noticed === true), { losses: 1 }),
        }
  for (const clean of world.replicas)
    if (does.mayMend(replica, clean, dropped))
      yield {
        what: `${replica.id} mends its leaf by ${clean.id}`,
        state: changed(world, does.mended(replica, clean, dropped)),
      }
  if (replica.stage !== 'member') return
  if (spare(world, scope, 'disasters')) yield refounding(world, replica, dropped)
  if (spare(world, scope, 'evictions'))
    for (const member of membersOf(replica.roster))
      if (member !== replica.id)
        yield {
          what: `${replica.id} evicts ${member}`,
          state: changed(world, does.evicting(replica, member), { evictions: 1 }),
        }
  if (spare(world, scope, 'joins')) yield joining(world, replica, JOINERS[world.spent.joins] ?? fail(), dropped)
  for (const [sponsor, joiner] of world.unstored)
    if (sponsor === replica.id)
      yield {
        what: `${sponsor} stores that ${joiner} is a member`,
        state: changed({ ...world, unstored: [] }, does.introduced(replica, joiner)),
      }
}

function mayLose(world: World, replica: Replica, entry: Entry, { noticed }: Scope): boolean {
  if (noticed === true)
    return world.replicas.some(
      (other) =>
        other !== replica &&
        holds(other, entry) &&
        world.written.every((each) => covers(other, each) || !covers(replica, each)),
    )
  return world.replicas.every((other) => world.written.every((each) => covers(other, each)))
}

function joining(world: World, sponsor: Replica, id: ReplicaId, dropped: Dropped): Step<World> {
  const isLate = dropped.has('stored before told')
  const knowing = does.introduced(sponsor, id)
  const wallMs = 0
  const joiner: Replica = {
    ...does.newReplica(id, knowing.roster, wallMs),
    stage: 'joining',
    sponsor: sponsor.id,
    now: dropped.has('no early writes') ? does.newReplica(id, knowing.roster, wallMs).now : sponsor.now,
  }
  const next = changed(world, isLate ? sponsor : knowing, { joins: 1 })
  const unstored = isLate ? [[sponsor.id, id] as const] : []
  return {
    what: `${id} joins through ${sponsor.id}`,
    state: { ...next, replicas: [...next.replicas, joiner], unstored },
  }
}

/** Who has found itself evicted comes back empty, as a new replica (R15). */
function* returns(world: World, replica: Replica, scope: Scope): Generator<Step<World>> {
  const id = `${replica.id}'`
  if (world.replicas.some((other) => other.id === id) || (scope.evictions ?? 0) === 0) return
  for (const sponsor of world.replicas)
    if (sponsor.stage === 'member' && !sponsor.roster.evicted.includes(sponsor.id)) {
      const step = joining(world, sponsor, id, new Set())
      yield { what: `${replica.id} returns: ${step.what}`, state: { ...step.state, spent: world.spent } }
    }
}

function predecessor(world: World, replica: Replica): ReplicaId | undefined {
  return world.replicas.find(({ id }) => replica.id === `${id}'`)?.id
}

export function committed(world: World, replica: Replica): World {
  const entry = replica.inFlight?.entry ?? fail()
  return {
    ...changed(world, does.commit(replica)),
    written: inOrder([...world.written, entry]),
  }
}

function inOrder(entries: readonly Entry[]): readonly Entry[] {
  return entries.toSorted((a, b) => compareHlc(a.version.hlc, b.version.hlc) || (a.hash < b.hash ? -1 : 1))
}

function changed(world: World, replica: Replica, spends: Partial<Budget> = {}): World {
  const spent = { ...world.spent }
  for (const [name, count] of Object.entries(spends) as [keyof Budget, number][]) spent[name] += count
  return { ...world, spent, replicas: world.replicas.map((other) => (other.id === replica.id ? replica : other)) }
}

function spare(world: World, scope: Scope, what: Exclude<keyof Budget, 'writes'>): boolean {
  return world.spent[what] < (scope[what] ?? 0)
}

function fail(): never {
  throw new Error('the model has lost its way')
}

export function covers({ vector, folded }: Replica, { dot }: Entry): boolean {
  return folded.includes(dot.writer) || VersionVector.of(vector).covers(dot)
}
