import {
  bytesOf,
  leafOf,
  partitionOf,
  presentAt,
  RefusalError,
  UnreachableError,
  type Address,
  type Answer,
  type Entry,
  type Hash,
  type Held,
  type Hlc,
  type Log,
  type Measures,
  type Peer,
  type Question,
  type Store,
  type Timers,
} from '@grapevine/core'
import type { AskMember } from './ask-member.ts'
import type { Intake } from './intake.ts'
import type { LeafMender } from './leaf-mender.ts'
import type { ReplicaState } from './replica-state.ts'
import { sleep } from './sleep.ts'
import type { SuspectLeaves } from './suspect-leaves.ts'

export interface HealContext {
  readonly ask: AskMember
  readonly livePeers: () => readonly Peer[]
  readonly state: () => ReplicaState
  readonly store: Store
  readonly intake: Intake
  /** Replaces the leaf of such a row by that of a clean member. */
  readonly mend: LeafMender['mend']
  readonly hash: Hash
  readonly timers: Timers
  readonly measures: Measures
  readonly log: Log
}

/** A peer that lags behind our last writes has caught up in the next round; a client waits for it no longer than that. */
const ROUNDS = 3
const ROUND_PAUSE_MS = 100
/** A client waits for it. Whoever takes longer is asked again by the scrub. */
const HELD_ENTRY_TIMEOUT_MS = 1_000

/**
 * Brings back the entry of a key whose row here cannot be read, or is gone though an index names it. Returns what a reader
 * may be told: the entry, `undefined` when there turned out to be nothing to read, or `corrupt` when nobody has it.
 *
 * What may take the place of a row that cannot be read? Our vector claims the dot of what we held, X; what that was nobody
 * here knows any more. A peer whose vector contains ours, from the moment in which it read its entry Y, claims that dot
 * too, so by I1 it holds X or something newer, or has dropped something newer: Y is no older than X. The vector is sent
 * along as it was before the question; what is written here meanwhile makes the row readable, and then R4 decides as
 * always (it is in LevelDB's memory then, which no bit on the disk can damage). A peer that lags or was cut off does not
 * contain our vector, and its entry is not taken, however right it looks: it may be what a lost delete had deleted.
 *
 * From a peer that holds nothing nothing is concluded by that: what we held was dropped there, or lost. Its whole leaf tells
 * (`leaf-repair.ts`): when that adds up, there is nothing, and the row goes here as well.
 */
export async function heal(address: Address, context: HealContext): Promise<Held> {
  const { ask, livePeers, state, store, mend, hash, timers, log } = context
  const keyHash = hash.sha256(bytesOf(address))
  for (let round = 0; round < ROUNDS; round++) {
    if (round > 0) await sleep(timers, ROUND_PAUSE_MS)
    for (const { replica } of livePeers()) {
      const question = { keyHash, vector: state().vector(partitionOf(keyHash)).rows() }
      const askedAt = state().frontier
      try {
        const { entries, contains } = await ask(replica, 'held-entry', question, HELD_ENTRY_TIMEOUT_MS)
        const [entry] = entries
        if (!contains) continue
        if (entry?.address === address) {
          if (await keep(entry, replica, askedAt, context)) return entry
          continue
        }
        if ((await mend(leafOf(keyHash), [address])) !== undefined) return readable(address, context)
      } catch (error) {
        if (!(error instanceof UnreachableError || error instanceof RefusalError)) throw error
      }
    }
  }
  log.error('entry-not-healed', { address, peers: livePeers().length })
  return store.read(address)
}

function readable(address: Address, { store, state }: HealContext): Held {
  return presentAt(store.read(address), state().frontier)
}

/**
 * A reader is served even if it cannot be stored, as on a disk that is full. `false` when the answer is outdated: since the
 * question the frontier has risen, and the key may have been deleted and dropped.
 */
async function keep(
  entry: Entry,
  from: string,
  askedAt: Hlc,
  { intake, measures, log }: HealContext,
): Promise<boolean> {
  try {
    const [fate] = await intake.takeIn({ entries: [entry], source: 'heal', from, askedAt })
    if (fate === 'refused') return false
    if (fate === 'news') {
      measures.add('healed_entries')
      log.warn('entry-healed', { address: entry.address, from })
    }
  } catch (error) {
    log.error('healed-entry-not-stored', { address: entry.address, error: String(error) })
  }
  return true
}

/** The other side: entry and vector of one moment, and no word of a leaf that is itself in doubt. */
export async function heldEntry(
  { keyHash, vector }: Question<'held-entry'>,
  state: ReplicaState,
  store: Store,
  suspects: SuspectLeaves,
): Promise<Answer<'held-entry'>> {
  const partition = partitionOf(keyHash)
  // All dots of a folded writer are covered, by all members: by whoever has not heard of the folding too.
  const unfolded = vector.filter(([writer]) => !state.folded.has(writer))
  const contains = state.vector(partition).contains(unfolded) && !suspects.hasIn(partition)
  // Taken in the same turn: it may hold more than the vector claims, never less.
  const view = store.view()
  try {
    const [held] = await view.readByKeyHash([keyHash])
    return { entries: typeof held === 'object' ? [held] : [], contains }
  } finally {
    await view.close()
  }
}

/** So many rows may be fetched at once: a damaged block holds some dozens, and clients come first. */
const HEALING_MAX = 4
/** Found beside other work, and waiting. The scrub finds again what does not fit. */
const WAITING_MAX = 1_024

/** Heals each row once at a time, whoever asks for it. */
export class Healer {
  readonly #context: HealContext
  readonly #healing = new Map<Address, Promise<Held>>()
  readonly #waiting = new Set<Address>()
  #running = 0

  constructor(context: HealContext) {
    this.#context = context
  }

  heal(address: Address): Promise<Held> {
    const running = this.#healing.get(address)
    if (running !== undefined) return running
    const healing = heal(address, this.#context).finally(() => this.#healing.delete(address))
    this.#healing.set(address, healing)
    return healing
  }

  /** Somebody met a row that cannot be read and has no time to wait for it. */
  suspect(address: Address): void {
    if (this.#waiting.size >= WAITING_MAX || this.#healing.has(address)) return
    this.#waiting.add(address)
    this.#context.measures.add('corrupt_entries')
    this.#work()
  }

  #work(): void {
    while (this.#running < HEALING_MAX) {
      const [address] = this.#waiting
      if (address === undefined) return
      this.#waiting.delete(address)
      this.#running++
      this.heal(address)
        .catch((error: unknown) => {
          this.#context.log.error('healing-failed', { address, error: String(error) })
        })
        .finally(() => {
          this.#running--
          this.#work()
        })
    }
  }
}
