const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** In the place of a `ttl`: this value stays, whatever the policy of its bucket. */
export const TTL_NONE = 'none'

/** Milliseconds of `500ms`, `30s`, `15m`, `12h`, `7d`, or `undefined` for anything else. */
export function parseDuration(text: string): number | undefined {
  const found = /^(\d{1,13})(ms|s|m|h|d)$/.exec(text)
  if (found === null) return undefined
  const ms = Number(found[1]) * (UNIT_MS[found[2] ?? ''] ?? Number.NaN)
  return Number.isSafeInteger(ms) ? ms : undefined
}

/** In the largest unit that loses nothing. */
export function formatDuration(ms: number): string {
  const whole = Math.max(0, Math.round(ms))
  for (const unit of ['d', 'h', 'm', 's']) {
    const unitMs = UNIT_MS[unit] ?? 1
    if (whole > 0 && whole % unitMs === 0) return `${whole / unitMs}${unit}`
  }
  return `${whole}ms`
}
