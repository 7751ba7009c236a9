// By hand, because this package knows no platform: TextEncoder is not part of the language. It also differs where
// it matters: a byte order mark stays, and text that is not well-formed is refused instead of replaced.

/** The text as UTF-8, or `undefined` when it holds a lone surrogate, which has no UTF-8. */
export function encodeUtf8(text: string): Uint8Array | undefined {
  return text.isWellFormed() ? encodeWtf8(text) : undefined
}

/**
 * The text as WTF-8, which is UTF-8 but for lone surrogates: those get the three bytes that the scheme gives their
 * number. So every text has bytes, and no two texts the same.
 */
export function encodeWtf8(text: string): Uint8Array {
  const bytes: number[] = []
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0
    if (code < 0x80) bytes.push(code)
    else if (code < 0x800) bytes.push(0xc0 | (code >> 6), tail(code))
    else if (code < 0x10000) bytes.push(0xe0 | (code >> 12), tail(code >> 6), tail(code))
    else bytes.push(0xf0 | (code >> 18), tail(code >> 12), tail(code >> 6), tail(code))
  }
  return Uint8Array.from(bytes)
}

/** The text, or `undefined` when the bytes are not valid UTF-8 (no overlong forms, no surrogates). */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  return decode(bytes, false)
}

/** The text, or `undefined` when no text has these bytes as its WTF-8: two halves side by side are one character. */
export function decodeWtf8(bytes: Uint8Array): string | undefined {
  return decode(bytes, true)
}

function decode(bytes: Uint8Array, withSurrogates: boolean): string | undefined {
  let text = ''
  for (let index = 0; index < bytes.length;) {
    const first = bytes[index] ?? 0
    const length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0
    if (length === 0 || index + length > bytes.length) return undefined
    let code = length === 1 ? first : first & (0x7f >> length)
    for (let offset = 1; offset < length; offset++) {
      const next = bytes[index + offset] ?? 0
      if ((next & 0xc0) !== 0x80) return undefined
      code = (code << 6) | (next & 0x3f)
    }
    const overlong = (length === 3 && code < 0x800) || (length === 4 && code < 0x10000)
    const surrogate = code >= 0xd800 && code <= 0xdfff
    const secondHalf = code >= 0xdc00 && /[\ud800-\udbff]$/.test(text)
    if (overlong || code > 0x10ffff || (surrogate && (!withSurrogates || secondHalf))) return undefined
    text += String.fromCodePoint(code)
    index += length
  }
  return text
}

function tail(code: number): number {
  return 0x80 | (code & 0x3f)
}
