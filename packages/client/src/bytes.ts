import { encodeBase64 } from '@grapevine/contract'

interface BufferLike {
  from(buffer: ArrayBufferLike, offset: number, length: number): { toString(encoding: 'base64'): string }
}

// Asked for through globalThis, so that no bundler brings a Buffer of its own into the browser.
const { Buffer } = globalThis as { readonly Buffer?: BufferLike }

export const toBase64: (bytes: Uint8Array) => string =
  Buffer === undefined
    ? encodeBase64
    : ({ buffer, byteOffset, length }) => Buffer.from(buffer, byteOffset, length).toString('base64')
