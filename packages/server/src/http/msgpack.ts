import { isUtf8 } from 'node:buffer'

/** Bytes from a client that are no msgpack that a batch is made of. */
export class MalformedMsgpackError extends Error {
  override readonly name = 'MalformedMsgpackError'
}

/** What a batch is made of; no extension types, which in other decoders make dates, sets and errors. */
export type Msgpack = undefined | null | boolean | number | string | Uint8Array | readonly Msgpack[] | MsgpackMap
export type MsgpackMap = ReadonlyMap<string, Msgpack>

/** A batch has three levels: the request, its list, an operation. */
const DEPTH_MAX = 4

/**
 * Decodes one msgpack value, strictly. By hand instead of by a library: it reads nothing that is not there, makes
 * no more than the bytes can fill, knows no types but the plain ones, and no key of a map can reach a prototype.
 * @throws {MalformedMsgpackError}
 */
export function decodeMsgpack(bytes: Uint8Array): Msgpack {
  const reader = new Reader(bytes)
  const value = reader.value(0)
  reader.end()
  return value
}

class Reader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  end(): void {
    if (this.#at !== this.#bytes.length) this.#fail('bytes follow the value')
  }

  value(depth: number): Msgpack {
    const head = this.#uint(1)
    if (head < 0x80) return head
    if (head < 0x90) return this.#map(head & 0x0f, depth)
    if (head < 0xa0) return this.#array(head & 0x0f, depth)
    if (head < 0xc0) return this.#text(head & 0x1f)
    if (head >= 0xe0) return head - 0x100
    switch (head) {
      case 0xc0:
        return null
      case 0xc2:
        return false
      case 0xc3:
        return true
      case 0xc4:
        return this.#binary(this.#uint(1))
      case 0xc5:
        return this.#binary(this.#uint(2))
      case 0xc6:
        return this.#binary(this.#uint(4))
      case 0xca:
        return this.#take(4).readFloatBE()
      case 0xcb:
        return this.#take(8).readDoubleBE()
      case 0xcc:
        return this.#uint(1)
      case 0xcd:
        return this.#uint(2)
      case 0xce:
        return this.#uint(4)
      case 0xcf:
        return this.#safe(this.#take(8).readBigUInt64BE())
      case 0xd0:
        return this.#take(1).readInt8()
      case 0xd1:
        return this.#take(2).readInt16BE()
      case 0xd2:
        return this.#take(4).readInt32BE()
      case 0xd3:
        return this.#safe(this.#take(8).readBigInt64BE())
      case 0xd9:
        return this.#text(this.#uint(1))
      case 0xda:
        return this.#text(this.#uint(2))
      case 0xdb:
        return this.#text(this.#uint(4))
      case 0xdc:
        return this.#array(this.#uint(2), depth)
      case 0xdd:
        return this.#array(this.#uint(4), depth)
      case 0xde:
        return this.#map(this.#uint(2), depth)
      case 0xdf:
        return this.#map(this.#uint(4), depth)
      default:
        return this.#fail('extension types are not taken')
    }
  }

  #array(length: number, depth: number): readonly Msgpack[] {
    this.#checkLength(length, depth)
    const items: Msgpack[] = []
    for (let index = 0; index < length; index++) items.push(this.value(depth + 1))
    return items
  }

  #map(length: number, depth: number): MsgpackMap {
    this.#checkLength(length * 2, depth)
    const map = new Map<string, Msgpack>()
    for (let index = 0; index < length; index++) {
      const key = this.value(DEPTH_MAX)
      if (typeof key !== 'string') return this.#fail('a key of a map is no text')
      if (map.has(key)) return this.#fail('a key of a map is there twice')
      map.set(key, this.value(depth + 1))
    }
    return map
  }

  /** Each item takes at least a byte, so a length beyond what is left is a lie, found before anything is made. */
  #checkLength(items: number, depth: number): void {
    if (depth >= DEPTH_MAX) this.#fail('it is nested too deeply')
    if (items > this.#bytes.length - this.#at) this.#fail('it ends too soon')
  }

  #text(length: number): string {
    // Names of fields and operations are most of all texts, and short: by hand they cost a tenth of a call below.
    if (length <= SHORT_TEXT && length <= this.#bytes.length - this.#at) {
      let text = ''
      let ascii = 0
      for (let index = this.#at; index < this.#at + length; index++) {
        const byte = this.#bytes[index] ?? 0
        ascii |= byte
        text += String.fromCharCode(byte)
      }
      if (ascii < 0x80) {
        this.#at += length
        return text
      }
    }
    const bytes = this.#take(length)
    return isUtf8(bytes) ? bytes.toString('utf8') : this.#fail('a text is not valid UTF-8')
  }

  #binary(length: number): Uint8Array {
    return this.#take(length)
  }

  #uint(size: 1 | 2 | 4): number {
    if (size > this.#bytes.length - this.#at) this.#fail('it ends too soon')
    let value = 0
    for (let index = 0; index < size; index++) value = value * 256 + (this.#bytes[this.#at++] ?? 0)
    return value
  }

  #take(length: number): Buffer {
    if (length > this.#bytes.length - this.#at) this.#fail('it ends too soon')
    const from = this.#at
    this.#at += length
    return this.#bytes.subarray(from, this.#at)
  }

  #safe(value: bigint): number {
    const number = Number(value)
    return Number.isSafeInteger(number) ? number : this.#fail('a number is too large')
  }

  #fail(what: string): never {
    throw new MalformedMsgpackError(`it is not the msgpack that is expected here: ${what} (byte ${this.#at})`)
  }
}

const SHORT_TEXT = 24
