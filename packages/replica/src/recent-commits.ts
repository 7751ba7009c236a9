import { compareVersions, type Digest, type Entry, type Version } from '@grapevine/core'

/** A few minutes of a usual day, and a tenth of a second of the greatest load: 2 MiB. */
const KEYS_MAX = 16_384

interface Landing {
  readonly atMs: number
  readonly keyHashes: readonly Digest[]
  readonly versions: readonly Version[]
}

/** When what was committed lately became durable here, by the wall clock. Costs next to nothing until somebody asks. */
export class RecentCommits {
  readonly #landings: Landing[] = []
  #first = 0
  #keys = 0
  /** All that was committed before this is not remembered. */
  #sinceMs: number

  constructor(wallMs: number) {
    this.#sinceMs = Math.ceil(wallMs)
  }

  note(entries: Iterable<Entry | undefined>, atMs: number): void {
    const keyHashes: Digest[] = []
    const versions: Version[] = []
    for (const entry of entries) {
      if (entry === undefined) continue
      keyHashes.push(entry.keyHash)
      versions.push(entry.version)
    }
    if (keyHashes.length === 0) return
    this.#landings.push({ atMs, keyHashes, versions })
    this.#keys += keyHashes.length
    while (this.#keys > KEYS_MAX && this.#first < this.#landings.length - 1) this.#forgetOldest()
  }

  /** When this version, or a newer one of its key, was first durable here, as far as is remembered. */
  heldSinceMs(keyHash: Digest, version: Version): number | undefined {
    for (let index = this.#first; index < this.#landings.length; index++) {
      const landing = this.#landings[index]
      const at = landing?.keyHashes.indexOf(keyHash) ?? -1
      const held = landing?.versions[at]
      if (landing !== undefined && held !== undefined && compareVersions(held, version) >= 0) return landing.atMs
    }
    return undefined
  }

  /** What is held and not remembered was durable at this time, or earlier. */
  get sinceMs(): number {
    return this.#sinceMs
  }

  #forgetOldest(): void {
    const oldest = this.#landings[this.#first++]
    this.#keys -= oldest?.keyHashes.length ?? 0
    this.#sinceMs = Math.max(this.#sinceMs, oldest?.atMs ?? 0)
    // Moved together now and then, since moving costs what is left.
    if (this.#first < 1_024) return
    this.#landings.splice(0, this.#first)
    this.#first = 0
  }
}
