import type { Random } from '@grapevine/core'

/** Chance for the measures: a stream of its own for each run, told apart by a seed and a name. */
export interface Dice extends Random {
  /** A whole number, 0 ≤ x < limit. */
  below(limit: number): number
}

/** Xoshiro128** (Blackman and Vigna 2018): fast in 32-bit arithmetic, and no run of ours comes near its period. */
export function diceOf(seed: number, stream: string): Dice {
  let [a, b, c, d] = seedWords(seed, stream)
  const word = (): number => {
    const product = Math.imul(b, 5)
    const result = Math.imul((product << 7) | (product >>> 25), 9)
    const shifted = b << 9
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= shifted
    d = (d << 11) | (d >>> 21)
    return result >>> 0
  }
  return {
    next: () => word() / 2 ** 32,
    below: (limit) => Math.floor((word() / 2 ** 32) * limit),
    hex: (bytes) => Array.from({ length: bytes }, () => (word() >>> 24).toString(16).padStart(2, '0')).join(''),
  }
}

/** FNV-1a over the stream's name, then SplitMix32: neighbouring seeds give streams that have nothing in common. */
function seedWords(seed: number, stream: string): [number, number, number, number] {
  let state = seed ^ 0x811c9dc5
  for (let index = 0; index < stream.length; index++) state = Math.imul(state ^ stream.charCodeAt(index), 0x01000193)
  const word = (): number => {
    state = (state + 0x9e3779b9) | 0
    let mixed = state ^ (state >>> 16)
    mixed = Math.imul(mixed, 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return mixed ^ (mixed >>> 15)
  }
  return [word(), word(), word(), word()]
}
