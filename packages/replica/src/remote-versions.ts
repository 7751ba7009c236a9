import {
  AWAIT_VERSIONS_MS_MAX,
  ENTRIES_PER_QUESTION_MAX,
  RefusalError,
  UnreachableError,
  type ReplicaId,
  type Timers,
} from '@grapevine/core'
import type { AskMember } from './ask-member.ts'
import { sleep } from './sleep.ts'
import type { WantedVersion } from './version-watch.ts'

export interface RemoteVersionsContext {
  readonly ask: AskMember
  readonly timers: Timers
  readonly peerTimeoutMs: number
}

/** Before a peer is asked again that did not answer. */
const RETRY_MS = 100
/** One waits at the peer, and one brings what is wanted since. */
const QUESTIONS_MAX = 2

interface Want extends WantedVersion {
  readonly held: (atMs: number) => void
}

/**
 * What is waited for at one peer. One question waits there for all of it; when more is wanted a second one brings all
 * again, and the peer answers the first. So it takes two of the few connections to a peer, however many wait.
 */
export class RemoteVersions {
  readonly #context: RemoteVersionsContext
  readonly #peer: ReplicaId
  readonly #wants = new Set<Want>()
  /** Those that are in none of the questions under way. */
  readonly #news = new Set<Want>()
  readonly #questions = new Set<ReadonlySet<Want>>()

  constructor(peer: ReplicaId, context: RemoteVersionsContext) {
    this.#peer = peer
    this.#context = context
  }

  /** Whether nothing more may be wanted: all of it has to fit into one question. */
  get isFull(): boolean {
    return this.#wants.size >= ENTRIES_PER_QUESTION_MAX
  }

  /** Calls `held` once the peer holds it. Returns how to give up. */
  want({ keyHash, version }: WantedVersion, held: (atMs: number) => void): () => void {
    const want = { keyHash, version, held }
    this.#wants.add(want)
    this.#news.add(want)
    // Behind the current turn, so that all that one turn wants is one question.
    void Promise.resolve().then(() => this.#ask())
    return () => this.#drop(want)
  }

  #ask(): void {
    if (this.#news.size === 0 || this.#questions.size >= QUESTIONS_MAX) return
    const batch = new Set(this.#wants)
    this.#news.clear()
    this.#questions.add(batch)
    void this.#converse([...batch]).finally(() => {
      this.#questions.delete(batch)
      // What waits at the peer may be the older question, when the two have overtaken each other on the way.
      for (const want of batch) if (this.#wants.has(want) && !this.#isUnderWay(want)) this.#news.add(want)
      this.#ask()
    })
  }

  #isUnderWay(want: Want): boolean {
    return [...this.#questions].some((batch) => batch.has(want))
  }

  #drop(want: Want): boolean {
    this.#news.delete(want)
    return this.#wants.delete(want)
  }

  /** Never rejects for what the network does. */
  async #converse(batch: readonly Want[]): Promise<void> {
    const { ask, timers, peerTimeoutMs } = this.#context
    try {
      const wanted = batch.map(({ keyHash, version }) => ({ keyHash, version }))
      const question = { wanted, waitMs: AWAIT_VERSIONS_MS_MAX }
      const { held } = await ask(this.#peer, 'await-versions', question, AWAIT_VERSIONS_MS_MAX + peerTimeoutMs)
      for (const { index, atMs } of held) {
        const want = batch[index]
        if (want !== undefined && this.#drop(want)) want.held(atMs)
      }
    } catch (error) {
      if (!(error instanceof UnreachableError || error instanceof RefusalError)) throw error
      await sleep(timers, RETRY_MS)
    }
  }
}
