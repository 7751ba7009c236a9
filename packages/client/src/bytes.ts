import { encodeBase64 } from '@grapevine/contract'

// The platform's own encoders, which are many times faster than those of the contract package, with its strictness:
// a lone surrogate is refused instead of replaced, and a byte order mark stays.

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** UTF-8, or `undefined` for text with a lone surrogate, which has none. */
export function encodeText(text: string): Uint8Array | undefined {
  return text.isWellFormed() ? encoder.encode(text) : undefined
}

/** The text, or `undefined` when the bytes are not valid UTF-8. */
export function decodeText(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes)
  } catch {
    return undefined
  }
}

interface BufferLike {
  from(buffer: ArrayBufferLike, offset: number, length: number): { toString(encoding: 'base64'): string }
}

// Asked for through globalThis, so that no bundler brings a Buffer of its own into the browser.
const { Buffer } = globalThis as { readonly Buffer?: BufferLike }

export const toBase64: (bytes: Uint8Array) => string =
  Buffer === undefined
    ? encodeBase64
    : ({ buffer, byteOffset, length }) => Buffer.from(buffer, byteOffset, length).toString('base64')
