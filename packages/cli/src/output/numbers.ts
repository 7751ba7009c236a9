/** `120 331`. */
export function countText(count: number | null | undefined): string {
  if (count === null || count === undefined) return '?'
  return String(Math.round(count)).replaceAll(/\B(?=(\d{3})+$)/g, ' ')
}

const SIZES = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']

/** `48.2 MB`, in powers of 1000 as disks are sold and HTTP counts. */
export function bytesText(bytes: number | null | undefined): string {
  if (bytes === null || bytes === undefined) return '?'
  let size = bytes
  let unit = 0
  while (size >= 999.95 && unit < SIZES.length - 1) {
    size /= 1000
    unit++
  }
  return `${unit === 0 ? size : size.toFixed(1)} ${SIZES[unit] ?? ''}`
}

/** `38 s`, `4 min`, `2 h`, `3 d`: one unit says enough. */
export function spanText(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`
  if (ms < 120_000) return `${Math.round(ms / 1_000)} s`
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`
  return ms < 172_800_000 ? `${Math.round(ms / 3_600_000)} h` : `${Math.round(ms / 86_400_000)} d`
}

export function agoText(ms: number | null | undefined): string {
  return ms === null || ms === undefined ? 'never' : `${spanText(ms)} ago`
}

/** `1 key`, `2 keys`. */
export function plural(count: number, noun: string, many = `${noun}s`): string {
  return `${countText(count)} ${count === 1 ? noun : many}`
}

/** How far a clock is ahead, as far as it matters to an operator: milliseconds below a second. */
export function skewText(skewMs: number | null): string {
  if (skewMs === null) return '-'
  const sign = skewMs < 0 ? '-' : '+'
  const far = Math.abs(skewMs)
  return far < 1_000 ? `${sign}${far.toFixed(0)} ms` : `${sign}${(far / 1_000).toFixed(1)} s`
}
