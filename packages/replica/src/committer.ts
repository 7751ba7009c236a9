import {
  bytesOf,
  COMMIT_ENTRIES_MAX,
  leafOf,
  receiptOf,
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
  type WriteId,
} from '@grapevine/core'
import type { Arrival, IndexRepair, LeafRepair, PlannedArrival } from './arrival.ts'
import { CommitDraft, countOf, weightOf, type CommitPlan } from './commit-plan.ts'
import type { DiskWatch } from './disk-watch.ts'
import { isSameSum, readLeaf, sumOf } from './leaf-look.ts'
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
  readonly disk: DiskWatch
  /** What is on disk cannot be opened again, and waiting will not help. */
  readonly onFatal: (error: unknown) => void
}

/** Above this, keys are read in one go beside the event loop; below, reading each at once is cheaper. */
const SYNCHRONOUS_READS_MAX = 64
const NOBODY = (): void => {}
/** Between two tries to open a database that failed. */
const REOPEN_DELAY_MS = 1_000
/**
 * A disk that fails a second time within an hour is failing: opening again once more would only make more writes
 * unknown (F37). Longer ago, the two have little to do with each other.
 */
const FAILURE_MEMORY_MS = 3_600_000

/**
 * The one door for each change of state: clients, rumors, pulls and repairs all queue here. One synced batch is in
 * flight at a time; whoever comes meanwhile is planned into the next one (group commit), so that it is ready when the disk
 * is. Nobody is told before it is durable.
 */
export class Committer {
  readonly #context: CommitterContext
  /** Called with what has just become durable, and when: an entry for each key that changed, none for one that was dropped. */
  onDurable: (changes: CommitPlan['after'], atMs: number) => void = NOBODY
  readonly #queue: Arrival[] = []
  #queueBytes = 0
  #state: ReplicaState
  #running: Promise<void> | undefined
  #lastFlight: Flight | undefined
  /** Tells the planner, which waits beside the disk, that there is news. */
  #wake: () => void = NOBODY
  #closed = false
  #reopening = false
  #policyEpoch = 0
  #isCommitting = false
  #failedMs = Number.NEGATIVE_INFINITY
  /** Why nothing is committed any more. */
  #ended: unknown

  /** Called in the turn in which the state advances by a batch, before anybody is told of it. */
  onCommitted: (plan: CommitPlan) => void = NOBODY
  /** Called when the state begins anew from what is on disk: nobody was told what became of the last batch. */
  onReopened: () => void = NOBODY

  constructor(context: CommitterContext) {
    this.#context = context
    this.#state = this.#freshState()
  }

  /** Called with a leaf of which more may be lost than what was replaced in it. */
  onDoubt: (leaf: Leaf) => void = () => {}

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

  /** Another number whenever the policy of some bucket may have changed. */
  get policyEpoch(): number {
    return this.#policyEpoch
  }

  /** Whether a batch is on its way: what the store shows may already be ahead of the state. */
  get isCommitting(): boolean {
    return this.#isCommitting
  }

  /** Resolves when what is on its way to the disk now is durable, or failed. */
  async landed(): Promise<void> {
    await this.#lastFlight?.landed
  }

  get isReopening(): boolean {
    return this.#reopening
  }

  /** The disk has no space to spare: what would need some is refused before it is queued. */
  get isReadOnly(): boolean {
    return this.#context.disk.isReadOnly
  }

  submit(arrival: Arrival): void {
    if (this.#closed || this.#ended !== undefined) {
      arrival.fail({ outcome: 'not-applied', cause: this.#ended ?? new Error('the replica is stopping') })
      return
    }
    this.#queue.push(arrival)
    this.#queueBytes += weightOf(arrival)
    // Behind the current turn, so that all that one turn brings goes into one batch.
    this.#running ??= Promise.resolve().then(() => this.#run())
    this.#wake()
  }

  /** Commits what waits, and takes nothing more. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#running
  }

  async #run(): Promise<void> {
    let flight: Flight | undefined
    try {
      while (this.#queue.length > 0 || flight !== undefined) {
        flight = await this.#next(flight)
        if (this.#ended !== undefined && flight === undefined) this.#refuseWaiting(this.#ended)
      }
    } finally {
      this.#running = undefined
    }
  }

  /**
   * Plans the next group while the last one is on its way to the disk, sends it after that one has landed, and only then
   * tells the last group: those who answer clients have the event loop to themselves while the disk is busy again.
   */
  async #next(flight: Flight | undefined): Promise<Flight | undefined> {
    if (flight?.plan.bearsAnother === false) {
      if (await this.#land(flight)) this.#tell(flight.plan)
      return undefined
    }
    if (flight === undefined) this.#look()
    const draft = new CommitDraft({ state: this.#state, hash: this.#context.hash, below: flight?.plan })
    const problem = await this.#fill(draft, flight)
    if (flight !== undefined && !(await this.#land(flight))) {
      // What was planned on top of a failed group is planned again, on what is on disk.
      this.#queue.unshift(...draft.arrivals)
      for (const arrival of draft.arrivals) this.#queueBytes += weightOf(arrival)
      return undefined
    }
    if (problem !== undefined) {
      if (flight !== undefined) this.#tell(flight.plan)
      for (const arrival of draft.arrivals) arrival.fail({ outcome: 'not-applied', cause: problem })
      // Dots were given out that no entry will have.
      await this.#reopen()
      return undefined
    }
    const plan = draft.finish()
    const next = plan.isEmpty ? undefined : this.#send(plan)
    if (flight !== undefined) this.#tell(flight.plan)
    if (next === undefined) this.#tell(plan)
    return next
  }

  /** Nothing is under way, so what is in memory is what is on disk: whoever waits to see one moment of both sees it now. */
  #look(): void {
    for (let next = this.#queue[0]; next?.kind === 'look'; next = this.#queue[0]) {
      this.#queue.shift()
      try {
        next.look(this.#state)
      } catch (cause) {
        next.fail({ outcome: 'not-applied', cause })
      }
    }
  }

  #send(plan: CommitPlan): Flight {
    const { store, clock, measures } = this.#context
    const batch = store.wantsCheckpoint ? { ...plan.batch, checkpoint: this.#state.checkpoint() } : plan.batch
    const startedMs = clock.monotonicMs()
    this.#isCommitting = true
    const flight: Flight = {
      plan: { ...plan, batch },
      hasLanded: false,
      landed: store.commit(batch).then(
        () => {
          measures.observe('commit_seconds', (clock.monotonicMs() - startedMs) / 1000)
          measures.observe('commit_batch_size', batch.changes.length)
          if (plan.overwritten > 0) measures.add('concurrent_overwrites', plan.overwritten)
          this.onDurable(plan.after, clock.wallMs())
          this.#noteLanding(flight)
          return undefined
        },
        (error: unknown) => {
          this.#noteLanding(flight)
          return { error }
        },
      ),
    }
    this.#lastFlight = flight
    return flight
  }

  #noteLanding(flight: Flight): void {
    flight.hasLanded = true
    this.#wake()
  }

  /** Whether the group is durable; when not, everybody in it knows, and the store has been opened again. */
  async #land(flight: Flight): Promise<boolean> {
    const failure = await flight.landed
    const { plan } = flight
    this.#isCommitting = false
    if (failure === undefined) {
      this.#state.advance(plan.batch, plan.promise)
      if (plan.changesPolicies) this.#policyEpoch++
      for (const leaf of plan.doubtful) this.onDoubt(leaf)
      this.onCommitted(plan)
      return true
    }
    for (const arrival of plan.arrivals) arrival.fail({ outcome: 'unknown', cause: failure.error })
    this.#context.log.error('commit-failed', {
      error: String(failure.error),
      entries: plan.batch.changes.length,
    })
    if (!this.#mayPass(failure.error)) return false
    await this.#reopen()
    return false
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

  /**
   * Plans what waits and what comes, until the disk is free or the group is full. Returns what went wrong while
   * deciding: then the draft is of no use.
   */
  async #fill(draft: CommitDraft, flight: Flight | undefined): Promise<unknown> {
    for (;;) {
      let isBlocked = false
      while (this.#queue.length > 0 && !draft.isFull && !isBlocked) {
        const chunk = this.#nextChunk(draft, flight)
        if (chunk.length === 0) break
        try {
          await this.#read(chunk, draft)
          const ids = this.#unreadReceipts(chunk, draft)
          if (ids.length > 0) await this.#readReceipts(ids, draft)
        } catch (error) {
          this.#take(chunk.length)
          for (const arrival of chunk) arrival.fail({ outcome: 'not-applied', cause: error })
          this.#context.log.error('commit-not-planned', { error: String(error) })
          continue
        }
        try {
          isBlocked = (await this.#decide(chunk, draft, flight)) < chunk.length
        } catch (error) {
          this.#context.log.error('commit-not-planned', { error: String(error) })
          return error
        }
      }
      if (flight === undefined || flight.hasLanded || draft.isFull || this.#queue.length > 0) return undefined
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      this.#wake = NOBODY
    }
  }

  /** Those who are next and can be planned together with the draft. What needs quiet is the first of its group. */
  #nextChunk(draft: CommitDraft, flight: Flight | undefined): readonly PlannedArrival[] {
    const isQuiet = flight === undefined && draft.arrivals.length === 0
    const chunk: PlannedArrival[] = []
    let entries = 0
    for (const arrival of this.#queue) {
      if (entries >= COMMIT_ENTRIES_MAX || arrival.kind === 'look') break
      if (needsQuiet(arrival)) {
        if (chunk.length === 0 && isQuiet) chunk.push(arrival)
        break
      }
      entries += countOf(arrival)
      chunk.push(arrival)
    }
    return chunk
  }

  /**
   * Decides on each of the chunk and takes it out of the queue. Returns on how many: one that names an entry which cannot
   * be read waits until it is the first of its group and nothing is on its way.
   */
  async #decide(chunk: readonly PlannedArrival[], draft: CommitDraft, flight: Flight | undefined): Promise<number> {
    const wallMs = this.#context.clock.wallMs()
    let decided = 0
    try {
      for (const arrival of chunk) {
        if (draft.isFull) break
        const corrupt = draft.hasCorrupt ? corruptIn(arrival, draft) : NONE
        if (corrupt.length > 0) {
          if (flight !== undefined || draft.arrivals.length > 0) break
          await this.#recompute(corrupt, draft, arrival)
        }
        // Taken out of the queue whatever becomes of it.
        decided++
        draft.decide(arrival, wallMs)
      }
    } finally {
      this.#take(decided)
    }
    return decided
  }

  #take(count: number): void {
    for (const arrival of this.#queue.splice(0, count)) {
      const bytes = weightOf(arrival)
      this.#queueBytes -= bytes
      this.#context.disk.wrote(bytes)
    }
  }

  async #read(chunk: readonly PlannedArrival[], draft: CommitDraft): Promise<void> {
    const { store } = this.#context
    const unread = new Set<Address>()
    /** Whoever brings these has found that a row was here: that it is gone altogether makes no difference. */
    const lost = new Set<Address>()
    for (const arrival of chunk) {
      if (arrival.kind === 'write') draft.noteUnread(arrival.address, unread)
      else if (arrival.kind === 'entries')
        for (const { address } of arrival.entries) {
          draft.noteUnread(address, unread)
          if (arrival.source === 'heal') lost.add(address)
        }
      else if (arrival.kind === 'import') for (const { address } of arrival.entries) draft.noteUnread(address, unread)
      else if (arrival.kind === 'purge') for (const { address } of arrival.rows) draft.noteUnread(address, unread)
    }
    const note = (address: Address, held: Held): void =>
      draft.read(address, held === undefined && lost.has(address) ? 'corrupt' : held)
    const [first] = chunk
    if (first?.kind === 'leaf' || first?.kind === 'index') await this.#readForRepair(first, draft)
    if (unread.size <= SYNCHRONOUS_READS_MAX) {
      for (const address of unread) note(address, store.read(address))
      return
    }
    const addresses = [...unread]
    for (const [index, held] of (await store.readMany(addresses)).entries()) note(addresses[index] ?? '', held)
  }

  /** A repair is alone in its chunk, and nothing is on its way: the rows of the leaf are as the state says. */
  async #readForRepair(repair: LeafRepair | IndexRepair, draft: CommitDraft): Promise<void> {
    const { hash, store } = this.#context
    const view = store.view()
    try {
      if (repair.kind === 'leaf') {
        draft.readLeaf(await readLeaf(repair.leaf, view, hash))
        const addresses = [...repair.entries.map(({ address }) => address), ...repair.unreadable]
        for (const address of new Set(addresses)) draft.read(address, view.read(address))
        return
      }
      const addresses = new Set([...repair.reindex, ...repair.dots.map(({ address }) => address)])
      for (const address of addresses) {
        const held = view.read(address)
        draft.read(address, held)
        if (held !== undefined) continue
        const leaf = leafOf(hash.sha256(bytesOf(address)))
        const rows = await readLeaf(leaf, view, hash)
        const isSound = rows.unreadable.length === 0 && isSameSum(rows.sum, this.#state.sumOf(leaf))
        if (isSound) draft.readSound(address)
      }
    } finally {
      await view.close()
    }
  }

  #unreadReceipts(chunk: readonly Arrival[], draft: CommitDraft): readonly WriteId[] {
    const unread = new Set<WriteId>()
    const wallMs = this.#context.clock.wallMs()
    const note = (id: WriteId): void => draft.receipts.noteUnread(id, unread)
    for (const arrival of chunk) {
      if (arrival.kind === 'write' && arrival.name !== undefined) note(arrival.name.id)
      else if (arrival.kind === 'forgetting') for (const { ids } of arrival.groups) ids.forEach(note)
      else if (arrival.kind === 'entries' || arrival.kind === 'import')
        for (const entry of arrival.entries) {
          const { name } = entry
          if (name !== undefined && receiptOf(entry, wallMs) !== undefined) note(name.id)
        }
    }
    return [...unread]
  }

  async #readReceipts(ids: readonly WriteId[], draft: CommitDraft): Promise<void> {
    const { store } = this.#context
    const receipts =
      ids.length <= SYNCHRONOUS_READS_MAX ? ids.map((id) => store.receipt(id)) : await store.receipts(ids)
    for (const [index, id] of ids.entries()) draft.receipts.read(id, receipts[index])
  }

  /** The old sum of a leaf is of no use when the entry to take out of it cannot be read: sum up what can be. */
  async #recompute(addresses: readonly Address[], draft: CommitDraft, arrival: PlannedArrival): Promise<void> {
    const { hash, store, measures, log } = this.#context
    for (const address of addresses) {
      const leaf = leafOf(hash.sha256(bytesOf(address)))
      const view = store.view()
      try {
        draft.recomputed(leaf, sumOf((await view.leaf(leaf)).entries, hash))
      } finally {
        await view.close()
      }
      // Whoever had it fetched has counted it.
      if (arrival.kind !== 'entries' || arrival.source !== 'heal') measures.add('corrupt_entries')
      log.warn('corrupt-entry-replaced', { leaf })
    }
  }

  /** After a failed write nothing in memory is to be trusted either: begin again from what is on disk. */
  async #reopen(): Promise<void> {
    const { store, timers, measures, log, disk } = this.#context
    for (;;) {
      await this.#awaitSpace()
      if (this.#closed && disk.isReadOnly) return
      this.#reopening = true
      try {
        await store.reopen()
        this.#state = this.#freshState()
        // What became of the failed commit is known only now.
        this.#policyEpoch++
        this.#reopening = false
        this.onReopened()
        disk.opened()
        measures.add('store_reopens')
        log.warn('store-reopened', { replayedBatches: store.state.replayedBatches })
        return
      } catch (error) {
        log.error('store-not-reopened', { error: String(error) })
        this.#refuseWaiting(error)
        if (!this.#mayPass(error) || this.#closed) return
        await sleep(timers, REOPEN_DELAY_MS)
      }
    }
  }

  /**
   * While there is no space the failed handle stays open: it takes no more writes, and reads go on. Closed, it could not
   * be opened again, since opening needs space too.
   */
  async #awaitSpace(): Promise<void> {
    const { disk, timers } = this.#context
    // Whatever the error was called: somebody else may have taken all the space since the last look.
    if (disk.canTell) await disk.look()
    while (disk.isReadOnly && disk.canTell && !disk.hasRoom && !this.#closed) {
      this.#refuseWaiting(new StoreError('disk_full', 'the disk is full'))
      await sleep(timers, REOPEN_DELAY_MS)
      await disk.look()
    }
  }

  #refuseWaiting(cause: unknown): void {
    for (const arrival of this.#queue.splice(0)) arrival.fail({ outcome: 'not-applied', cause })
    this.#queueBytes = 0
  }

  /**
   * Whether it makes sense to open the store again. Space comes back and so do file descriptors; a disk that fails gets
   * one more chance; what is missing or forbidden stays so. When not, the replica is told to end.
   */
  #mayPass(error: unknown): boolean {
    const { clock, disk, onFatal } = this.#context
    const code = error instanceof StoreError ? error.code : 'io_error'
    if (code === 'disk_full') disk.ranOut()
    if (code === 'disk_full' || code === 'too_many_files') return true
    const nowMs = clock.monotonicMs()
    const isFirst = nowMs - this.#failedMs > FAILURE_MEMORY_MS
    this.#failedMs = nowMs
    if (code === 'io_error' && isFirst) return true
    this.#reopening = true
    this.#ended = error
    onFatal(error)
    return false
  }

  #freshState(): ReplicaState {
    const { store, random, hash } = this.#context
    return new ReplicaState(store.state, random.hex(8), hash)
  }
}

/** A group on its way to the disk. */
interface Flight {
  readonly plan: CommitPlan
  hasLanded: boolean
  /** Never rejects. */
  readonly landed: Promise<{ readonly error: unknown } | undefined>
}

/** What changes more than entries, so that nothing is to be planned on top of it, nor it on top of anything. */
function needsQuiet(arrival: PlannedArrival): boolean {
  if (arrival.kind === 'entries') return arrival.claims.length > 0
  return arrival.kind === 'membership' || arrival.kind === 'leaf' || arrival.kind === 'index'
}

function corruptIn(arrival: PlannedArrival, draft: CommitDraft): readonly Address[] {
  if (arrival.kind === 'write') return draft.planned(arrival.address) === 'corrupt' ? [arrival.address] : NONE
  // A purge passes by what it cannot read, and repairs are about it.
  if (arrival.kind !== 'entries' && arrival.kind !== 'import') return NONE
  const addresses = arrival.entries.map(({ address }) => address)
  return addresses.filter((address) => draft.planned(address) === 'corrupt')
}

const NONE: readonly Address[] = []
