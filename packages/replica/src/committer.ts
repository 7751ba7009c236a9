import {
  bytesOf,
  COMMIT_BYTES_MAX,
  COMMIT_ENTRIES_MAX,
  leafOf,
  StoreError,
  WRITE_QUEUE_BYTES_MAX,
  WRITE_QUEUE_ENTRIES_MAX,
  type Address,
  type Clock,
  type Hash,
  type Held,
  type Leaf,
  type Log,
  type Measures,
  type Random,
  type Store,
  type Timers,
} from '@grapevine/core'
import { addDigest, entryDigest } from '@grapevine/merkle'
import type { Arrival } from './arrival.ts'
import { planCommit, type CommitPlan } from './commit-plan.ts'
import { sleep } from './sleep.ts'
import { ReplicaState } from './replica-state.ts'

export interface CommitterContext {
  readonly store: Store
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly hash: Hash
  readonly measures: Measures
  readonly log: Log
  /** What is on disk cannot be opened again, and waiting will not help. */
  readonly onFatal: (error: unknown) => void
}

/** Above this, keys are read in one go beside the event loop; below, reading each at once is cheaper. */
const SYNCHRONOUS_READS_MAX = 64
const NOBODY = (): void => {}
/** Between two tries to open a database that failed. */
const REOPEN_DELAY_MS = 1_000

/**
 * The one door for each change of state: clients, rumors, pulls and repairs all queue here. One synced batch is in
 * flight at a time, filled by whoever waits meanwhile (group commit); nobody is told before it is durable.
 */
export class Committer {
  readonly #context: CommitterContext
  readonly #queue: Arrival[] = []
  #queueBytes = 0
  #state: ReplicaState
  #running: Promise<void> | undefined
  #closed = false
  #reopening = false

  constructor(context: CommitterContext) {
    this.#context = context
    this.#state = this.#freshState()
  }

  /** Changes its identity when the store had to be opened again: do not keep it over an await. */
  get state(): ReplicaState {
    return this.#state
  }

  get queueLength(): number {
    return this.#queue.length
  }

  /** Whether a client's write may still join. What other replicas send is bounded by how they ask. */
  get isFull(): boolean {
    return this.#queue.length >= WRITE_QUEUE_ENTRIES_MAX || this.#queueBytes >= WRITE_QUEUE_BYTES_MAX
  }

  get isReopening(): boolean {
    return this.#reopening
  }

  submit(arrival: Arrival): void {
    if (this.#closed) {
      arrival.fail({ outcome: 'not-applied', cause: new Error('the replica is stopping') })
      return
    }
    this.#queue.push(arrival)
    this.#queueBytes += weightOf(arrival)
    // Started behind the current turn, so that all that one turn brings goes into one batch.
    this.#running ??= Promise.resolve().then(() => this.#run())
  }

  /** Commits what waits, and takes nothing more. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#running
  }

  async #run(): Promise<void> {
    // A group that is durable is told when the next one is on its way to the disk: those who answer clients have the
    // event loop to themselves then, and the disk does not wait for them.
    let tellLast = NOBODY
    try {
      while (this.#queue.length > 0) tellLast = await this.#commitGroup(this.#nextGroup(), tellLast)
    } finally {
      this.#running = undefined
      tellLast()
    }
  }

  /** Returns what tells this group. */
  async #commitGroup(group: readonly Arrival[], tellLast: () => void): Promise<() => void> {
    const { store, clock, measures, log } = this.#context
    let plan: CommitPlan
    try {
      plan = await this.#plan(group)
    } catch (error) {
      tellLast()
      // Nothing was written: reading or planning failed.
      for (const arrival of group) arrival.fail({ outcome: 'not-applied', cause: error })
      log.error('commit-not-planned', { error: String(error) })
      return NOBODY
    }
    const tell = (): void => this.#tell(plan)
    if (plan.isEmpty) {
      tellLast()
      return tell
    }
    const startedMs = clock.monotonicMs()
    const committing = store.commit(plan.batch)
    tellLast()
    try {
      await committing
    } catch (error) {
      for (const arrival of group) arrival.fail({ outcome: 'unknown', cause: error })
      log.error('commit-failed', { error: String(error), entries: plan.batch.changes.length })
      await this.#reopen()
      return NOBODY
    }
    measures.observe('commit_seconds', (clock.monotonicMs() - startedMs) / 1000)
    measures.observe('commit_batch_size', plan.batch.changes.length)
    this.#state.advance(plan.batch)
    return tell
  }

  #tell(plan: CommitPlan): void {
    for (const tell of plan.tell) {
      try {
        tell()
      } catch (error) {
        // A bug of whoever waited; the others wait as well.
        this.#context.log.error('commit-not-told', { error: error instanceof Error ? error.stack : String(error) })
      }
    }
  }

  async #plan(group: readonly Arrival[]): Promise<CommitPlan> {
    const { clock, hash, store } = this.#context
    const held = await this.#read(addressesOf(group))
    const recomputed = await this.#recompute(held)
    const plan = planCommit(group, { state: this.#state, hash, wallMs: clock.wallMs(), held, recomputed })
    if (plan.isEmpty || !store.wantsCheckpoint) return plan
    return { ...plan, batch: { ...plan.batch, checkpoint: this.#state.checkpoint() } }
  }

  async #read(addresses: ReadonlySet<Address>): Promise<Map<Address, Held>> {
    const { store } = this.#context
    const held = new Map<Address, Held>()
    if (addresses.size <= SYNCHRONOUS_READS_MAX) {
      for (const address of addresses) held.set(address, store.read(address))
      return held
    }
    const names = [...addresses]
    for (const [index, entry] of (await store.readMany(names)).entries()) held.set(names[index] ?? '', entry)
    return held
  }

  /** The old sum of a leaf is of no use when the entry to take out of it cannot be read: sum up what can be. */
  async #recompute(held: ReadonlyMap<Address, Held>): Promise<Map<Leaf, Uint8Array>> {
    const { hash, store, measures, log } = this.#context
    const sums = new Map<Leaf, Uint8Array>()
    for (const [address, entry] of held) {
      if (entry !== 'corrupt') continue
      const leaf = leafOf(hash.sha256(bytesOf(address)))
      const view = store.view()
      try {
        const sum = new Uint8Array(32)
        for (const readable of (await view.leaf(leaf)).entries) addDigest(sum, entryDigest(readable, hash))
        sums.set(leaf, sum)
      } finally {
        await view.close()
      }
      measures.add('corrupt_entries')
      log.warn('corrupt-entry-overwritten', { leaf })
    }
    return sums
  }

  /** After a failed write nothing in memory is to be trusted either: begin again from what is on disk. */
  async #reopen(): Promise<void> {
    const { store, timers, measures, log, onFatal } = this.#context
    this.#reopening = true
    for (;;) {
      try {
        await store.reopen()
        this.#state = this.#freshState()
        this.#reopening = false
        measures.add('store_reopens')
        log.warn('store-reopened', { replayedBatches: store.state.replayedBatches })
        return
      } catch (error) {
        log.error('store-not-reopened', { error: String(error) })
        if (error instanceof StoreError && error.code !== 'io_error') onFatal(error)
        for (const arrival of this.#queue.splice(0)) arrival.fail({ outcome: 'not-applied', cause: error })
        this.#queueBytes = 0
        if (this.#closed) return
        await sleep(timers, REOPEN_DELAY_MS)
      }
    }
  }

  #freshState(): ReplicaState {
    const { store, random, hash } = this.#context
    return new ReplicaState(store.state, random.hex(8), hash)
  }

  #nextGroup(): Arrival[] {
    let entries = 0
    let bytes = 0
    let end = 0
    while (end < this.#queue.length && (end === 0 || (entries < COMMIT_ENTRIES_MAX && bytes < COMMIT_BYTES_MAX))) {
      const arrival = this.#queue[end++]
      if (arrival === undefined) break
      entries += arrival.kind === 'entries' ? arrival.entries.length : 1
      bytes += weightOf(arrival)
    }
    this.#queueBytes -= bytes
    return this.#queue.splice(0, end)
  }
}

/** Bytes that an arrival holds while it waits. */
function weightOf(arrival: Arrival): number {
  if (arrival.kind === 'membership') return 0
  if (arrival.kind === 'write') return arrival.address.length + (arrival.value?.length ?? 0)
  return arrival.entries.reduce((sum, entry) => sum + entry.envelope.length, 0)
}

function addressesOf(group: readonly Arrival[]): Set<Address> {
  const addresses = new Set<Address>()
  for (const arrival of group) {
    if (arrival.kind === 'write') addresses.add(arrival.address)
    else if (arrival.kind === 'entries') for (const entry of arrival.entries) addresses.add(entry.address)
  }
  return addresses
}
