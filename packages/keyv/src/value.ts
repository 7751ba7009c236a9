/** The content type tells what a value was: Keyv hands us text, or with `serialization: false` anything. */
const TEXT = 'text/plain; charset=utf-8'
const JSON_TYPE = 'application/json'
const BYTES = 'application/octet-stream'

export interface EncodedValue {
  readonly bytes: Uint8Array
  readonly contentType: string
}

/** @throws {TypeError} for what has no JSON. */
export function encodeValue(value: unknown): EncodedValue {
  if (value instanceof Uint8Array) return { bytes: value, contentType: BYTES }
  const isText = typeof value === 'string' && value.isWellFormed()
  const text = isText ? value : (JSON.stringify(value) as string | undefined)
  if (text === undefined) throw new TypeError(`A value of type ${typeof value} has no JSON.`)
  return { bytes: new TextEncoder().encode(text), contentType: isText ? TEXT : JSON_TYPE }
}

export function decodeValue(bytes: Uint8Array, contentType: string): unknown {
  if (contentType === BYTES) return bytes
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
  return contentType === JSON_TYPE ? JSON.parse(text) : text
}
