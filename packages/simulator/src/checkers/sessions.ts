import type { EtagText, HistoryEvent } from '../history/history.ts'

export interface Seen {
  readonly version: EtagText
  readonly by: 'its own write' | 'its read'
  readonly op: number
  /** Whether what it saw was no value, or may by now be none. */
  readonly mayBeAbsent: boolean
}

interface OpenOperation {
  readonly client: string
  readonly key: string
  readonly action: 'put' | 'delete' | 'get'
  readonly expires: boolean
}

/** The greatest version of each key that each client with a session has seen, by reading or by writing. */
export class Sessions {
  readonly #seen = new Map<string, Map<string, Seen>>()
  readonly #latest = new Map<string, EtagText>()
  readonly #open = new Map<number, OpenOperation>()
  readonly #expiring = new Set<string>()

  of(client: string, key: string): Seen | undefined {
    return this.#seen.get(client)?.get(key)
  }

  /** Of any key. */
  latest(client: string): EtagText | undefined {
    return this.#latest.get(client)
  }

  see(event: HistoryEvent): void {
    if (event.type === 'invoke') {
      const { op, client, key, action, value, ttlMs } = event
      if (ttlMs !== undefined && value !== undefined) this.#expiring.add(value)
      if (event.session === true) this.#open.set(op, { client, key, action, expires: ttlMs !== undefined })
      return
    }
    if (event.type !== 'written' && event.type !== 'read') return
    const operation = this.#open.get(event.op)
    this.#open.delete(event.op)
    if (operation === undefined || event.version === undefined) return
    const { version, op } = event
    if (event.type === 'written') {
      if (event.outcome !== 'applied') return
      const mayBeAbsent = operation.action === 'delete' || operation.expires
      this.#raise(operation, { version, op, by: 'its own write', mayBeAbsent })
    } else if (event.outcome === 'ok') {
      const mayBeAbsent = typeof event.value !== 'string' || this.#expiring.has(event.value)
      this.#raise(operation, { version, op, by: 'its read', mayBeAbsent })
    }
  }

  #raise({ client, key }: OpenOperation, seen: Seen): void {
    const keys = this.#seen.get(client) ?? new Map<string, Seen>()
    this.#seen.set(client, keys)
    if ((keys.get(key)?.version ?? '') < seen.version) keys.set(key, seen)
    if ((this.#latest.get(client) ?? '') < seen.version) this.#latest.set(client, seen.version)
  }
}
