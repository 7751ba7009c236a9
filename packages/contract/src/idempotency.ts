/**
 * The value of `Idempotency-Key`, and `id` of an operation in a batch: 1 to 255 visible ASCII characters. (The draft
 * of the header writes it as a quoted string; quotes around it are taken off.) A node that has received the write
 * answers a replay with the first receipt for 24 h; the same key with another request is 422 `idempotency_mismatch`.
 * What makes a request the same: method, bucket, key, value, content type, ttl and condition; not `w`, `timeout` or
 * the session.
 */
export function isIdempotencyKey(text: string): boolean {
  return /^[\u0021-\u007e]{1,255}$/.test(text)
}
