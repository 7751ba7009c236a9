const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
const STANDARD = alphabetOf('+/')
const URL_SAFE = alphabetOf('-_')

export function encodeBase64(bytes: Uint8Array): string {
  const text = encode(bytes, STANDARD)
  return text + '='.repeat((4 - (text.length % 4)) % 4)
}

/** The bytes, or `undefined` when the text is not their canonical base64 (RFC 4648 §4, padded). */
export function decodeBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0) return undefined
  const end = text.endsWith('==') ? text.length - 2 : text.endsWith('=') ? text.length - 1 : text.length
  // The padding says how many digits there are, so a padded text must really be short by as many.
  return decode(text, end, STANDARD)
}

/** Without padding. */
export function encodeBase64Url(bytes: Uint8Array): string {
  return encode(bytes, URL_SAFE)
}

/**
 * The bytes, or `undefined` when the text is not their canonical base64url (RFC 4648 §5, no padding, unused bits
 * zero): two texts for one key would be a way around every check on the key.
 */
export function decodeBase64Url(text: string): Uint8Array | undefined {
  return decode(text, text.length, URL_SAFE)
}

interface Alphabet {
  readonly digits: string
  /** By character code; 255 for what is no digit. */
  readonly values: Uint8Array
}

function alphabetOf(lastTwo: string): Alphabet {
  const digits = ALPHABET + lastTwo
  const values = new Uint8Array(128).fill(255)
  for (let index = 0; index < 64; index++) values[digits.charCodeAt(index)] = index
  return { digits, values }
}

function encode(bytes: Uint8Array, { digits }: Alphabet): string {
  let text = ''
  let index = 0
  for (; index + 2 < bytes.length; index += 3) {
    const group = (at(bytes, index) << 16) | (at(bytes, index + 1) << 8) | at(bytes, index + 2)
    text += digit(digits, group >> 18) + digit(digits, group >> 12) + digit(digits, group >> 6) + digit(digits, group)
  }
  const left = bytes.length - index
  if (left === 1) text += digit(digits, at(bytes, index) >> 2) + digit(digits, at(bytes, index) << 4)
  if (left === 2) {
    const group = (at(bytes, index) << 8) | at(bytes, index + 1)
    text += digit(digits, group >> 10) + digit(digits, group >> 4) + digit(digits, group << 2)
  }
  return text
}

function decode(text: string, end: number, { values }: Alphabet): Uint8Array | undefined {
  if (end % 4 === 1) return undefined
  const bytes = new Uint8Array(Math.floor((end * 3) / 4))
  let written = 0
  let held = 0
  let bits = 0
  for (let index = 0; index < end; index++) {
    const value = values[text.charCodeAt(index)] ?? 255
    if (value === 255) return undefined
    held = ((held << 6) | value) & 0xffff
    bits += 6
    if (bits >= 8) {
      bits -= 8
      bytes[written++] = held >> bits
    }
  }
  const unused = held & ((1 << bits) - 1)
  return unused === 0 ? bytes : undefined
}

function at(bytes: Uint8Array, index: number): number {
  return bytes[index] ?? 0
}

function digit(digits: string, bits: number): string {
  return digits.charAt(bits & 63)
}
