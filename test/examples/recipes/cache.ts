// A cache that all processes share, and that is allowed to be wrong for a while.
import { GrapevineError, type Bucket } from '@grapevine/client/node'

//#region cache
export class Cache<Value> {
  readonly #bucket: Bucket<Value>
  readonly #making = new Map<string, Promise<Value>>()

  constructor(bucket: Bucket<Value>) {
    this.#bucket = bucket
  }

  /** The value of the key, made at most once at a time in this process. */
  async get(key: string, make: () => Promise<Value>): Promise<Value> {
    const held = await this.#bucket.get(key, { timeoutMs: 200 }).catch(ignoreTrouble)
    if (held !== undefined) return held
    const made = this.#making.get(key) ?? this.#make(key, make)
    return made
  }

  #make(key: string, make: () => Promise<Value>): Promise<Value> {
    const made = make()
      .then(async (value) => {
        // Kept for the others. Should nobody be there to keep it, the caller has it nevertheless.
        await this.#bucket.put(key, value, { ttl: '10m', timeoutMs: 200 }).catch(ignoreTrouble)
        return value
      })
      .finally(() => this.#making.delete(key))
    this.#making.set(key, made)
    return made
  }
}

/** A cache that cannot be asked is an empty one. */
function ignoreTrouble(error: unknown): undefined {
  if (!(error instanceof GrapevineError)) throw error
  return undefined
}
//#endregion
