import {
  compareHlc,
  compareVersions,
  type Digest,
  type Entry,
  type Held,
  type Hlc,
  type Store,
  type Timers,
  type Version,
} from '@grapevine/core'
import type { RecentCommits } from './recent-commits.ts'

/** A version that somebody waits for: it, or a newer one of its key. */
export interface WantedVersion {
  readonly keyHash: Digest
  readonly version: Version
}

export interface VersionWatchContext {
  readonly store: Store
  readonly timers: Timers
  readonly commits: RecentCommits
  readonly frontier: () => Hlc
  /** Resolves when what is on its way to the disk now has arrived, or has not. */
  readonly landed: () => Promise<void>
}

type Notice = (version: Version, atMs: number) => void

/** Who waits for a version to be durable here is told the moment it is, and nobody looks twice. */
export class VersionWatch {
  readonly #context: VersionWatchContext
  readonly #waiting = new Map<Digest, Set<Notice>>()

  constructor(context: VersionWatchContext) {
    this.#context = context
  }

  /** These have just become durable. */
  committed(entries: Iterable<Entry | undefined>, atMs: number): void {
    if (this.#waiting.size === 0) return
    for (const entry of entries) {
      if (entry === undefined) continue
      for (const notice of this.#waiting.get(entry.keyHash) ?? []) notice(entry.version, atMs)
    }
  }

  /**
   * Waits until one of them is durable here, or `waitMs` are over, or nobody waits any more. Returns for each since when it
   * is, or undefined for those that are not yet.
   */
  async firstOf(
    wanted: readonly WantedVersion[],
    waitMs: number,
    isOver: Promise<void>,
  ): Promise<readonly (number | undefined)[]> {
    const since: (number | undefined)[] = wanted.map(() => undefined)
    const isAnyHeld = (): boolean => since.some((atMs) => atMs !== undefined)
    const { promise, resolve: release } = Promise.withResolvers<void>()
    // Registered before anything is read, so that what is committed meanwhile is not missed.
    const unregister = wanted.map(({ keyHash, version }, index) =>
      this.#register(keyHash, (held, atMs) => {
        if (compareVersions(held, version) < 0) return
        since[index] ??= atMs
        release()
      }),
    )
    const timer = this.#context.timers.after(waitMs, release)
    try {
      const remembered = wanted.map(({ keyHash, version }) => this.#context.commits.heldSinceMs(keyHash, version))
      // Nothing has been awaited yet, so nobody has noted anything.
      for (const [index, atMs] of remembered.entries()) since[index] = atMs
      // Whoever is answered with some asks again for the rest.
      if (!isAnyHeld()) for (const [index, atMs] of (await this.#heldLongSince(wanted)).entries()) since[index] ??= atMs
      if (!isAnyHeld()) await Promise.race([promise, isOver])
      return since
    } finally {
      timer.cancel()
      for (const forget of unregister) forget()
    }
  }

  /** Of what is not remembered. */
  async #heldLongSince(wanted: readonly WantedVersion[]): Promise<readonly (number | undefined)[]> {
    const { store, commits, landed, frontier } = this.#context
    const view = store.view()
    try {
      const held = await view.readByKeyHash(wanted.map(({ keyHash }) => keyHash))
      // A row may be seen a moment before it is known to be durable.
      await landed()
      return wanted.map(({ keyHash, version }, index) =>
        isHeld(held[index], version, frontier())
          ? (commits.heldSinceMs(keyHash, version) ?? commits.sinceMs)
          : undefined,
      )
    } finally {
      await view.close()
    }
  }

  #register(keyHash: Digest, notice: Notice): () => void {
    const notices = this.#waiting.get(keyHash) ?? new Set()
    this.#waiting.set(keyHash, notices.add(notice))
    return () => {
      notices.delete(notice)
      if (notices.size === 0 && this.#waiting.get(keyHash) === notices) this.#waiting.delete(keyHash)
    }
  }
}

/** A key that holds nothing held the version, or a newer one, when both are behind the frontier (frontier.md I3, I1). */
function isHeld(held: Held, version: Version, frontier: Hlc): boolean {
  if (held === undefined) return compareHlc(version.hlc, frontier) <= 0
  return held !== 'corrupt' && compareVersions(held.version, version) >= 0
}
