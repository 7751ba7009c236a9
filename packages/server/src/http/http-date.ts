let lastSecond = -1
let lastText = ''

/** An HTTP date. Reads of what was just written, and writes, ask for the same second again and again. */
export function httpDate(wallMs: number): string {
  const second = Math.floor(wallMs / 1_000)
  if (second !== lastSecond) {
    lastText = new Date(second * 1_000).toUTCString()
    lastSecond = second
  }
  return lastText
}
