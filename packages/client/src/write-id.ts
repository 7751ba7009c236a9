/** 72 random bits: two clients that ever write to one cluster do not draw the same. */
const RANDOM_BYTES = 9

/** Names for the writes of one client, by which a node knows a repetition. Counting is cheaper than drawing each. */
export function writeIds(): () => string {
  const prefix = `${randomText(RANDOM_BYTES)}-`
  let count = 0
  return () => prefix + (count++).toString(36)
}

export function randomText(bytes: number): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) => byte.toString(36).padStart(2, '0')).join(
    '',
  )
}
