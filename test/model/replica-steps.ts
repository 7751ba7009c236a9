import {
  admit,
  admitImport,
  advanceFrontier,
  compareHlc,
  evict,
  foldableWriters,
  HLC_ZERO,
  HybridClock,
  introduce,
  isExpired,
  isPurgeable,
  laterHlc,
  leavesNoTrace,
  membersOf,
  mergeRosters,
  presentAt,
  replaceLeaf,
  VersionVector,
} from '../../packages/core/src/index.ts'
import type {
  Dot,
  Entry,
  Hlc,
  Identity,
  ImportAdmission,
  Publication,
  ReplicaId,
  Roster,
  Version,
} from '../../packages/core/src/index.ts'
import type { Dropped } from './rules.ts'
import type { CompleteAnswer, Replica } from './world.ts'

// What a replica does, as functions from one value of it to the next. They put the decisions of core together as the
// conversations of `replica` do, and decide nothing themselves, unless a rule is dropped.

const CLUSTER = 'c'

export function newReplica(id: ReplicaId, roster: Roster, wallMs: number): Replica {
  return {
    id,
    stage: 'member',
    sponsor: '',
    wallMs,
    rows: new Map(),
    vector: [],
    frontier: HLC_ZERO,
    reserve: HLC_ZERO,
    roster,
    folded: [],
    closed: [],
    writer: `${id}1`,
    issued: 0,
    now: HLC_ZERO,
    inFlight: undefined,
    latest: new Map(),
    barrier: undefined,
    suspect: false,
  }
}

export function identityOf({ id, stage, sponsor }: Replica): Identity {
  return {
    cluster: CLUSTER,
    replica: id,
    name: id,
    stage: stage === 'joining' ? 'joining' : 'member',
    sponsor,
    incarnation: 0,
  }
}

export interface Wish {
  readonly key: string
  /** Without a value it is a delete. */
  readonly value?: string
  readonly expiresAtMs?: number
}

function entryOf({ key, value, expiresAtMs = 0 }: Wish, version: Version, dot: Dot): Entry {
  return {
    address: key,
    keyHash: key,
    version,
    dot,
    expiresAtMs,
    contentType: '',
    value: value === undefined ? undefined : new TextEncoder().encode(value),
    name: undefined,
    hash: `${value ?? 'delete'}(${key})#${dot.writer}.${dot.seq}`,
    envelope: new Uint8Array(),
  }
}

/** A write of a replica that was lost before anybody heard of it. */
export function lostEntry(wish: Wish, counter: number, seq: number): Entry {
  return entryOf(wish, { hlc: { wallMs: 0, counter }, replica: 'Z' }, { writer: 'Z1', seq })
}

/** Version and dot are assigned; the batch is not on disk yet (R1). */
export function assign(replica: Replica, { key, value, expiresAtMs = 0 }: Wish): Replica {
  const clock = clockOf(replica)
  const hlc = clock.tick(replica.wallMs, replica.rows.get(key)?.version.hlc)
  const dot = { writer: replica.writer, seq: replica.issued + 1 }
  const entry = entryOf({ key, ...(value !== undefined && { value }), expiresAtMs }, { hlc, replica: replica.id }, dot)
  const inFlight = { entry, promise: replica.now }
  return { ...replica, now: clock.now, issued: dot.seq, inFlight }
}

export function commit(replica: Replica): Replica {
  const { inFlight } = replica
  if (inFlight === undefined) return replica
  const rows = new Map(replica.rows).set(inFlight.entry.address, inFlight.entry)
  const vector = VersionVector.of(replica.vector)
  vector.add(inFlight.entry.dot)
  return reserving({ ...replica, rows, vector: vector.rows(), inFlight: undefined })
}

/** R4, R5, R6. */
export function takeIn(replica: Replica, entry: Entry, dropped: Dropped): Replica {
  const isAllNews = dropped.has('old and covered are refused')
  const covered = isCovered(replica, entry)
  const admission = admit(entry, {
    held: presentAt(replica.rows.get(entry.address), replica.frontier),
    clock: replica.now,
    covered: covered && !dropped.has('covered is refused') && !isAllNews,
    frontier: isAllNews ? HLC_ZERO : replica.frontier,
    bootstrapping: replica.stage === 'joining' && !dropped.has('all for a joiner'),
    healing: false,
  })
  return applied(replica, entry, admission, dropped)
}

/** R17: an entry out of a snapshot, of whatever age and whomever. */
export function importing(replica: Replica, entry: Entry, dropped: Dropped): Replica {
  const context = {
    held: presentAt(replica.rows.get(entry.address), replica.frontier),
    clock: replica.now,
    covered: isCovered(replica, entry),
    frontier: replica.frontier,
  }
  const admission = dropped.has('above the promise')
    ? admit(entry, { ...context, bootstrapping: false, healing: false })
    : admitImport(entry, { ...context, promise: publicationOf(replica, dropped).promise })
  return applied(replica, entry, admission, dropped)
}

function isCovered({ folded, vector }: Replica, { dot }: Entry): boolean {
  return folded.includes(dot.writer) || VersionVector.of(vector).covers(dot)
}

function applied(replica: Replica, entry: Entry, admission: ImportAdmission, dropped: Dropped): Replica {
  if (leavesNoTrace(admission)) return replica
  const covered = isCovered(replica, entry)
  const isOld = admission !== 'news' && covered && compareHlc(entry.version.hlc, replica.now) <= 0
  if (isOld) return replica
  const vector = VersionVector.of(replica.vector)
  if (!covered) vector.add(entry.dot)
  const clock = clockOf(replica)
  clock.witness(entry.version.hlc)
  const rows = admission === 'news' ? new Map(replica.rows).set(entry.address, entry) : replica.rows
  return reserving(
    swept({ ...replica, rows, vector: covered ? replica.vector : vector.rows(), now: clock.now }, dropped),
  )
}

/** R18: the founder of a new cluster, with all that a snapshot of this replica holds. */
export function refounded(replica: Replica, id: ReplicaId, dropped: Dropped): Replica {
  const { rows, vector, folded, wallMs } = replica
  const founder = { ...newReplica(id, { known: [id], evicted: [] }, wallMs), rows, vector, folded }
  const clock = clockOf(founder)
  for (const entry of rows.values()) clock.witness(entry.version.hlc)
  if (dropped.has('frontier and clock of a snapshot')) return reserving({ ...founder, now: clock.now })
  clock.witness(replica.now)
  return reserving({ ...founder, frontier: replica.frontier, now: clock.now })
}

/** What one replica tells another that has missed something, read in one moment (R7). */
export function completeAnswer(answering: Replica, asking: Replica): CompleteAnswer {
  const theirs = VersionVector.of(asking.vector)
  return {
    from: answering.id,
    to: asking.id,
    entries: [...answering.rows.values()].filter(
      ({ dot }) => asking.stage === 'joining' || !(asking.folded.includes(dot.writer) || theirs.covers(dot)),
    ),
    vector: answering.vector,
    folded: answering.folded,
    frontier: answering.frontier,
    clock: answering.now,
  }
}

export function adopt(replica: Replica, answer: CompleteAnswer, dropped: Dropped): Replica {
  const entries = dropped.has('whole answers') ? answer.entries.slice(0, answer.entries.length / 2) : answer.entries
  // Without R13 the frontier comes first, and then the entries are judged by it.
  let next = dropped.has('all for a joiner') ? raised(replica, answer.frontier, dropped) : replica
  for (const entry of entries) next = takeIn(next, entry, dropped)
  const folded = union(next.folded, answer.folded)
  const vector = VersionVector.of(next.vector)
  vector.adopt(answer.vector)
  for (const writer of folded) vector.forget(writer)
  const clock = clockOf(next)
  if (!dropped.has('no early writes')) clock.witness(answer.clock)
  next = { ...next, stage: 'member', vector: vector.rows(), folded, now: clock.now }
  return reserving(raised(next, answer.frontier, dropped))
}

/** Of one moment between two batches (R2). */
export function publicationOf(replica: Replica, dropped: Dropped): Publication {
  const { inFlight, now } = replica
  return {
    replica: replica.id,
    roster: replica.roster,
    promise: inFlight === undefined || dropped.has('below what is in flight') ? now : inFlight.promise,
    vectors: [VersionVector.of(replica.vector)],
    folded: new Set(replica.folded),
    closed: replica.closed.filter((writer) => !replica.folded.includes(writer)),
  }
}

/** The clock follows the wall clock, so that the promise does, also when nobody writes. */
export function promiseTime(replica: Replica): Replica {
  if (replica.inFlight !== undefined) return replica
  const clock = clockOf(replica)
  clock.witness({ wallMs: replica.wallMs, counter: 0 })
  return compareHlc(clock.now, replica.now) === 0 ? replica : reserving({ ...replica, now: clock.now })
}

/** A publication has arrived: what it says of others is stored before it counts (R9). */
export function hear(replica: Replica, publication: Publication, frontier: Hlc, dropped: Dropped): Replica {
  const next = learn(replica, publication.roster, [...publication.folded])
  if (next.stage === 'out') return next
  return raised({ ...next, latest: new Map(next.latest).set(publication.replica, publication) }, frontier, dropped)
}

export function learn(replica: Replica, roster: Roster, folds: readonly string[]): Replica {
  const merged = mergeRosters(replica.roster, roster)
  const folded = union(replica.folded, folds)
  const stage = merged.evicted.includes(replica.id) ? 'out' : replica.stage
  if (folded === replica.folded) return { ...replica, roster: merged, stage }
  const vector = VersionVector.of(replica.vector)
  for (const writer of folded) vector.forget(writer)
  return { ...replica, roster: merged, stage, folded, vector: vector.rows() }
}

export function introduced(replica: Replica, joiner: ReplicaId): Replica {
  return { ...replica, roster: introduce(replica.roster, joiner) }
}

export function evicting(replica: Replica, member: ReplicaId): Replica {
  return { ...replica, roster: evict(replica.roster, member) }
}

/** One step of the frontier on what was published so far (R9), and what follows from it. */
export function frontierStep(replica: Replica, dropped: Dropped): Replica {
  const members = new Set(membersOf(replica.roster))
  const own = publicationOf(replica, dropped)
  const publications = new Map([...replica.latest, [replica.id, own] as const].filter(([id]) => members.has(id)))
  if (dropped.has('marked publications'))
    for (const [id, publication] of publications)
      publications.set(id, { ...publication, roster: mergeRosters(publication.roster, replica.roster) })
  const { roster, frontier, barrier } = replica
  const step = advanceFrontier({ roster, frontier, barrier, publications })
  const folds = foldableWriters(roster, publications, new Set(replica.folded))
  const heard = new Map([...publications].filter(([id]) => id !== replica.id))
  const next = learn({ ...replica, latest: heard, barrier: step.barrier }, roster, folds)
  return raised(next, wrongFrontier([...publications.values()], replica, dropped) ?? step.frontier, dropped)
}

function wrongFrontier(all: readonly Publication[], replica: Replica, dropped: Dropped): Hlc | undefined {
  if (all.length < membersOf(replica.roster).length) return undefined
  const least = (of: readonly Publication[]): Hlc | undefined =>
    of.map(({ promise }) => promise).toSorted(compareHlc)[0]
  if (dropped.has('two rounds')) return least(all)
  if (dropped.has('own promise')) {
    const covered = all.every(({ vectors }) => vectors[0]?.contains(replica.vector))
    return covered ? least(all.filter((publication) => publication.replica !== replica.id)) : undefined
  }
  if (!dropped.has('union')) return undefined
  return [...replica.rows.values()]
    .filter(({ value, dot }) => value === undefined && all.every(({ vectors }) => vectors[0]?.covers(dot)))
    .map(({ version }) => version.hlc)
    .toSorted(compareHlc)
    .at(-1)
}

export function raised(replica: Replica, frontier: Hlc, dropped: Dropped): Replica {
  const higher = laterHlc(replica.frontier, frontier)
  return higher === replica.frontier ? replica : swept({ ...replica, frontier: higher }, dropped)
}

/** R10: absent at once. */
export function swept(replica: Replica, dropped: Dropped): Replica {
  const left = [...replica.rows].filter(
    ([, entry]) =>
      !isPurgeable(entry, replica.frontier) && !(dropped.has('one clock for all') && isExpired(entry, replica.wallMs)),
  )
  return left.length === replica.rows.size ? replica : { ...replica, rows: new Map(left) }
}

/** Everything that is not on disk is gone, and the next run is another writer. */
export function crashed(replica: Replica, dropped: Dropped): Replica {
  const reserve = dropped.has('clock on disk') ? { wallMs: replica.wallMs, counter: 0 } : replica.reserve
  const clock = new HybridClock(reserve)
  return {
    ...replica,
    frontier: dropped.has('frontier on disk') ? HLC_ZERO : replica.frontier,
    closed: [...replica.closed, replica.writer],
    writer: `${replica.id}${replica.closed.length + 2}`,
    issued: 0,
    now: clock.now,
    inFlight: undefined,
    latest: new Map(),
    barrier: undefined,
  }
}

/** A row is gone. Whether that was noticed is for the scope to say. */
export function losing(replica: Replica, key: string, suspect: boolean): Replica {
  const rows = new Map(replica.rows)
  rows.delete(key)
  return { ...replica, rows, suspect }
}

/** R19: the leaf of a clean member takes the place of that which lost rows. */
export function mended(replica: Replica, clean: Replica, dropped: Dropped): Replica {
  const seen = VersionVector.of(clean.vector)
  const listed = [...clean.rows.values()]
  const held = [...replica.rows.values()]
  const covers = (dot: Dot): boolean => clean.folded.includes(dot.writer) || seen.covers(dot)
  const { put, drop } = replaceLeaf(held, { listed, covers }, listed)
  const rows = new Map(replica.rows)
  if (!dropped.has('replaced')) for (const { address } of drop) rows.delete(address)
  const clock = clockOf(replica)
  for (const entry of put) {
    rows.set(entry.address, entry)
    clock.witness(entry.version.hlc)
  }
  return reserving(swept({ ...replica, rows, suspect: false, now: clock.now }, dropped))
}

export function mayMend(replica: Replica, clean: Replica, dropped: Dropped): boolean {
  if (!replica.suspect || clean.suspect || compareHlc(replica.frontier, clean.frontier) !== 0) return false
  const unfolded = replica.vector.filter(([writer]) => !clean.folded.includes(writer))
  return dropped.has('vector contains') || VersionVector.of(clean.vector).contains(unfolded)
}

function clockOf({ now, reserve }: Replica): HybridClock {
  const clock = new HybridClock()
  clock.witness(now)
  clock.reserved(reserve)
  return clock
}

/** With each batch, so that no reading is used twice (R1). */
function reserving(replica: Replica): Replica {
  const reserve = clockOf(replica).reserveFor(replica.wallMs)
  return reserve === undefined ? replica : { ...replica, reserve }
}

function union(a: readonly string[], b: readonly string[]): readonly string[] {
  const added = b.filter((each) => !a.includes(each))
  return added.length === 0 ? a : [...a, ...added].toSorted()
}
