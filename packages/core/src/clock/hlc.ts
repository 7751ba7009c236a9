/**
 * A hybrid logical clock reading (Kulkarni et al. 2014): 48 bits of milliseconds since 1970 and a 16-bit
 * counter for what happens within one of them. Two numbers in memory, 8 sortable bytes on disk and wire.
 */
export interface Hlc {
  readonly wallMs: number
  readonly counter: number
}

export const WALL_MS_MAX: number = 2 ** 48 - 1
export const COUNTER_MAX: number = 2 ** 16 - 1

/** Before everything. */
export const HLC_ZERO: Hlc = { wallMs: 0, counter: 0 }

/** Negative when `a` is earlier, positive when it is later, 0 when they are equal. */
export function compareHlc(a: Hlc, b: Hlc): number {
  return a.wallMs - b.wallMs || a.counter - b.counter
}

export function laterHlc(a: Hlc, b: Hlc): Hlc {
  return compareHlc(a, b) >= 0 ? a : b
}

/** The first reading of a moment: all that was stamped before it is below. */
export function hlcAt(wallMs: number): Hlc {
  return { wallMs: Math.floor(wallMs), counter: 0 }
}

/** The next reading. A full counter moves on by one millisecond. */
export function successorOf({ wallMs, counter }: Hlc): Hlc {
  return counter < COUNTER_MAX ? { wallMs, counter: counter + 1 } : { wallMs: wallMs + 1, counter: 0 }
}

/** 16 hexadecimal digits that sort as the clock does. */
export function hlcText({ wallMs, counter }: Hlc): string {
  return wallMs.toString(16).padStart(12, '0') + counter.toString(16).padStart(4, '0')
}

/** The reading that {@link hlcText} wrote, or `undefined` for any other text. */
export function parseHlc(text: string): Hlc | undefined {
  if (!/^[0-9a-f]{16}$/.test(text)) return undefined
  return { wallMs: Number.parseInt(text.slice(0, 12), 16), counter: Number.parseInt(text.slice(12), 16) }
}
