import { hlcText, rosterText, vectorText } from '../../packages/core/src/index.ts'
import type {
  Barrier,
  Entry,
  Hlc,
  Publication,
  ReplicaId,
  Roster,
  VectorRows,
  WriterId,
} from '../../packages/core/src/index.ts'

/** One replica, as a value. What core keeps in 256 partitions is one here. */
export interface Replica {
  readonly id: ReplicaId
  /** `out`: it has found itself evicted, and has stopped. */
  readonly stage: 'joining' | 'member' | 'out'
  readonly sponsor: ReplicaId | ''
  readonly wallMs: number
  // Durable.
  readonly rows: ReadonlyMap<string, Entry>
  readonly vector: VectorRows
  readonly frontier: Hlc
  readonly reserve: Hlc
  readonly roster: Roster
  readonly folded: readonly WriterId[]
  readonly closed: readonly WriterId[]
  // Gone with a crash.
  readonly writer: WriterId
  readonly issued: number
  readonly now: Hlc
  /** H as it was before the batch under way, and what that is about to store (R2). */
  readonly inFlight: { readonly entry: Entry; readonly promise: Hlc } | undefined
  readonly latest: ReadonlyMap<ReplicaId, Publication>
  readonly barrier: Barrier | undefined
  /** It has lost a row and knows: its rows do not add up to its sum (R19). */
  readonly suspect: boolean
}

/** A complete answer on its way. It is delivered at most once, and at any time (it is bound to its question). */
export interface CompleteAnswer {
  readonly from: ReplicaId
  readonly to: ReplicaId
  readonly entries: readonly Entry[]
  readonly vector: VectorRows
  readonly folded: readonly WriterId[]
  readonly frontier: Hlc
  readonly clock: Hlc
}

/** What may still happen: it keeps a scope finite. */
export interface Budget {
  /** Writes done so far, of those of the scope. */
  readonly writes: number
  readonly crashes: number
  readonly losses: number
  readonly evictions: number
  readonly joins: number
  readonly ticks: number
  readonly disasters: number
}

export interface World {
  readonly replicas: readonly Replica[]
  /** Every entry that was ever committed. Each may arrive at anybody at any time, any number of times, or never. */
  readonly written: readonly Entry[]
  /** What is in snapshots of lost replicas, and of which no member of this cluster has heard. */
  readonly saved: readonly Entry[]
  readonly answers: readonly CompleteAnswer[]
  /** Sponsors and joiners that they have answered and not stored yet: only without a rule of R13. */
  readonly unstored: readonly (readonly [ReplicaId, ReplicaId])[]
  readonly spent: Budget
}

export const NOTHING_SPENT: Budget = {
  writes: 0,
  crashes: 0,
  losses: 0,
  evictions: 0,
  joins: 0,
  ticks: 0,
  disasters: 0,
}

/** Equal worlds have equal text. */
export function textOf(world: World): string {
  const { spent } = world
  return [
    ...world.replicas.map(replicaText),
    world.written.map(entryText).join(),
    world.saved.map(entryText).join(),
    world.answers.map(answerText).toSorted().join(),
    world.unstored.join(),
    `${spent.writes}.${spent.crashes}.${spent.losses}.${spent.evictions}.${spent.joins}.${spent.ticks}.${spent.disasters}`,
  ].join('\n')
}

export function entryText({ hash, version }: Entry): string {
  return `${hash}@${short(version.hlc)}`
}

/** Most replicas are the same object from one state to the next. */
const wholeTexts = new WeakMap<object, string>()
const ownTexts = new WeakMap<object, string>()

function remembered<T extends object>(texts: WeakMap<object, string>, of: T, make: (of: T) => string): string {
  let text = texts.get(of)
  if (text === undefined) {
    text = make(of)
    texts.set(of, text)
  }
  return text
}

/** All of a world that still matters once everybody has published anew and no answer is on its way. */
export function quietTextOf({ replicas, written, unstored }: World): string {
  return [...replicas.map(ownText), written.map(entryText).join(), unstored.join()].join('\n')
}

function replicaText(replica: Replica): string {
  return remembered(wholeTexts, replica, (own) =>
    [ownText(own), ...[...own.latest.values()].map(publicationText).toSorted()].join('&'),
  )
}

function ownText(replica: Replica): string {
  return remembered(ownTexts, replica, ({ rows, barrier, inFlight, ...rest }) =>
    [
      rest.id,
      rest.stage,
      rest.sponsor,
      rest.wallMs,
      [...rows.values()].map(entryText).toSorted().join(),
      vectorText(rest.vector),
      short(rest.frontier),
      short(rest.reserve),
      rosterText(rest.roster),
      rest.folded.join(),
      rest.closed.join(),
      rest.writer,
      rest.issued,
      rest.suspect ? 'suspect' : '',
      short(rest.now),
      inFlight === undefined ? '' : `${entryText(inFlight.entry)}>${short(inFlight.promise)}`,
      barrier === undefined
        ? ''
        : `${short(barrier.promise)}${barrier.union.map((vector) => vectorText(vector.rows())).join()}!${barrier.evicted.join()}`,
    ].join('/'),
  )
}

function publicationText(publication: Publication): string {
  return remembered(wholeTexts, publication, ({ replica, roster, promise, vectors, folded, closed }) =>
    [
      replica,
      rosterText(roster),
      short(promise),
      vectors.map((vector) => vectorText(vector.rows())).join(),
      [...folded].join(),
      closed.join(),
    ].join('~'),
  )
}

function answerText(answer: CompleteAnswer): string {
  return remembered(wholeTexts, answer, ({ from, to, entries, vector, frontier, clock, folded }) =>
    [from, to, entries.map(entryText).join(), vectorText(vector), short(frontier), short(clock), folded.join()].join(
      '~',
    ),
  )
}

function short(hlc: Hlc): string {
  return hlc.wallMs === 0 ? String(hlc.counter) : hlcText(hlc)
}
