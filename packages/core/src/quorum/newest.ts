import { compareHlc, type Hlc } from '../clock/hlc.ts'
import type { Entry } from '../record/entry.ts'
import { compareEntries } from '../version/merge.ts'
import { compareVersions, type ReplicaId, type Version } from '../version/version.ts'

/** What members told that they hold of one key, next to what is held here. */
export class Newest {
  readonly #frontier: Hlc
  #entry: Entry | undefined
  /** Whose entry it is; `undefined` for our own. */
  #from: ReplicaId | undefined
  readonly #told = new Map<ReplicaId, Version | undefined>()

  /** @param own what is held here, and `frontier` that of this replica at the same moment. */
  constructor(own: Entry | undefined, frontier: Hlc) {
    this.#entry = own
    this.#frontier = frontier
  }

  get entry(): Entry | undefined {
    return this.#entry
  }

  get from(): ReplicaId | undefined {
    return this.#from
  }

  /** @param version of what it holds; `entry` is that, if it was newer than what it was asked about. */
  tell(replica: ReplicaId, version: Version | undefined, entry: Entry | undefined): void {
    this.#told.set(replica, version)
    if (entry === undefined || (this.#entry !== undefined && compareEntries(entry, this.#entry) <= 0)) return
    // Nothing is here, and every member has seen all up to the frontier: something newer was dropped here (frontier.md I1).
    if (this.#entry === undefined && compareHlc(entry.version.hlc, this.#frontier) <= 0) return
    this.#entry = entry
    this.#from = replica
  }

  /** Who told of less. */
  get behind(): readonly ReplicaId[] {
    const newest = this.#entry?.version
    if (newest === undefined) return []
    return [...this.#told]
      .filter(([, version]) => version === undefined || compareVersions(version, newest) < 0)
      .map(([replica]) => replica)
  }
}
