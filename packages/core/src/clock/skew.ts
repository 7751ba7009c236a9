/**
 * How far another clock is from ours, estimated as NTP does (RFC 5905 §8): whoever is asked tells its wall clock, and that was
 * read somewhere between question and answer. So half the round trip bounds the error, however unequal the two ways are.
 */
export interface SkewSample {
  /**
   * Their wall clock less our *monotonic* one, in milliseconds. Against our wall clock the sample would be wrong as soon as
   * somebody sets that.
   */
  readonly offsetMs: number
  /** How far from that the truth can be, at the moment of the sample. */
  readonly errorMs: number
  /** By our monotonic clock. */
  readonly atMs: number
}

export interface Skew {
  /** Positive when the other clock is ahead of ours. */
  readonly skewMs: number
  readonly errorMs: number
}

/** Clocks run apart by up to so much of the time that passes: what the kernel lets NTP slew by (500 ppm). */
const WANDER = 500e-6
/** Wall clocks travel as whole milliseconds. */
const ROUNDING_MS = 1

/** @param sentMs when we asked, and `receivedMs` when the answer came, both by our monotonic clock. */
export function skewSample(sentMs: number, receivedMs: number, theirWallMs: number): SkewSample {
  const roundTripMs = receivedMs - sentMs
  return {
    offsetMs: theirWallMs - (sentMs + receivedMs) / 2,
    // The clocks run apart while the answer is on its way, too.
    errorMs: roundTripMs / 2 + roundTripMs * WANDER + ROUNDING_MS,
    atMs: receivedMs,
  }
}

/**
 * The better of what is held and what is fresh. A quick round trip is worth more than a slow one until it has aged; two
 * samples that cannot both be true say that the other clock was set meanwhile, and then the fresh one counts.
 */
export function sharperSample(held: SkewSample | undefined, fresh: SkewSample): SkewSample {
  if (held === undefined) return fresh
  const heldErrorMs = errorAt(held, fresh.atMs)
  if (Math.abs(held.offsetMs - fresh.offsetMs) > heldErrorMs + fresh.errorMs) return fresh
  return heldErrorMs <= fresh.errorMs ? held : fresh
}

export function skewAt(sample: SkewSample, ourWallMs: number, ourMonotonicMs: number): Skew {
  return { skewMs: sample.offsetMs - (ourWallMs - ourMonotonicMs), errorMs: errorAt(sample, ourMonotonicMs) }
}

function errorAt({ errorMs, atMs }: SkewSample, nowMs: number): number {
  return errorMs + Math.max(0, nowMs - atMs) * WANDER
}
