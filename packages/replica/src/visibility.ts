import { StoreError, type Digest, type ReplicaId, type Timers, type Version } from '@grapevine/core'
import { RemoteVersions, type RemoteVersionsContext } from './remote-versions.ts'
import { sleep } from './sleep.ts'
import type { VersionWatch } from './version-watch.ts'

export interface VisibilityContext extends RemoteVersionsContext {
  readonly self: ReplicaId
  readonly timers: Timers
  readonly watch: VersionWatch
  /** Live members other than this one. */
  readonly live: () => readonly ReplicaId[]
}

export interface VisibilityQuestion {
  readonly keyHash: Digest
  readonly version: Version
  /** `all`: every live replica. A number counts members. */
  readonly on: 'all' | number
  readonly withinMs: number
  /** Resolves when whoever asked has gone. */
  readonly gone: Promise<void>
}

/** Who holds the version or a newer one, and since when, by its own clock. */
export interface Holder {
  readonly replica: ReplicaId
  readonly committedAtMs: number
}

export interface Visibility {
  /** Whether as many hold it as were asked for. */
  readonly reached: boolean
  readonly holders: readonly Holder[]
}

/** Between two looks at who is alive: somebody may die while it is waited for, or come back. */
const LIVENESS_LOOK_MS = 200

/** Waits for versions to be held by other replicas, for as many at once as ask. */
export class VisibilityWatch {
  readonly #context: VisibilityContext
  readonly #peers = new Map<ReplicaId, RemoteVersions>()

  constructor(context: VisibilityContext) {
    this.#context = context
  }

  /** `too-many` when too many wait already. */
  async until({ keyHash, version, on, withinMs, gone }: VisibilityQuestion): Promise<Visibility | 'too-many'> {
    const { self, timers, watch, live } = this.#context
    if (live().some((replica) => this.#peer(replica).isFull)) return 'too-many'
    const holders = new Map<ReplicaId, Holder>()
    const giveUp = new Map<ReplicaId, () => void>()
    let wake = (): void => {}
    const held = (replica: ReplicaId, committedAtMs: number): void => {
      holders.set(replica, { replica, committedAtMs })
      wake()
    }
    const isReached = (): boolean =>
      typeof on === 'number' ? holders.size >= on : [self, ...live()].every((replica) => holders.has(replica))

    const over = Promise.withResolvers<void>()
    let isOver = false
    const end = (): void => {
      isOver = true
      over.resolve()
      wake()
    }
    const watchOwn = async (): Promise<void> => {
      while (!isOver) {
        try {
          const [atMs] = await watch.firstOf([{ keyHash, version }], withinMs, over.promise)
          return atMs === undefined ? undefined : held(self, atMs)
        } catch (error) {
          // It is opened again in a moment.
          if (!(error instanceof StoreError)) throw error
          await sleep(timers, LIVENESS_LOOK_MS)
        }
      }
    }
    const deadline = timers.after(withinMs, end)
    void gone.then(end)
    try {
      void watchOwn()
      while (!isReached() && !isOver) {
        for (const replica of live()) {
          if (holders.has(replica) || giveUp.has(replica)) continue
          giveUp.set(
            replica,
            this.#peer(replica).want({ keyHash, version }, (atMs) => held(replica, atMs)),
          )
        }
        await new Promise<void>((resolve) => {
          const look = timers.after(LIVENESS_LOOK_MS, resolve)
          wake = () => {
            look.cancel()
            resolve()
          }
        })
      }
      return { reached: isReached(), holders: [...holders.values()] }
    } finally {
      end()
      deadline.cancel()
      for (const stop of giveUp.values()) stop()
    }
  }

  #peer(replica: ReplicaId): RemoteVersions {
    const peer = this.#peers.get(replica) ?? new RemoteVersions(replica, this.#context)
    this.#peers.set(replica, peer)
    return peer
  }
}
