import {
  bytesOf,
  MEMBER_VALUES_PER_MESSAGE_MAX,
  MemberValues,
  memberValuesText,
  RefusalError,
  sample,
  UnreachableError,
  type Answer,
  type Clock,
  type Hash,
  type Log,
  type MemberValue,
  type Peer,
  type Question,
  type Random,
  type ReplicaId,
  type ShortHash,
  type Timer,
  type Timers,
} from '@grapevine/core'
import type { AskMember } from '../ask-member.ts'

export interface ValueGossipContext {
  readonly self: ReplicaId
  readonly ask: AskMember
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly hash: Hash
  readonly livePeers: () => readonly Peer[]
  /** Decided by the roster, never here (frontier.md R14). */
  readonly isMember: (replica: ReplicaId) => boolean
  readonly onChange: (value: MemberValue) => void
  readonly log: Log
}

/** A change goes to so many at once; above that, whoever hears of it passes it on. */
const PUSH_PEERS_MAX = 16
const RELAY_PEERS = 4
/** Between two comparisons with a random member, while anybody has said anything. They bring what a push has missed. */
const COMPARE_INTERVAL_MS = 5_000
const TIMEOUT_MS = 2_000

/** Spreads what members tell of themselves: pushed when it changes, and compared now and then. */
export class ValueGossip {
  readonly values: MemberValues
  readonly #context: ValueGossipContext
  #timer: Timer | undefined
  #isStopped = false

  constructor(context: ValueGossipContext) {
    this.#context = context
    this.values = new MemberValues(context.self)
  }

  /** `undefined` when this member tells too much already. */
  set(name: string, value: Uint8Array, contentType: string): MemberValue | undefined {
    const set = this.values.set(name, value, contentType, this.#context.clock.wallMs())
    if (set !== undefined) this.#news([set], PUSH_PEERS_MAX)
    return set
  }

  answer({ values, digest, known }: Question<'member-values'>): Answer<'member-values'> {
    this.#take(values)
    const own = this.#digest()
    if (own === digest || known.length === 0) return { digest: own, values: [], lacking: [] }
    const theirs = new Map(known.map(([owner, name, revision]) => [`${owner}/${name}`, revision]))
    const newer = this.values
      .all()
      .filter(({ owner, name, revision }) => revision > (theirs.get(`${owner}/${name}`) ?? 0))
    const lacking = known.flatMap(([owner, name, revision], index) =>
      revision > (this.values.get(owner, name)?.revision ?? 0) ? [index] : [],
    )
    return {
      digest: own,
      values: newer.slice(0, MEMBER_VALUES_PER_MESSAGE_MAX),
      lacking: lacking.slice(0, MEMBER_VALUES_PER_MESSAGE_MAX),
    }
  }

  stop(): void {
    this.#isStopped = true
    this.#timer?.cancel()
  }

  /** One question when both know the same; else each gets what it lacks. */
  async compareWith(peer: ReplicaId): Promise<void> {
    const { ask } = this.#context
    const first = await ask(peer, 'member-values', { values: [], digest: this.#digest(), known: [] }, TIMEOUT_MS)
    if (first.digest === this.#digest()) return
    const mine = this.values.all()
    const known = mine.map(({ owner, name, revision }) => [owner, name, revision] as const)
    const { values, lacking } = await ask(
      peer,
      'member-values',
      { values: [], digest: this.#digest(), known },
      TIMEOUT_MS,
    )
    this.#take(values)
    const wanted = lacking.flatMap((index) => mine[index] ?? [])
    if (wanted.length > 0)
      await ask(peer, 'member-values', { values: wanted, digest: this.#digest(), known: [] }, TIMEOUT_MS)
  }

  #take(values: readonly MemberValue[]): void {
    const { isMember, livePeers } = this.#context
    const news = values.filter(({ owner }) => isMember(owner)).flatMap((value) => this.values.take(value) ?? [])
    // Up to that many, everybody was told at once. What we have said anew is news to all.
    const isOwn = news.some(({ owner }) => owner === this.#context.self)
    if (news.length > 0)
      this.#news(news, isOwn ? PUSH_PEERS_MAX : livePeers().length > PUSH_PEERS_MAX ? RELAY_PEERS : 0)
  }

  #news(values: readonly MemberValue[], peers: number): void {
    const { livePeers, random, onChange } = this.#context
    for (const value of values) onChange(value)
    if (peers > 0)
      for (const { replica } of sample(livePeers(), peers, random)) this.#background(this.#push(replica, values))
    this.#compareLater()
  }

  async #push(peer: ReplicaId, values: readonly MemberValue[]): Promise<void> {
    await this.#context.ask(peer, 'member-values', { values, digest: this.#digest(), known: [] }, TIMEOUT_MS)
  }

  /** Begins with the first value, so that those who use none pay nothing. */
  #compareLater(): void {
    if (this.#timer !== undefined || this.#isStopped) return
    const { timers, random, livePeers, isMember } = this.#context
    this.#timer = timers.after(COMPARE_INTERVAL_MS * (0.8 + random.next() * 0.4), () => {
      this.#timer = undefined
      for (const owner of this.values.owners()) if (!isMember(owner)) this.values.forget(owner)
      for (const { replica } of sample(livePeers(), 1, random)) this.#background(this.compareWith(replica))
      if (!this.values.isEmpty) this.#compareLater()
    })
  }

  /** Whoever does not answer is asked again another time. */
  #background(conversation: Promise<void>): void {
    conversation.catch((error: unknown) => {
      if (error instanceof UnreachableError || error instanceof RefusalError) return
      this.#context.log.warn('member-values-not-told', { error: String(error) })
    })
  }

  #digest(): ShortHash {
    return this.#context.hash.sha256(bytesOf(memberValuesText(this.values.all()))).slice(0, 8)
  }
}
