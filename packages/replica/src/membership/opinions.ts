import {
  Dissemination,
  MEMBERS_MAX,
  MemberList,
  Suspicion,
  type Clock,
  type LocalHealth,
  type Log,
  type Measures,
  type MemberEvent,
  type MemberUpdate,
  type ReplicaId,
} from '@grapevine/core'

/** Of some 250 bytes each: 8 KiB, one congestion window. */
const UPDATES_PER_MESSAGE_MAX = 32

export interface OpinionsContext {
  readonly self: MemberUpdate
  readonly clock: Clock
  readonly health: LocalHealth
  readonly measures: Measures
  readonly log: Log
  readonly probeIntervalMs: number
  /** Decided by the roster, never here (frontier.md R14). */
  readonly isMember: (replica: ReplicaId) => boolean
  readonly onChange: (event: MemberEvent) => void
  /** See {@link FailureDetectorOptions.lifeguard}. */
  readonly lifeguard: boolean
}

/** What we think of the members, how long they have been suspected, and what we still have to tell of it. */
export class Opinions {
  readonly list: MemberList
  readonly #context: OpinionsContext
  readonly #news = new Dissemination()
  // Invariant: exactly the members in state `suspect` have a suspicion.
  readonly #suspicions = new Map<ReplicaId, Suspicion>()
  /** Heard of before the roster knew them. Bounded by {@link MEMBERS_MAX}; the oldest go first. */
  readonly #strangers = new Map<ReplicaId, MemberUpdate>()

  constructor(context: OpinionsContext) {
    this.#context = context
    this.list = new MemberList(context.self)
  }

  /** Takes in what somebody says. Tells whether we had to deny something, which the others must hear at once. */
  hear(from: ReplicaId, updates: readonly MemberUpdate[]): boolean {
    let refuted = false
    for (const update of updates) {
      const { replica } = update
      if (replica !== this.list.self.replica && !this.#context.isMember(replica)) {
        this.#remember(update)
        continue
      }
      const event = this.list.apply(update, from)
      if (event === undefined) this.#confirm(update, from)
      else this.#tell(event, from)
      refuted ||= event?.kind === 'refute'
    }
    return refuted
  }

  /** Our own verdict. */
  claim(replica: ReplicaId, state: 'suspect' | 'dead'): void {
    const held = this.list.get(replica)
    if (held !== undefined) this.hear(this.list.self.replica, [{ ...held, state }])
  }

  leave(): void {
    this.#tell(this.list.leave(), this.list.self.replica)
  }

  /** Who speaks to us is not dead yet, whatever it failed to answer; perhaps it has not heard what we think. */
  sawLife(replica: ReplicaId): void {
    const { clock, probeIntervalMs, lifeguard } = this.#context
    if (lifeguard) this.#suspicions.get(replica)?.holdUntil(clock.monotonicMs() + probeIntervalMs)
  }

  /** We slept for so long: suspects get the time back, since we could not have heard them. */
  slept(ms: number): void {
    for (const suspicion of this.#suspicions.values()) suspicion.shift(ms)
  }

  declareOverdue(nowMs: number): void {
    for (const [replica, suspicion] of this.#suspicions) {
      if (suspicion.deadlineMs <= nowMs) this.claim(replica, 'dead')
    }
  }

  get hasNews(): boolean {
    return !this.#news.isEmpty
  }

  /** Says again what the others may have forgotten. */
  announceSelf(): void {
    this.#news.offer(this.list.self)
  }

  /** What to tell one member, beginning with what it is accused of and what we think of `about`. */
  newsFor(replica: ReplicaId, about?: ReplicaId): readonly MemberUpdate[] {
    const receiver = this.list.get(replica)
    const accusation = receiver?.state === 'alive' ? undefined : receiver
    const subject = about === undefined || about === replica ? undefined : this.list.get(about)
    const must = (this.#context.lifeguard ? [accusation, subject] : []).filter((update) => update !== undefined)
    return this.#news.take(UPDATES_PER_MESSAGE_MAX, this.#liveCount(), must)
  }

  /** The roster changed: strangers that became members are welcomed, evicted members forgotten and returned. */
  rosterChanged(): readonly MemberUpdate[] {
    const { isMember } = this.#context
    const welcome = [...this.#strangers.values()].filter(({ replica }) => isMember(replica))
    for (const { replica } of welcome) this.#strangers.delete(replica)
    this.hear(this.list.self.replica, welcome)

    const evicted = this.list.all().filter(({ replica }) => replica !== this.list.self.replica && !isMember(replica))
    for (const { replica } of evicted) {
      this.list.forget(replica)
      this.#news.drop(replica)
      this.#suspicions.delete(replica)
    }
    return evicted
  }

  #tell(event: MemberEvent, by: ReplicaId): void {
    const { clock, health, measures, log, probeIntervalMs, onChange, lifeguard } = this.#context
    const { kind, member, before } = event
    const { replica, name, state, incarnation } = member
    const wasOurs = this.#suspicions.get(replica)?.isAccusedBy(this.list.self.replica) ?? false
    if (wasOurs && state === 'alive') measures.add('false_suspicions')
    if (kind === 'refute') health.note('refuted')
    if (state === 'suspect') {
      const suspicion = new Suspicion(by, clock.monotonicMs(), this.#liveCount(), probeIntervalMs, lifeguard)
      this.#suspicions.set(replica, suspicion)
    } else this.#suspicions.delete(replica)
    this.#news.offer(member)
    log.info('member', { kind, replica, name, state, was: before?.state, incarnation })
    onChange(event)
  }

  /** No news, but perhaps a second voice. */
  #confirm({ replica, state, incarnation }: MemberUpdate, from: ReplicaId): void {
    const agrees = state === 'suspect' && this.list.get(replica)?.incarnation === incarnation
    if (agrees) this.#suspicions.get(replica)?.confirm(from)
  }

  #remember(update: MemberUpdate): void {
    const { replica, incarnation } = update
    if (incarnation < (this.#strangers.get(replica)?.incarnation ?? 0)) return
    this.#strangers.delete(replica)
    this.#strangers.set(replica, update)
    const [oldest] = this.#strangers.keys()
    if (this.#strangers.size > MEMBERS_MAX && oldest !== undefined) this.#strangers.delete(oldest)
  }

  #liveCount(): number {
    return this.list.live().length + 1
  }
}
