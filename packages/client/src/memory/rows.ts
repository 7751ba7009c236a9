/** The bytes of a key as a string of their numbers, so that a Map holds it and `<` orders it bytewise. */
export type ByteKey = string

export interface Row {
  /** `undefined` of a tombstone. */
  readonly value: Uint8Array | undefined
  readonly contentType: string
  /** 0: never. */
  readonly expiresAtMs: number
  readonly etag: string
  readonly modifiedMs: number
}

export function byteKeyOf(bytes: Uint8Array): ByteKey {
  let key = ''
  for (const byte of bytes) key += String.fromCharCode(byte)
  return key
}

export function bytesOfByteKey(key: ByteKey): Uint8Array {
  return Uint8Array.from(key, (character) => character.charCodeAt(0))
}

/** Buckets of rows. Lists sort: this is a store for tests, and a sorted map would be more than it needs. */
export class Rows {
  readonly #buckets = new Map<string, Map<ByteKey, Row>>()

  get(bucket: string, key: ByteKey): Row | undefined {
    return this.#buckets.get(bucket)?.get(key)
  }

  set(bucket: string, key: ByteKey, row: Row): void {
    const rows = this.#buckets.get(bucket) ?? new Map<ByteKey, Row>()
    this.#buckets.set(bucket, rows.set(key, row))
  }

  sorted(bucket: string): [ByteKey, Row][] {
    return [...(this.#buckets.get(bucket) ?? [])].toSorted(([a], [b]) => (a < b ? -1 : 1))
  }

  *all(): Generator<[string, ByteKey, Row]> {
    for (const [bucket, rows] of this.#buckets) for (const [key, row] of rows) yield [bucket, key, row]
  }
}
