import {
  admit,
  isMet,
  isTombstone,
  leafOf,
  partitionOf,
  sealEntry,
  type Address,
  type Admission,
  type CommitBatch,
  type Entry,
  type Hash,
  type Held,
  type Identity,
  type KnownPeer,
  type Leaf,
  type Roster,
  type Totals,
} from '@grapevine/core'
import { addDigest, entryDigest, subtractDigest } from '@grapevine/merkle'
import type { Arrival, CommitFailure, LocalOutcome, LocalWrite, MembershipChange, RemoteEntries } from './arrival.ts'
import type { ReplicaState } from './replica-state.ts'

export interface PlanContext {
  readonly state: ReplicaState
  readonly hash: Hash
  readonly wallMs: number
  /** What every key that an arrival names holds now. */
  readonly held: ReadonlyMap<Address, Held>
  /** Sums recomputed from their rows, for leaves whose old sum includes an entry that can no longer be read. */
  readonly recomputed: ReadonlyMap<Leaf, Uint8Array>
}

/** What one group of arrivals comes to: one batch, and what each arrival is told once the batch is durable. */
export interface CommitPlan {
  readonly batch: CommitBatch
  /** Tells each arrival, in their order. To be called once the batch is durable, and only then. */
  readonly tell: readonly (() => void)[]
  /** Whether there is anything to write. */
  readonly isEmpty: boolean
}

/**
 * Decides what becomes of a group of arrivals, in their order, as if each were committed alone. Versions are given
 * here and not when a request came in: what a publication promised in between would not hold for them (R1, R2).
 */
export function planCommit(arrivals: readonly Arrival[], context: PlanContext): CommitPlan {
  const draft = new Draft(context)
  const tell = arrivals.map((arrival) => draft.decide(arrival))
  return { ...draft.finish(), tell }
}

const UNREADABLE: CommitFailure = {
  outcome: 'not-applied',
  cause: new Error('the entry of this key cannot be read, so a condition on it cannot be checked'),
}

class Draft {
  readonly #context: PlanContext
  /** The last entry of each key that changed, in order of its first change. */
  readonly #after = new Map<Address, Entry>()
  readonly #dots: CommitBatch['dots'][number][] = []
  readonly #adopted: CommitBatch['adopted'][number][] = []
  readonly #sums = new Map<Leaf, Uint8Array>()
  #totals: Totals
  #identity: Identity | undefined
  #roster: Roster | undefined
  #peers: readonly KnownPeer[] | undefined

  constructor(context: PlanContext) {
    this.#context = context
    this.#totals = context.state.totals
  }

  decide(arrival: Arrival): () => void {
    switch (arrival.kind) {
      case 'write': {
        const outcome = this.#write(arrival)
        return () => (outcome === undefined ? arrival.fail(UNREADABLE) : arrival.settle(outcome))
      }
      case 'entries': {
        const admissions = this.#takeIn(arrival)
        return () => arrival.settle(admissions)
      }
      case 'membership':
        try {
          this.#changeMembership(arrival)
          return arrival.settle
        } catch (cause) {
          // It refuses what holds now; nobody else in the group has to do with it.
          return () => arrival.fail({ outcome: 'not-applied', cause })
        }
    }
  }

  /** `undefined` when a condition would have to be checked against an entry that cannot be read. */
  #write(write: LocalWrite): LocalOutcome | undefined {
    const { state, hash, wallMs } = this.#context
    const current = this.#current(write.address)
    if (current === 'corrupt' && write.precondition !== undefined) return undefined
    const held = current === 'corrupt' ? undefined : current
    if (write.precondition !== undefined && !isMet(write.precondition, held, wallMs))
      return { kind: 'precondition-failed', held }
    const partition = partitionOf(write.keyHash)
    const entry = sealEntry(
      {
        address: write.address,
        keyHash: write.keyHash,
        version: { hlc: state.clock.tick(wallMs, held?.version.hlc), replica: this.#replica() },
        dot: state.nextDot(partition),
        expiresAtMs: write.expiresAtMs,
        contentType: write.contentType,
        value: write.value,
      },
      hash,
    )
    this.#dots.push({ partition, dot: entry.dot })
    this.#put(entry)
    return { kind: 'applied', entry }
  }

  #takeIn({ entries, claims, clock, source }: RemoteEntries): readonly Admission[] {
    const { state } = this.#context
    const admissions = entries.map((entry) => {
      const current = this.#current(entry.address)
      const partition = partitionOf(entry.keyHash)
      const covered = state.vector(partition).covers(entry.dot)
      const admission = admit(entry, {
        held: current,
        clock: state.clock.now,
        covered,
        frontier: state.frontier,
        bootstrapping: source === 'bootstrap',
      })
      if (admission === 'refused' || admission === 'failed') return admission
      // Heard twice changes nothing, and so costs no batch.
      if (!covered) this.#dots.push({ partition, dot: entry.dot })
      state.clock.witness(entry.version.hlc)
      if (admission === 'news') this.#put(entry)
      return admission
    })
    if (claims.length > 0 && !admissions.includes('failed')) {
      for (const [partition, rows] of claims) this.#adopted.push({ partition, rows })
      state.clock.witness(clock)
    }
    return admissions
  }

  #changeMembership({ change }: MembershipChange): void {
    const { state } = this.#context
    const changed = change({
      identity: this.#identity ?? state.identity,
      roster: this.#roster ?? state.roster,
      peers: this.#peers ?? state.peers,
    })
    this.#identity = changed.identity ?? this.#identity
    this.#roster = changed.roster ?? this.#roster
    this.#peers = changed.peers ?? this.#peers
    if (changed.witness !== undefined) state.clock.witness(changed.witness)
  }

  finish(): { batch: CommitBatch; isEmpty: boolean } {
    const { state, held, recomputed } = this.#context
    const reserve = state.clock.reserveFor()
    const batch: CommitBatch = {
      changes: [...this.#after.values()].map((after) => ({ after, before: held.get(after.address) })),
      dots: this.#dots,
      adopted: this.#adopted,
      leaves: [...this.#sums].map(([leaf, sum]) => ({ leaf, sum })),
      totals: this.#totals,
      rebuilds: state.rebuilds + recomputed.size,
      ...(reserve !== undefined && { reserve }),
      ...(this.#identity !== undefined && { identity: this.#identity }),
      ...(this.#roster !== undefined && { roster: this.#roster }),
      ...(this.#peers !== undefined && { peers: this.#peers }),
    }
    const changesMembership = batch.identity !== undefined || batch.roster !== undefined || batch.peers !== undefined
    return { batch, isEmpty: this.#dots.length === 0 && this.#adopted.length === 0 && !changesMembership }
  }

  #current(address: Address): Held {
    return this.#after.get(address) ?? this.#context.held.get(address)
  }

  #put(entry: Entry): void {
    const before = this.#current(entry.address)
    const { hash } = this.#context
    const sum = this.#sum(leafOf(entry.keyHash))
    if (typeof before === 'object') {
      // Of the same key, so its hash need not be worked out again.
      subtractDigest(sum, entryDigest({ keyHash: entry.keyHash, hash: before.hash }, hash))
      this.#count(before, -1)
    }
    // What cannot be read was counted once; most likely it was a value, and its size is not known.
    if (before === 'corrupt') this.#totals = { ...this.#totals, values: Math.max(0, this.#totals.values - 1) }
    addDigest(sum, entryDigest(entry, hash))
    this.#count(entry, 1)
    this.#after.set(entry.address, entry)
  }

  #count(entry: Entry, sign: 1 | -1): void {
    const { values, tombstones, bytes } = this.#totals
    const deleted = isTombstone(entry)
    this.#totals = {
      values: values + (deleted ? 0 : sign),
      tombstones: tombstones + (deleted ? sign : 0),
      bytes: bytes + sign * entry.envelope.length,
    }
  }

  #sum(leaf: Leaf): Uint8Array {
    let sum = this.#sums.get(leaf)
    if (sum === undefined) {
      const { recomputed, state } = this.#context
      sum = (recomputed.get(leaf) ?? state.sumOf(leaf)).slice()
      this.#sums.set(leaf, sum)
    }
    return sum
  }

  #replica(): string {
    return this.#context.state.identity?.replica ?? ''
  }
}
