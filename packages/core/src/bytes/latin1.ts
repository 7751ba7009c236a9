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
  // Eight characters at a time: faster than one, and than spreading, for the lengths that occur (hashes, addresses).
  let text = ''
  let index = 0
  for (; index + 8 <= bytes.length; index += 8)
    text += String.fromCharCode(
      bytes[index] ?? 0,
      bytes[index + 1] ?? 0,
      bytes[index + 2] ?? 0,
      bytes[index + 3] ?? 0,
      bytes[index + 4] ?? 0,
      bytes[index + 5] ?? 0,
      bytes[index + 6] ?? 0,
      bytes[index + 7] ?? 0,
    )
  for (; index < bytes.length; index++) text += String.fromCharCode(bytes[index] ?? 0)
  return text
}

/** Whether the bytes from `offset` on are those of `text`. */
export function startsWithByteString(bytes: Uint8Array, offset: number, text: ByteString): boolean {
  for (let index = 0; index < text.length; index++) if (bytes[offset + index] !== text.charCodeAt(index)) return false
  return true
}

/** Two digits for each byte. Ids are read and written for every entry, so this is a table and no arithmetic. */
const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

export function hexOf(text: ByteString): string {
  let hex = ''
  for (let index = 0; index < text.length; index++) hex += HEX[text.charCodeAt(index)] ?? ''
  return hex
}

/** The hexadecimal digits of so many bytes. */
export function readHex(bytes: Uint8Array, offset: number, length: number): string {
  let hex = ''
  for (let index = offset; index < offset + length; index++) hex += HEX[bytes[index] ?? 0] ?? ''
  return hex
}

/** Writes the bytes of lower-case hexadecimal digits. */
export function writeHex(target: Uint8Array, offset: number, hex: string): void {
  for (let index = 0; index < hex.length; index += 2)
    target[offset + index / 2] = (digitOf(hex.charCodeAt(index)) << 4) | digitOf(hex.charCodeAt(index + 1))
}

/** `0` to `9` are 0x30 to 0x39, `a` to `f` 0x61 to 0x66. */
function digitOf(character: number): number {
  return character < 0x3a ? character - 0x30 : character - 0x57
}
