import { createHash } from 'node:crypto'
import type { Random } from '@grapevine/core'

/**
 * Random numbers that one seed decides. Whoever draws has a stream of his own, named after what he is, so that one
 * more draw in one place does not shift what all others see.
 */
export class SeededRandom implements Random {
  readonly #path: string
  #a: number
  #b: number
  #c: number
  #counter: number

  constructor(seed: number | string) {
    this.#path = String(seed)
    const digest = createHash('sha256').update(this.#path).digest()
    this.#a = digest.readUInt32LE(0)
    this.#b = digest.readUInt32LE(4)
    this.#c = digest.readUInt32LE(8)
    this.#counter = 1
  }

  /** Another stream. The same names give the same stream, however much was drawn from this one. */
  stream(...names: readonly (string | number)[]): SeededRandom {
    return new SeededRandom([this.#path, ...names].join('/'))
  }

  next(): number {
    return this.#uint32() / 2 ** 32
  }

  hex(bytes: number): string {
    let digits = ''
    while (digits.length < bytes * 2) digits += this.#uint32().toString(16).padStart(8, '0')
    return digits.slice(0, bytes * 2)
  }

  /** `from` ≤ x < `below`. */
  between(from: number, below: number): number {
    return from + this.next() * (below - from)
  }

  /** 0 ≤ n < `below`, whole. */
  index(below: number): number {
    return Math.floor(this.next() * below)
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  /** @throws {RangeError} when there is nothing to pick from. */
  pick<T>(from: readonly T[]): T {
    const picked = from[this.index(from.length)]
    if (from.length === 0) throw new RangeError('nothing to pick from')
    return picked as T
  }

  /** With a long tail: most near `median`, a few many times as long. */
  longTail(median: number): number {
    const normal = Math.sqrt(-2 * Math.log(1 - this.next())) * Math.cos(2 * Math.PI * this.next())
    return median * Math.exp(0.5 * normal)
  }

  /** sfc32 (Doty-Humphrey): small, fast, and passes PractRand. */
  #uint32(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return sum >>> 0
  }
}
