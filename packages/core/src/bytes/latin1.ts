/**
 * Byte strings: text in which each character is one byte (0 to 255). They are what a `Map` can be keyed by and
 * what compares bytewise with `<`, so addresses and hashes have this form in memory.
 */
export type ByteString = string

export function bytesOf(text: ByteString): Uint8Array {
  const bytes = new Uint8Array(text.length)
  writeByteString(bytes, 0, text)
  return bytes
}

export function writeByteString(target: Uint8Array, offset: number, text: ByteString): void {
  for (let index = 0; index < text.length; index++) target[offset + index] = text.charCodeAt(index)
}

/** At most a few KiB: longer texts want a platform's decoder. */
export function byteStringOf(bytes: Uint8Array): ByteString {
  let text = ''
  for (let from = 0; from < bytes.length; from += 512) text += String.fromCharCode(...bytes.subarray(from, from + 512))
  return text
}

export function hexOf(text: ByteString): string {
  let hex = ''
  for (let index = 0; index < text.length; index++) hex += text.charCodeAt(index).toString(16).padStart(2, '0')
  return hex
}

export function byteStringOfHex(hex: string): ByteString {
  let text = ''
  for (let index = 0; index < hex.length; index += 2)
    text += String.fromCharCode(Number.parseInt(hex.slice(index, index + 2), 16))
  return text
}
