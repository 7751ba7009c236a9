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
  let held = 0
  let bits = 0
  for (const byte of bytes) {
    held = ((held << 8) | byte) & 0xffff
    bits += 8
    while (bits >= 6) {
      bits -= 6
      text += digits.charAt((held >> bits) & 63)
    }
  }
  return bits === 0 ? text : text + digits.charAt((held << (6 - bits)) & 63)
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
