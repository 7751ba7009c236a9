// Flags that a process reads as often as it likes, without asking anybody.
import { setTimeout as sleep } from 'node:timers/promises'
import { GrapevineError, type Bucket, type Grapevine } from '@grapevine/client/node'

//#region flags
export class Flags implements AsyncDisposable {
  readonly #flags = new Map<string, unknown>()
  readonly #bucket: Bucket<unknown>
  readonly #leaving = new AbortController()
  readonly #loaded = Promise.withResolvers<void>()
  readonly #following: Promise<void>

  private constructor(bucket: Bucket<unknown>) {
    this.#bucket = bucket
    this.#following = this.#follow()
  }

  /** Resolves when the flags are there. */
  static async open(grapevine: Grapevine): Promise<Flags> {
    const flags = new Flags(grapevine.bucket('flags'))
    await Promise.race([flags.#loaded.promise, flags.#following])
    return flags
  }

  /** At once, from memory. With every node away it goes on saying what it last knew. */
  isOn(name: string): boolean {
    return this.#flags.get(name) === true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#leaving.abort()
    await this.#following
  }

  async #follow(): Promise<void> {
    const { signal } = this.#leaving
    while (!signal.aborted)
      try {
        for await (const change of this.#bucket.watch({ initial: true, signal })) {
          if (change.type === 'resync') await this.#load()
          else if (change.type === 'put') this.#flags.set(String(change.key), await this.#bucket.get(change.key))
          else this.#flags.delete(String(change.key))
        }
      } catch (error) {
        // Nodes that come and go end no watch, but a read may fail with all of them away: then everything anew. What will not
        // pass, such as a token that is not valid any more, is for the program to know.
        if (!signal.aborted && !(error instanceof GrapevineError && error.retryable)) throw error
        await sleep(1_000, undefined, { signal }).catch(() => undefined)
      }
  }

  async #load(): Promise<void> {
    const there = new Set<string>()
    for await (const { key, value } of this.#bucket.list()) {
      there.add(String(key))
      this.#flags.set(String(key), value)
    }
    for (const name of this.#flags.keys()) if (!there.has(name)) this.#flags.delete(name)
    this.#loaded.resolve()
  }
}
//#endregion
