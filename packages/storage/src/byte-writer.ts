import type { Digest } from '@grapevine/core'

/** Writes binary rows: a buffer that grows. Numbers are big-endian. */
export class ByteWriter {
  #buffer: Buffer
  #length = 0

  constructor(expectedBytes: number) {
    this.#buffer = Buffer.allocUnsafe(expectedBytes)
  }

  uint8(value: number): this {
    this.#reserve(1)
    this.#length = this.#buffer.writeUInt8(value, this.#length)
    return this
  }

  uint16(value: number): this {
    this.#reserve(2)
    this.#length = this.#buffer.writeUInt16BE(value, this.#length)
    return this
  }

  uint32(value: number): this {
    this.#reserve(4)
    this.#length = this.#buffer.writeUInt32BE(value, this.#length)
    return this
  }

  uint48(value: number): this {
    this.#reserve(6)
    this.#length = this.#buffer.writeUIntBE(value, this.#length, 6)
    return this
  }

  hex(text: string): this {
    this.#reserve(text.length / 2)
    this.#length += this.#buffer.write(text, this.#length, 'hex')
    return this
  }

  byteString(text: Digest): this {
    this.#reserve(text.length)
    this.#length += this.#buffer.write(text, this.#length, 'latin1')
    return this
  }

  bytes(bytes: Uint8Array): this {
    this.#reserve(bytes.length)
    this.#buffer.set(bytes, this.#length)
    this.#length += bytes.length
    return this
  }

  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes
    if (needed <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2))
    larger.set(this.#buffer.subarray(0, this.#length))
    this.#buffer = larger
  }
}

/** Reads what a {@link ByteWriter} wrote. Running over the end throws a RangeError. */
export class ByteReader {
  readonly #buffer: Buffer
  #at = 0

  constructor(buffer: Buffer) {
    this.#buffer = buffer
  }

  uint8(): number {
    return this.#buffer.readUInt8(this.#advance(1))
  }

  uint16(): number {
    return this.#buffer.readUInt16BE(this.#advance(2))
  }

  uint32(): number {
    return this.#buffer.readUInt32BE(this.#advance(4))
  }

  uint48(): number {
    return this.#buffer.readUIntBE(this.#advance(6), 6)
  }

  hex(bytes: number): string {
    const from = this.#advance(bytes)
    return this.#buffer.toString('hex', from, from + bytes)
  }

  bytes(length: number): Buffer {
    const from = this.#advance(length)
    return this.#buffer.subarray(from, from + length)
  }

  #advance(bytes: number): number {
    const from = this.#at
    this.#at += bytes
    if (this.#at > this.#buffer.length) throw new RangeError('a row ends early')
    return from
  }
}
