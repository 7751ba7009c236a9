/** Everywhere the platform's own, as part of the Encoding Standard; but this package is compiled without any platform. */
declare const TextEncoder: new () => { encode(text: string): Uint8Array }
declare const TextDecoder: new (
  label: string,
  options: { readonly fatal: boolean; readonly ignoreBOM: boolean },
) => { decode(bytes: Uint8Array): string }

const encoder = new TextEncoder()
// A byte order mark is a character as any other, and what is not valid is refused instead of replaced.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The text as UTF-8, or `undefined` when it holds a lone surrogate, which has no UTF-8. */
export function encodeUtf8(text: string): Uint8Array | undefined {
  return text.isWellFormed() ? encoder.encode(text) : undefined
}

/** The text, or `undefined` when the bytes are not valid UTF-8 (no overlong forms, no surrogates). */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes)
  } catch {
    return undefined
  }
}

/**
 * The text as WTF-8, which is UTF-8 but for lone surrogates: those get the three bytes that the scheme gives their
 * number. So every text has bytes, and no two texts the same.
 */
export function encodeWtf8(text: string): Uint8Array {
  // With its flag the expression finds no surrogate that is half of a pair.
  const parts = text.split(/([\ud800-\udfff])/u).map((part) => encodeUtf8(part) ?? halfOf(part.charCodeAt(0)))
  return Uint8Array.from(parts.flatMap((part) => [...part]))
}

/** The text, or `undefined` when no text has these bytes as its WTF-8: two halves side by side are one character. */
export function decodeWtf8(bytes: Uint8Array): string | undefined {
  let text = ''
  let from = 0
  for (let at = 0; at < bytes.length; at++) {
    const [first, second = 0, third = 0] = bytes.subarray(at, at + 3)
    if (first !== HALF || second < 0xa0) continue
    const before = decodeUtf8(bytes.subarray(from, at))
    if (before === undefined || second >> 6 !== 2 || third >> 6 !== 2) return undefined
    text += before
    const code = 0xd000 | ((second & 0x3f) << 6) | (third & 0x3f)
    if (code >= 0xdc00 && /[\ud800-\udbff]$/.test(text)) return undefined
    text += String.fromCharCode(code)
    from = at + 3
  }
  const rest = decodeUtf8(bytes.subarray(from))
  return rest === undefined ? undefined : text + rest
}

/** What the three bytes of a surrogate begin with. */
const HALF = 0xed

function halfOf(code: number): number[] {
  return [HALF, 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f)]
}
