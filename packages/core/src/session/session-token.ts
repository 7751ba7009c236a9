import { compareHlc, HLC_ZERO, laterHlc, type Hlc } from '../clock/hlc.ts'
import { partitionOf, PARTITIONS, type Partition } from '../placement/partition.ts'
import type { Entry } from '../record/entry.ts'
import { VersionVector, type SeqRanges, type VectorRows } from '../vector/version-vector.ts'
import type { ClusterId, ReplicaId, WriterId } from '../version/version.ts'

/** What decisions about sessions look at of a replica, all of it of one moment. */
export interface SessionView {
  readonly cluster: ClusterId
  readonly replica: ReplicaId
  /** No entry here has a greater hlc. */
  readonly clock: Hlc
  /** F of frontier.md: every member covers every version at or below it. */
  readonly frontier: Hlc
  /** Writers of which every member covers every dot. */
  readonly folded: ReadonlySet<WriterId>
  vector(partition: Partition): VersionVector
  /** Dots that no member has, nor ever will: those who had them were evicted. */
  lost(partition: Partition): VersionVector | undefined
}

/** `gap`: all that any member has was seen here, and something that the session has seen no member has any more. */
export type SessionStanding = 'seen' | 'gap' | 'lacking'

/** What a session sees of an entry. */
export type Sighting = Pick<Entry, 'keyHash' | 'version' | 'dot'>

/**
 * More than the session has seen, in few bytes: all that has an hlc up to this one. It is reached where the frontier has
 * passed it, which waits for every member; and at the replicas that had seen all of the session when it was made.
 */
export interface SessionFloor {
  readonly hlc: Hlc
  /** Ascending. */
  readonly reachedAt: readonly ReplicaId[]
}

/**
 * What one session has seen (P7): the dots of the entries that it has read and written. A replica that covers a dot holds
 * its entry or something newer for that key, or has dropped something newer (frontier.md I1), so it answers nothing
 * older than the session knows.
 *
 * What has been seen only grows, whatever is done to it: {@link SessionToken.bridge} and {@link SessionToken.generalise} ask for
 * more than was seen, never for less. So not even what every member has by now is forgotten: a replica that was evicted and
 * does not know it yet still answers, and must not take an emptied token for that of a session that has seen nothing.
 */
export class SessionToken {
  readonly cluster: ClusterId
  #hlc: Hlc = HLC_ZERO
  #floor: SessionFloor | undefined
  /** No vector in it is ever changed: tokens that were joined share them. */
  readonly #seen = new Map<Partition, VersionVector>()
  /** Whose writers these are, as far as it is known: whom to ask first for what is lacking. Decides nothing. */
  readonly #replicas = new Map<WriterId, ReplicaId>()

  constructor(cluster: ClusterId) {
    this.cluster = cluster
  }

  /** The greatest hlc of all that was seen. A write of the session has to be later. */
  get hlc(): Hlc {
    return this.#hlc
  }

  get floor(): SessionFloor | undefined {
    return this.#floor
  }

  /** Ascending. */
  get partitions(): readonly Partition[] {
    const partitions = [...this.#seen.keys()]
    const isAscending = partitions.every((partition, index) => index === 0 || partition > (partitions[index - 1] ?? 0))
    return isAscending ? partitions : partitions.toSorted((a, b) => a - b)
  }

  rows(partition: Partition): VectorRows {
    return this.#seen.get(partition)?.rows() ?? []
  }

  replicaOf(writer: WriterId): ReplicaId | undefined {
    return this.#replicas.get(writer)
  }

  see({ keyHash, version, dot }: Sighting): void {
    this.raise(version.hlc)
    const partition = partitionOf(keyHash)
    const seen = this.#seen.get(partition)
    if (seen?.covers(dot) !== true) {
      const vector = seen?.copy() ?? new VersionVector()
      vector.add(dot)
      this.#seen.set(partition, vector)
    }
    this.own(dot.writer, version.replica)
  }

  /** Everything that a replica has seen: for an answer that may hold anything of it. */
  seeAll(view: SessionView): void {
    this.raise(view.clock)
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const vector = view.vector(partition)
      // The replica goes on with its own.
      if (!vector.isEmpty) this.#join(partition, vector.copy())
    }
  }

  raise(hlc: Hlc): void {
    this.#hlc = laterHlc(this.#hlc, hlc)
  }

  adopt(partition: Partition, rows: VectorRows): void {
    this.#join(partition, VersionVector.of(rows))
  }

  /** A writer is one replica's. Tokens that were made up may differ in whose; which is taken does not depend on the order. */
  own(writer: WriterId, replica: ReplicaId): void {
    const known = this.#replicas.get(writer)
    if (known === undefined || known < replica) this.#replicas.set(writer, replica)
  }

  /** As if the two had been one session. */
  join(other: SessionToken): void {
    this.raise(other.#hlc)
    this.#floor = joinedFloors(this.#floor, other.#floor)
    for (const [partition, vector] of other.#seen) this.#join(partition, vector)
    for (const [writer, replica] of other.#replicas) this.own(writer, replica)
  }

  liftFloor(floor: SessionFloor): void {
    this.raise(floor.hlc)
    this.#floor = joinedFloors(this.#floor, floor)
  }

  /**
   * Whether a replica may answer this session from what it holds. P7 is a promise per key, so for one key only its
   * partition matters.
   * @param partition `undefined` for all.
   */
  standing(view: SessionView, partition: Partition | undefined): SessionStanding {
    if (!this.isFloorReached(view)) return 'lacking'
    if (partition !== undefined) return this.#standingIn(partition, view)
    let standing: SessionStanding = 'seen'
    for (const each of this.#seen.keys()) {
      const here = this.#standingIn(each, view)
      if (here === 'lacking') return here
      if (here === 'gap') standing = here
    }
    return standing
  }

  isFloorReached({ frontier, replica }: SessionView): boolean {
    const floor = this.#floor
    return floor === undefined || compareHlc(floor.hlc, frontier) <= 0 || floor.reachedAt.includes(replica)
  }

  /** Where something is lacking that others may have. */
  lacking(view: SessionView, partition: Partition | undefined): readonly Partition[] {
    const partitions = partition === undefined ? this.partitions : [partition]
    return partitions.filter((each) => this.#standingIn(each, view) === 'lacking')
  }

  /** Whose writers the lacking dots are, as far as it is known. */
  ownersOfLacking(view: SessionView, partitions: readonly Partition[]): ReadonlySet<ReplicaId> {
    const owners = new Set<ReplicaId>()
    for (const partition of partitions)
      for (const row of this.rows(partition)) {
        const owner = this.#replicas.get(row[0])
        if (owner !== undefined && !view.folded.has(row[0]) && !view.vector(partition).contains([row]))
          owners.add(owner)
      }
    return owners
  }

  #standingIn(partition: Partition, view: SessionView): SessionStanding {
    const seen = this.#seen.get(partition)
    if (seen === undefined || view.vector(partition).containsAll(seen, view.folded)) return 'seen'
    // Every member covers all that is at or below the frontier: what is not covered here no member has any more.
    if (compareHlc(this.#hlc, view.frontier) <= 0) return 'gap'
    const lost = view.lost(partition)
    if (lost === undefined) return 'lacking'
    const known = view.vector(partition).copy()
    known.adopt(lost.rows())
    return known.containsAll(seen, view.folded) ? 'gap' : 'lacking'
  }

  /**
   * Lets dots that one range of the replica's vector covers become one range: it asks for what lies between them as well.
   * Whether there was anything to do.
   */
  bridge(view: SessionView): boolean {
    let hasChanged = false
    for (const [partition, vector] of this.#seen) {
      if (!vector.hasGaps) continue
      hasChanged = true
      this.#seen.set(partition, VersionVector.of(bridged(vector.rows(), view.vector(partition))))
    }
    return hasChanged
  }

  /**
   * Gives up every dot for the greatest hlc.
   * @param view of a replica that may be the first to have reached it.
   */
  generalise(view: SessionView | undefined): void {
    const isReached = view !== undefined && this.standing(view, undefined) === 'seen'
    // Where a floor of before was reached is not where all dots were seen that it now stands for.
    this.#floor = { hlc: this.#hlc, reachedAt: isReached ? [view.replica] : [] }
    this.#seen.clear()
    this.#replicas.clear()
  }

  #join(partition: Partition, vector: VersionVector): void {
    const seen = this.#seen.get(partition)
    if (seen !== undefined && seen.containsAll(vector, NONE)) return
    if (seen === undefined || vector.containsAll(seen, NONE)) this.#seen.set(partition, vector)
    else {
      const joined = seen.copy()
      joined.adopt(vector.rows())
      this.#seen.set(partition, joined)
    }
  }
}

const NONE: ReadonlySet<WriterId> = new Set()

/** Reached where both are: at or above the higher one, or where both were known to be reached. */
function joinedFloors(a: SessionFloor | undefined, b: SessionFloor | undefined): SessionFloor | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return { hlc: laterHlc(a.hlc, b.hlc), reachedAt: a.reachedAt.filter((replica) => b.reachedAt.includes(replica)) }
}

function bridged(rows: VectorRows, by: VersionVector): VectorRows {
  return rows.map(([writer, ranges]) => {
    const joined: number[] = []
    for (let index = 0; index < ranges.length; index += 2) {
      const [from = 0, to = 0] = [ranges[index], ranges[index + 1]]
      const start = joined.at(-2)
      if (start !== undefined && by.contains([[writer, [start, to]]])) joined[joined.length - 1] = to
      else joined.push(from, to)
    }
    return [writer, joined satisfies SeqRanges] as const
  })
}
