import {
  bytesOf,
  compareHlc,
  HybridClock,
  laterHlc,
  membersOf,
  partitionOfLeaf,
  PARTITIONS,
  rosterText,
  vectorText,
  VersionVector,
  type CommitBatch,
  type Dot,
  type Hash,
  type Hlc,
  type Identity,
  type KnownPeer,
  type Leaf,
  type Partition,
  type PartitionState,
  type Publication,
  type ReplicaId,
  type Roster,
  type ShortHash,
  type StoredState,
  type Totals,
  type WriterId,
} from '@grapevine/core'
import { HashTree } from '@grapevine/merkle'

const SHORT_HASH_BYTES = 8

/**
 * What a replica holds in memory of its store. It changes in one place, {@link ReplicaState.advance}, and only
 * after the batch that says the same is on disk; so whoever reads it between two awaits reads one moment.
 */
export class ReplicaState {
  readonly #hash: Hash
  readonly tree: HashTree
  readonly clock: HybridClock
  /** This run of the replica. A reopened store gets a new state and so a new writer: no dot is issued twice. */
  readonly writer: WriterId
  readonly #vectors: VersionVector[]
  readonly #vectorHashes: (ShortHash | undefined)[] = Array.from({ length: PARTITIONS }, () => undefined)
  readonly #lastSeq: number[] = Array.from({ length: PARTITIONS }, () => 0)
  readonly #sinceCheckpoint = new Set<Partition>()
  #identity: Identity | undefined
  #roster: Roster
  #peers: readonly KnownPeer[]
  #totals: Totals
  #rebuilds: number
  #promise: Hlc
  #frontier: Hlc
  /** The frontier up to which all that it makes absent is dropped. */
  #purgedTo: Hlc | undefined
  #folded: ReadonlySet<WriterId>
  #writers: readonly WriterId[]
  #wholeVectorHash: ShortHash | undefined
  #rosterHash: ShortHash | undefined
  #foldedHash: ShortHash | undefined

  constructor(stored: StoredState, writer: WriterId, hash: Hash) {
    this.#hash = hash
    this.tree = new HashTree(hash, stored.sums)
    this.clock = new HybridClock(stored.reserve)
    this.writer = writer
    this.#vectors = [...stored.vectors]
    this.#identity = stored.identity
    this.#roster = stored.roster
    this.#peers = stored.peers
    this.#totals = stored.totals
    this.#rebuilds = stored.rebuilds
    this.#promise = stored.reserve
    this.#frontier = stored.frontier
    this.#folded = new Set(stored.folded)
    this.#writers = stored.writers
    // What was replayed at opening belongs into the next checkpoint too; which partitions, nobody noted.
    if (stored.replayedBatches > 0)
      for (let partition = 0; partition < PARTITIONS; partition++) this.#sinceCheckpoint.add(partition)
  }

  get identity(): Identity | undefined {
    return this.#identity
  }

  get roster(): Roster {
    return this.#roster
  }

  get peers(): readonly KnownPeer[] {
    return this.#peers
  }

  get totals(): Totals {
    return this.#totals
  }

  get rebuilds(): number {
    return this.#rebuilds
  }

  /** H of frontier.md: the clock, but below every version that was assigned and is not in the vector yet (R2). */
  get promise(): Hlc {
    return this.#promise
  }

  /** F of frontier.md: what is purgeable at or below it is absent, whether or not the disk has followed. */
  get frontier(): Hlc {
    return this.#frontier
  }

  /** Whether the disk has followed: only then the tree is exact for the frontier, and may be compared (R11). */
  get isPurged(): boolean {
    return this.#purgedTo !== undefined && compareHlc(this.#purgedTo, this.#frontier) === 0
  }

  /** To be called when no row is left that `frontier` makes absent: none comes in again. */
  purgedUpTo(frontier: Hlc): void {
    this.#purgedTo = frontier
  }

  /** Writers of which every member covers every dot. */
  get folded(): ReadonlySet<WriterId> {
    return this.#folded
  }

  /** The writers of this replica that are on record, oldest first. */
  get writers(): readonly WriterId[] {
    return this.#writers
  }

  /** Earlier writers of this replica that are not folded yet. */
  get closed(): readonly WriterId[] {
    return this.#writers.filter((writer) => writer !== this.writer && !this.#folded.has(writer))
  }

  /** Whether a dot is in the vector, by name or because its writer is folded. */
  covers(partition: Partition, dot: Dot): boolean {
    return this.#folded.has(dot.writer) || this.vector(partition).covers(dot)
  }

  /** What this replica publishes of itself (frontier.md R2): a copy, of this moment. */
  publication(): Publication {
    return {
      replica: this.#identity?.replica ?? '',
      roster: this.#roster,
      promise: this.#promise,
      vectors: this.#vectors.map((vector) => VersionVector.of(vector.rows())),
      folded: this.#folded,
      closed: this.closed,
    }
  }

  members(): ReplicaId[] {
    return membersOf(this.#roster)
  }

  /** The members but us. */
  others(): ReplicaId[] {
    return this.members().filter((replica) => replica !== this.#identity?.replica)
  }

  vector(partition: Partition): VersionVector {
    return this.#vectors[partition] ?? new VersionVector()
  }

  vectors(): readonly VersionVector[] {
    return this.#vectors
  }

  /** The next dot of this writer. Issued where writes are committed, and never given back. */
  nextDot(partition: Partition): Dot {
    const seq = (this.#lastSeq[partition] ?? 0) + 1
    this.#lastSeq[partition] = seq
    return { writer: this.writer, seq }
  }

  partitionVectorHashes(): ShortHash[] {
    return Array.from({ length: PARTITIONS }, (_, partition) => this.#vectorHash(partition))
  }

  vectorHash(): ShortHash {
    return (this.#wholeVectorHash ??= this.#shortHashOf(this.partitionVectorHashes().join('')))
  }

  /** Of K, E and the folded writers: what travels with publications. */
  rosterHash(): ShortHash {
    return (this.#rosterHash ??= this.#shortHashOf(`${rosterText(this.#roster)};${this.foldedRows().join(',')}`))
  }

  foldedHash(): ShortHash {
    return (this.#foldedHash ??= this.#shortHashOf(this.foldedRows().join(',')))
  }

  /** Ascending: one set, one text, one hash. */
  foldedRows(): readonly WriterId[] {
    return [...this.#folded].toSorted()
  }

  /**
   * The batch is durable: what it says holds from now on.
   * @param promise the clock behind the last version of the batch, and before the first of what is planned by now.
   */
  advance(batch: CommitBatch, promise: Hlc): void {
    // The checkpoint holds the state before this batch, so what the batch touches is already newer.
    if (batch.checkpoint !== undefined) this.#sinceCheckpoint.clear()
    for (const { partition, dot } of batch.dots) {
      this.#vectors[partition]?.add(dot)
      this.#touch(partition)
    }
    for (const { partition, rows } of batch.adopted) {
      this.#vectors[partition]?.adopt(rows.filter(([writer]) => !this.#folded.has(writer)))
      this.#touch(partition)
    }
    if (batch.folded !== undefined) this.#fold(batch.folded)
    for (const { leaf, sum } of batch.leaves) {
      this.tree.setSum(leaf, sum)
      this.#sinceCheckpoint.add(partitionOfLeaf(leaf))
    }
    if (batch.reserve !== undefined) this.clock.reserved(batch.reserve)
    this.#totals = batch.totals
    this.#rebuilds = batch.rebuilds
    this.#identity = batch.identity ?? this.#identity
    this.#roster = batch.roster ?? this.#roster
    if (batch.roster !== undefined) this.#rosterHash = undefined
    this.#peers = batch.peers ?? this.#peers
    this.#writers = batch.writers ?? this.#writers
    if (batch.frontier !== undefined) this.#frontier = batch.frontier.frontier
    this.#promise = laterHlc(this.#promise, promise)
  }

  /** The partitions that changed since the last checkpoint, as they are now. */
  checkpoint(): PartitionState[] {
    return [...this.#sinceCheckpoint].map((partition) => ({
      partition,
      sums: this.tree.partitionSums(partition),
      vector: this.vector(partition).rows(),
    }))
  }

  sumOf(leaf: Leaf): Uint8Array {
    return this.tree.sum(leaf)
  }

  #fold(folded: readonly WriterId[]): void {
    this.#folded = new Set(folded)
    this.#rosterHash = undefined
    this.#foldedHash = undefined
    for (const [partition, vector] of this.#vectors.entries())
      for (const writer of folded) if (vector.forget(writer)) this.#touch(partition)
  }

  #touch(partition: Partition): void {
    this.#vectorHashes[partition] = undefined
    this.#wholeVectorHash = undefined
    this.#sinceCheckpoint.add(partition)
  }

  #vectorHash(partition: Partition): ShortHash {
    return (this.#vectorHashes[partition] ??= this.#shortHashOf(vectorText(this.vector(partition).rows())))
  }

  #shortHashOf(text: string): ShortHash {
    return this.#hash.sha256(bytesOf(text)).slice(0, SHORT_HASH_BYTES)
  }
}
